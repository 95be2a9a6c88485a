"""The console script opens napari with the panel docked."""

import os
import subprocess
import sys
from pathlib import Path

import napari
import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtWidgets import QDockWidget
from skimage.io import imsave

from napari_infosam.__main__ import main


def test_images_open_as_layers_beside_the_panel(
    tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch, qapp: object
) -> None:
    rng = np.random.default_rng(0)
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    for path in paths:
        imsave(path, rng.integers(0, 255, (40, 50)).astype(np.uint8), check_contrast=False)
    seen: list[tuple[list[tuple[str, bool]], list[str]]] = []

    def look_and_close() -> None:
        viewer = napari.current_viewer()
        assert viewer is not None
        names = [(layer.name, layer.visible) for layer in viewer.layers if isinstance(layer, Image)]
        assert viewer.layers.selection.active is viewer.layers["one"]
        docks = viewer.window._qt_window.findChildren(QDockWidget)
        seen.append((names, [dock.objectName() for dock in docks]))
        viewer.close()

    monkeypatch.setattr(napari, "run", look_and_close)
    with pytest.raises(SystemExit) as ended:
        main([str(path) for path in paths])
    assert ended.value.code == 0
    ((names, docks),) = seen
    assert names == [("one", True), ("two", False)]
    assert any("Annotate & adapt" in dock for dock in docks)


@pytest.mark.parametrize("arguments", [["missing.tif"], ["demo", "--no-such-option"]])
def test_bad_use_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "Error" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["demo"]])
def test_without_a_qt_backend_one_line_says_what_to_install(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "for binding in ('PyQt5', 'PyQt6', 'PySide2', 'PySide6'):\n"
        "    sys.modules[binding] = None\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "QT_API"}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    ended = subprocess.run(
        [sys.executable, "-m", "napari_infosam", *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        'napari has no Qt backend here. Install one: pip install "napari-infosam[all]"'
    ]
