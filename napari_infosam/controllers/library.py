"""Which model, adapter and project are in use, and what there is to choose from."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infosam.types import BadInputError, InfoSAMError
from napari_infosam.controllers.errors import guarded, tell
from napari_infosam.models.session import Session
from napari_infosam.views.model_view import AdapterItem, ModelItem, ModelPanel, ModelView

if TYPE_CHECKING:
    from infosam import Project
    from infosam.data.store.records import AdapterRecord

MODEL_SETTING = "model"
_REMARKS = {"new": "  (not accepted yet)", "accepted": "", "rolled_back": "  (rolled back)"}


class LibraryController:
    """Fills `ModelView`, and keeps the choices in the project."""

    def __init__(self, session: Session, view: ModelView) -> None:
        self.session = session
        self._view = view
        self._models = _models()
        self._chosen: tuple[str, Path | None] | None = None  # by the user, and not loaded yet
        view.model_requested.connect(self.use_model)
        view.adapter_requested.connect(self.use_adapter)
        view.adapter_found.connect(self.add_adapter)
        view.adapter_delete_requested.connect(self.delete_adapter)
        view.project_requested.connect(self.open_project)
        for name in ("model_name", "adapter", "device", "project", "adapters_version"):
            session.events[name].connect(self.show)
        session.events.loaded.connect(self._keep)
        self.show()

    def open_default_project(self) -> None:
        """The project that an unsaved session is kept in."""
        from infosam.data.project import default_project_folder

        self.open_project(default_project_folder())

    def open_project(self, folder: Path) -> None:
        """Keep everything in this folder from now on; what it holds already is there again."""
        from infosam import Project

        session = self.session
        try:
            project = Project.open(folder) if Project.exists(folder) else Project.create(folder)
            model = project.get_setting(MODEL_SETTING, session.model_name)
            current = project.current_adapter()
        except InfoSAMError as error:
            tell(session, error)
            return
        session.say(f"The project {folder.name} is open.")  # before anything that it sets off has more to say
        before, session.project = session.project, project
        if before is not None:
            before.close()
        self._chosen = None
        if model not in [item.name for item in self._models]:
            model = session.model_name
        usable = current is not None and current.base_model == model and current.folder.is_dir()
        session.ask_for(model, current.folder if current is not None and usable else None)

    def use_model(self, name: str) -> None:
        """Answer prompts with another model, as it was pre-trained."""
        if name != self.session.model_name:
            self._choose(name, None)

    def use_adapter(self, folder: Path | None) -> None:
        """Answer prompts with an adapter of the present model, or without."""
        self._choose(self.session.model_name, folder)

    @guarded
    def add_adapter(self, folder: Path) -> None:
        """Answer prompts with an adapter that was trained elsewhere, and its model; it joins the list once it
        has turned out to be loadable."""
        from infosam.inference.adapter_info import read_adapter_info

        model = read_adapter_info(folder).base_model
        if model not in [item.name for item in self._models]:
            raise BadInputError(f"{folder.name} is an adapter of {model}, a model that is not known here.")
        known = self._find(model, folder)
        self._choose(model, folder if known is None else known.folder)

    @guarded
    def delete_adapter(self) -> None:
        """Delete the adapter in use, or, trained elsewhere, take it off the list; the model goes on as it was
        pre-trained."""
        session = self.session
        record = self._find(session.model_name, session.adapter)
        if record is None:
            return
        self.use_adapter(None)
        try:
            session.project.remove_adapter(record.id)
        finally:
            session.adapters_changed()
        kept = f" Its files stay in {record.folder}." if record.folder.exists() else ""
        session.say(f"The adapter is off the list.{kept}")

    def show(self) -> None:
        """Bring the view up to date."""
        session, project = self.session, self.session.project
        self._view.setValue(
            ModelPanel(
                models=self._models,
                model=session.model_name,
                adapters=tuple(_item(record, project) for record in self._adapters(session.model_name)),
                adapter=session.adapter,
                device=session.device,
                project=None if project is None else project.folder,
            )
        )

    def _choose(self, model: str, adapter: Path | None) -> None:
        self._chosen = model, adapter
        self.session.ask_for(model, adapter)

    def _keep(self, loaded: tuple[str, Path | None]) -> None:
        """Keep the user's choice, now that it has turned out to be loadable."""
        project = self.session.project
        if project is None or loaded != self._chosen:
            return
        self._chosen = None
        model, folder = loaded
        try:
            project.set_setting(MODEL_SETTING, model)
            project.set_current_adapter(None if folder is None else self._id_of(project, model, folder))
        except InfoSAMError as error:
            tell(self.session, error)
        self.session.adapters_changed()

    def _id_of(self, project: Project, model: str, folder: Path) -> int:
        """The adapter's id in the project, which it joins if it was trained elsewhere."""
        known = self._find(model, folder)
        if known is not None:
            return known.id
        from infosam.inference.adapter_info import read_adapter_info

        card = read_adapter_info(folder).card
        return project.add_adapter(folder, base_model=model, card=None if card is None else asdict(card)).id

    def _find(self, model: str, folder: Path | None) -> AdapterRecord | None:
        """The adapter of a model that lies in a folder."""
        same = None if folder is None else folder.resolve()
        return next((record for record in self._adapters(model) if record.folder.resolve() == same), None)

    def _adapters(self, model: str) -> list[AdapterRecord]:
        """Adapters of a model, newest first."""
        session = self.session
        if session.project is None:
            return []
        try:
            records = session.project.adapters()
        except InfoSAMError as error:
            tell(session, error)
            return []
        return [record for record in reversed(records) if record.base_model == model]


def _item(record: AdapterRecord, project: Project) -> AdapterItem:
    """As the list shows it: by its day, or, trained elsewhere, by its folder."""
    made = datetime.fromisoformat(record.created).astimezone()
    score = ((record.card.get("new") or {}).get("point") or {}).get("iou")
    measured = "" if score is None else f", IoU {score:.2f}"
    own = record.folder.parent == project.adapter_folder
    name = f"{made:%d %b %H:%M}" if own else record.folder.name
    verb = "Trained" if own else "Added"
    return AdapterItem(
        record.folder,
        f"{name}{measured}{_REMARKS[record.status]}",
        f"{verb} on {made:%d %B %Y at %H:%M}, kept in {record.folder}",
        own,
    )


def _models() -> tuple[ModelItem, ...]:
    from infosam.models.registry import infos

    return tuple(
        ModelItem(info.name, "" if info.on_disk else f"{info.bytes / 1e6:,.0f} MB download")
        for info in infos()
    )
