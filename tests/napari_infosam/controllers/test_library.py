"""The choices of model, adapter and project are kept and come back."""

from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from infosam import AdaptConfig, Project, load_model
from infosam.inference.adapter import save_adapter
from infosam.inference.adapter_info import AdapterInfo
from infosam.models.base import PromptableModel
from infosam.peft import inject
from infosam.types import Card, Scores
from napari_infosam.controllers.library import LibraryController
from napari_infosam.models.session import Session
from napari_infosam.views.model_view import ModelView


@pytest.fixture
def view(qapp: Any) -> ModelView:
    return ModelView()


@pytest.fixture
def library(session: Session, view: ModelView) -> LibraryController:
    return LibraryController(session, view)


def adapter(project: Project, name: str, model: str = "sam_pocket", *, use: bool = True) -> Path:
    folder = project.folder / "adapters" / name
    folder.mkdir(parents=True)
    record = project.add_adapter(folder, base_model=model)
    if use:
        project.set_current_adapter(record.id)
    return folder


def load(session: Session) -> None:
    """As the segmenting half says that the model is there."""
    session.loaded = (session.model_name, session.adapter)


def test_the_default_project_lies_in_the_data_folder(
    view: ModelView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFOSAM_DATA", str(tmp_path))
    session = Session()
    library = LibraryController(session, view)
    library.open_default_project()
    assert session.project.folder == tmp_path / "autosave"
    assert view.value().project == tmp_path / "autosave"
    session.project.close()


def test_the_model_and_its_adapter_come_back(view: ModelView, tmp_path: Path) -> None:
    with Project.create(tmp_path / "p") as project:
        folder = adapter(project, "one", "sam_vit_b")
        project.set_setting("model", "sam_vit_b")
    session = Session()
    library = LibraryController(session, view)
    library.open_project(tmp_path / "p")
    assert (session.model_name, session.adapter) == ("sam_vit_b", folder)
    library.use_adapter(None)
    load(session)
    assert session.project.current_adapter() is None
    assert [record.status for record in session.project.adapters()] == ["accepted"]
    library.use_adapter(folder)
    load(session)
    assert session.project.current_adapter().folder == folder
    library.use_model("sam_pocket")
    assert session.adapter is None
    assert view.value().adapters == ()
    load(session)
    assert session.project.get_setting("model") == "sam_pocket"
    session.project.close()


def test_a_choice_is_kept_only_once_it_is_loaded(view: ModelView, session: Session) -> None:
    library = LibraryController(session, view)
    project = session.project
    folder = adapter(project, "mine")
    session.ask_for("sam_pocket", folder)
    load(session)
    library.use_model("sam_vit_h")
    assert project.get_setting("model") is None
    session.ask_for("sam_pocket", folder)  # it could not be loaded
    assert project.get_setting("model") is None
    assert project.current_adapter().folder == folder
    assert project.current_adapter().status == "accepted"


def test_what_takes_the_place_of_the_projects_model_is_not_kept(view: ModelView, tmp_path: Path) -> None:
    with Project.create(tmp_path / "p") as project:
        folder = adapter(project, "one", "sam_vit_b")
        project.set_setting("model", "sam_vit_b")
    session = Session()
    library = LibraryController(session, view)
    library.open_project(tmp_path / "p")
    session.ask_for("sam_pocket", None)
    load(session)
    assert session.project.get_setting("model") == "sam_vit_b"
    assert session.project.current_adapter().folder == folder
    session.project.close()


def test_a_current_adapter_of_another_model_or_without_files_is_not_used(
    view: ModelView, tmp_path: Path
) -> None:
    with Project.create(tmp_path / "p") as project:
        adapter(project, "other", "sam_vit_b")
    session = Session()
    library = LibraryController(session, view)
    library.open_project(tmp_path / "p")
    assert session.adapter is None
    folder = adapter(session.project, "lost")
    folder.rmdir()
    session.project.close()
    library.open_project(tmp_path / "p")
    assert session.adapter is None
    session.project.close()


def test_a_newly_accepted_adapter_appears_in_the_list(view: ModelView, session: Session) -> None:
    library = LibraryController(session, view)
    folder = adapter(session.project, "fresh")
    session.adapters_changed()
    session.adapter = folder
    assert [item.folder for item in view.value().adapters] == [folder]
    assert view.value().adapter == folder
    library.use_adapter(None)
    assert view.value().adapter is None


def test_a_folder_that_cannot_be_used_is_explained_and_the_project_stays(
    view: ModelView, session: Session, tmp_path: Path
) -> None:
    library = LibraryController(session, view)
    before = session.project
    (tmp_path / "file").write_text("")
    library.open_project(tmp_path / "file")
    assert session.problem
    assert session.project is before
    library.open_project(tmp_path / "folder")
    assert (session.status, session.problem) == ("The project folder is open.", False)
    session.project.close()


def test_models_that_must_be_downloaded_say_so(view: ModelView, session: Session) -> None:
    LibraryController(session, view)
    notes = {item.name: item.note for item in view.value().models}
    assert notes["sam_pocket"] == ""
    assert "download" in notes["sam_vit_h"] or notes["sam_vit_h"] == ""


def test_an_adapter_is_named_by_its_day_and_its_score(view: ModelView, tmp_path: Path) -> None:
    session = Session()
    library = LibraryController(session, view)
    with Project.create(tmp_path / "p") as project:
        for number, card in enumerate(({"new": {"point": {"iou": 0.713}}}, {})):
            folder = project.folder / "adapters" / str(number)
            folder.mkdir(parents=True)
            record = project.add_adapter(folder, base_model="sam_pocket", card=card)
    library.open_project(tmp_path / "p")
    trained = datetime.fromisoformat(record.created).astimezone()
    unmeasured, measured = (item.name for item in view.value().adapters)
    assert measured == f"{trained:%d %b %H:%M}, IoU 0.71  (not accepted yet)"
    assert unmeasured == f"{trained:%d %b %H:%M}  (not accepted yet)"
    session.project.close()


def trained(folder: Path, model: PromptableModel) -> Path:
    """An adapter as `infosam adapt` leaves one, in a folder of the user's."""
    student = inject(model, "bitfit")
    card = Card(pretrained={}, new={"point": Scores(0.61, 0.7, 0.8, 2, 5)})
    save_adapter(student, folder, AdapterInfo.of(student, AdaptConfig(peft="bitfit"), train=[], card=card))
    return folder


def test_an_adapter_that_was_trained_elsewhere_joins_the_list_once_it_is_loaded(
    library: LibraryController, view: ModelView, session: Session, tmp_path: Path
) -> None:
    folder = trained(tmp_path / "lesions", load_model("sam_pocket"))
    session.ask_for("sam_vit_b", None)
    for _ in range(2):  # the second time it is known
        view.adapter_found.emit(folder)
        assert (session.model_name, session.adapter) == ("sam_pocket", folder)
        load(session)
        (record,) = session.project.adapters()
        assert (record.folder, record.base_model, record.is_current) == (folder, "sam_pocket", True)
        (item,) = view.value().adapters
        assert item.name == "lesions, IoU 0.61"
        assert str(folder) in item.tooltip
    view.adapter_delete_requested.emit()
    assert session.project.adapters() == []
    assert session.status == f"The adapter is off the list. Its files stay in {folder}."
    assert (folder / "adapter.json").is_file()


def test_an_adapter_that_cannot_be_loaded_does_not_join_the_list(
    library: LibraryController, view: ModelView, session: Session, tmp_path: Path
) -> None:
    view.adapter_found.emit(tmp_path)
    assert session.problem
    assert "is no adapter" in session.status
    folder = trained(tmp_path / "other", load_model("sam_pocket"))
    info = folder / "adapter.json"
    info.write_text(info.read_text().replace('"sam_pocket"', '"sam_giant"'))
    view.adapter_found.emit(folder)
    assert "sam_giant, a model that is not known" in session.status
    info.write_text(info.read_text().replace('"sam_giant"', '"sam_pocket"'))
    view.adapter_found.emit(folder)
    session.ask_for("sam_pocket", None)  # it could not be loaded
    load(session)
    assert session.project.adapters() == []


def test_a_deleted_adapter_leaves_the_project_and_the_model(
    library: LibraryController, view: ModelView, session: Session
) -> None:
    kept, folder = (adapter(session.project, name) for name in ("kept", "deleted"))
    session.ask_for("sam_pocket", folder)
    load(session)
    view.adapter_delete_requested.emit()
    assert session.adapter is None
    assert [item.folder for item in view.value().adapters] == [kept]
    assert (folder.exists(), kept.exists()) == (False, True)
    load(session)
    assert session.project.current_adapter() is None
    view.adapter_delete_requested.emit()  # there is none in use
    assert len(session.project.adapters()) == 1


def test_what_cannot_be_deleted_is_told(
    library: LibraryController, view: ModelView, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.ask_for("sam_pocket", adapter(session.project, "held"))
    monkeypatch.setattr("shutil.rmtree", Mock(side_effect=PermissionError("in use")))
    view.adapter_delete_requested.emit()
    assert session.problem
    assert "in use" in session.status
    assert view.value().adapters == ()
