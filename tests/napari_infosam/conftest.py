"""What the tests of the plugin share: a viewer without a window, a project, a worker that can be held up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from infosam import Project
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.session import Session


@dataclass
class HeldWorker:
    """Stands in for `Worker`: jobs wait until a test runs them."""

    jobs: list[
        tuple[Callable[[], Any], Callable[[Any], None], Callable[[Exception], None], Callable[[], bool]]
    ] = field(default_factory=list)

    def submit(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.jobs.append((work, done, failed, wanted))

    def tell(self, callback: Callable[[], None]) -> None:
        callback()

    def run(self) -> None:
        """Run what waits, and what that asks for in turn."""
        while self.jobs:
            work, done, failed, wanted = self.jobs.pop(0)
            if not wanted():
                continue
            try:
                result = work()
            except Exception as error:
                failed(error)
            else:
                done(result)

    def close(self) -> None:
        self.jobs.clear()


@pytest.fixture
def worker() -> HeldWorker:
    return HeldWorker()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as made:
        yield made


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer with one image of 40 x 60 pixels, twice as far apart as usual, 10 down and 20 to the right."""
    model = ViewerModel()
    rng = np.random.default_rng(0)
    model.add_image(
        rng.integers(0, 255, (40, 60)).astype(np.uint8), name="cells", scale=(2, 2), translate=(10, 20)
    )
    return model


@pytest.fixture
def layers(viewer: ViewerModel, qapp: Any) -> ViewerLayers:
    return ViewerLayers(viewer)


@pytest.fixture
def session(project: Project) -> Session:
    return Session(project=project)


@pytest.fixture
def editor(session: Session, layers: ViewerLayers, project: Project) -> LabelEditor:
    """Edits the image of `viewer`, which the project knows."""
    shown = layers.shown()
    record = project.add_image(shown.read(), name=shown.name)
    made = LabelEditor(session, layers)
    made.open_project(project)
    session.shown, session.image_name, session.image_id = shown, shown.name, record.id
    made.enter(shown, record.id, [], np.zeros(shown.shape, np.int32), project.revision)
    return made


def disc(row: int, column: int, radius: int = 5, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    """An (H, W) mask of a round object."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)
