"""Labels leave the project by a button."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from infosam import Project
from infosam.data.readers import read_data
from napari_infosam.controllers.export import ExportController
from napari_infosam.models.session import Session
from napari_infosam.views.model_view import ModelView
from tests.napari_infosam.conftest import HeldWorker, disc


@pytest.fixture
def view(qapp: Any) -> ModelView:
    return ModelView()


@pytest.fixture
def recorded() -> list[str]:
    """That strokes were asked for."""
    return []


@pytest.fixture(autouse=True)
def controller(
    view: ModelView, session: Session, worker: HeldWorker, recorded: list[str]
) -> ExportController:
    return ExportController(session, view, cast(Any, worker), lambda: recorded.append("strokes"))


def test_each_export_has_a_folder_of_its_own(
    view: ModelView,
    session: Session,
    project: Project,
    worker: HeldWorker,
    recorded: list[str],
    tmp_path: Path,
) -> None:
    image = project.add_image(np.zeros((40, 60), np.uint8), name="cells")
    project.add_object(image.id, disc(10, 10), label=1)
    for name in ("project labels", "project labels 2"):
        view.export_requested.emit(tmp_path)
        assert "Writing" in session.status
        worker.run()
        assert session.status == f"Exported 1 object on 1 image to {tmp_path / name}."
        (found,) = read_data(tmp_path / name)
        assert (found.objects()[0].mask == disc(10, 10)).all()
    assert recorded == ["strokes", "strokes"]


def test_nothing_to_export_is_told(
    view: ModelView, session: Session, worker: HeldWorker, tmp_path: Path
) -> None:
    view.export_requested.emit(tmp_path)
    worker.run()
    assert session.problem
    assert "no objects yet" in session.status
    assert list(tmp_path.iterdir()) == [tmp_path / "project"]
