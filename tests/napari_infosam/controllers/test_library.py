"""The choices of model, adapter and project are kept and come back."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from infosam import Project
from napari_infosam.controllers.library import LibraryController
from napari_infosam.models.session import Session
from napari_infosam.views.model_view import ModelView


@pytest.fixture
def view(qapp: Any) -> ModelView:
    return ModelView()


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
