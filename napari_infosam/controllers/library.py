"""Which model, adapter and project are in use, and what there is to choose from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infosam.types import InfoSAMError
from napari_infosam.controllers.errors import tell
from napari_infosam.models.session import Session
from napari_infosam.views.model_view import AdapterItem, ModelItem, ModelPanel, ModelView

if TYPE_CHECKING:
    from infosam.data.store.records import AdapterRecord

MODEL_SETTING = "model"
_REMARKS = {"new": "  (not accepted yet)", "accepted": "", "rolled_back": "  (rolled back)"}


class LibraryController:
    """Fills `ModelView`, and keeps the choices in the project."""

    def __init__(self, session: Session, view: ModelView) -> None:
        self._session = session
        self._view = view
        self._models = _models()
        self._chosen: tuple[str, Path | None] | None = None  # by the user, and not loaded yet
        view.model_requested.connect(self.use_model)
        view.adapter_requested.connect(self.use_adapter)
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

        session = self._session
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
        if name != self._session.model_name:
            self._choose(name, None)

    def use_adapter(self, folder: Path | None) -> None:
        """Answer prompts with an adapter of the present model, or without."""
        self._choose(self._session.model_name, folder)

    def show(self) -> None:
        """Bring the view up to date."""
        session = self._session
        self._view.setValue(
            ModelPanel(
                models=self._models,
                model=session.model_name,
                adapters=tuple(_item(record) for record in self._adapters()),
                adapter=session.adapter,
                device=session.device,
                project=None if session.project is None else session.project.folder,
            )
        )

    def _choose(self, model: str, adapter: Path | None) -> None:
        self._chosen = model, adapter
        self._session.ask_for(model, adapter)

    def _keep(self, loaded: tuple[str, Path | None]) -> None:
        """Keep the user's choice, now that it has turned out to be loadable."""
        project = self._session.project
        if project is None or loaded != self._chosen:
            return
        self._chosen = None
        model, folder = loaded
        chosen = [record.id for record in self._adapters() if record.folder == folder]
        try:
            project.set_setting(MODEL_SETTING, model)
            project.set_current_adapter(chosen[0] if chosen else None)
        except InfoSAMError as error:
            tell(self._session, error)

    def _adapters(self) -> list[AdapterRecord]:
        """Adapters of the present model, newest first."""
        session = self._session
        if session.project is None:
            return []
        try:
            records = session.project.adapters()
        except InfoSAMError as error:
            tell(session, error)
            return []
        return [record for record in reversed(records) if record.base_model == session.model_name]


def _item(record: AdapterRecord) -> AdapterItem:
    trained = datetime.fromisoformat(record.created).astimezone()
    score = ((record.card.get("new") or {}).get("point") or {}).get("iou")
    measured = "" if score is None else f", IoU {score:.2f}"
    name = f"{trained:%d %b %H:%M}{measured}{_REMARKS[record.status]}"
    return AdapterItem(
        record.folder, name, f"Trained on {trained:%d %B %Y at %H:%M}, kept in {record.folder}"
    )


def _models() -> tuple[ModelItem, ...]:
    from infosam.models.registry import infos

    return tuple(
        ModelItem(info.name, "" if info.on_disk else f"{info.bytes / 1e6:,.0f} MB download")
        for info in infos()
    )
