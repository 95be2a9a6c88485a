"""What is shipped: built as a user's installer would get it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = (
    "infosam/models/pocket/sam_pocket.safetensors",
    "napari_infosam/napari.yaml",
    "napari_infosam/sample_data/leaf_lesions/images/leaf_lesions_00.jpg",
    "napari_infosam/sample_data/road_net/masks/road_net_15.png",
)


def test_the_wheel_holds_the_two_packages_and_what_they_need(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"infosam", "napari_infosam"}
    assert set(NEEDED) <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("core/")]
