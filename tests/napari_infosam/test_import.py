"""What importing the plugin costs."""

import subprocess
import sys

HEAVY = {"torch", "napari", "qtpy", "vispy", "skimage", "numpy"}


def test_the_package_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import napari_infosam"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in log.splitlines()}
    assert "napari_infosam" in imported
    assert not imported & HEAVY


def test_the_widget_imports_without_torch() -> None:
    code = "import sys, napari_infosam._widget, napari_infosam.samples; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
