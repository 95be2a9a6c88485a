"""The folder that the demo keeps its project in."""

from pathlib import Path

import pytest

from infosam.types import InfoSAMError
from napari_infosam.demo.loop import fresh_home


def test_what_an_earlier_demo_left_is_replaced_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    mine = tmp_path / "project" / "labels.tif"
    mine.touch()
    (fresh_home(tmp_path) / "autosave").mkdir()
    assert not (fresh_home(tmp_path) / "autosave").exists()
    assert mine.exists()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_is_not_the_demos_is_refused_and_stays(make: object, tmp_path: Path) -> None:
    there = tmp_path / "demo_project"
    assert callable(make)
    make(there)
    with pytest.raises(InfoSAMError, match="demo_project is not the demo's: move it away, or choose another"):
        fresh_home(tmp_path)
    assert there.exists()
