"""What is shipped: built as a user's installer would get it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = (
    "infosam/models/pocket/sam_pocket.safetensors",
    "infosam/py.typed",
    "napari_infosam/napari.yaml",
    "napari_infosam/py.typed",
    "napari_infosam/sample_data/leaf_lesions/images/leaf_lesions_00.jpg",
    "napari_infosam/sample_data/road_net/masks/road_net_15.png",
)


def build(kind: str, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "build",
        f"--{kind}",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_two_packages_and_what_they_need(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"infosam", "napari_infosam"}
    assert set(NEEDED) <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("core/")]


def test_the_source_distribution_holds_what_make_needs(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("napari_infosam-*")
    wanted = subprocess.run(["make", "-n", "env", "lint"], cwd=source, capture_output=True, text=True)
    assert wanted.returncode == 0, wanted.stderr
    assert os.access(source / ".ci" / "setup", os.X_OK)
    assert (source / ".importlinter").is_file()


def test_npe2_finds_nothing_wrong_with_the_manifest() -> None:
    command = [sys.executable, "-m", "npe2", "validate", "napari-infosam"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "valid!" in checked.stdout


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_installed_wheel_plays_the_demo(wheel: Path, tmp_path: Path) -> None:
    """Installed as its users install it, in an environment of its own, away from the checkout."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.fail("this test installs with uv, and finds none: pip install uv")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    environment |= {"SAM2_BUILD_CUDA": "0"}

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
        return done

    run(uv, "venv", "--python", sys.executable, "venv")
    programs = tmp_path / "venv" / "bin"
    run(uv, "pip", "install", "--python", programs / "python", f"{wheel}[all]")
    where = run(programs / "python", "-c", "import infosam, napari_infosam; print(infosam.__file__)").stdout
    assert "site-packages" in where
    run(programs / "napari-infosam", "demo", "--out", "demo")
    report = json.loads((tmp_path / "demo" / "report.json").read_text(encoding="utf-8"))
    assert report["adapted_iou"] > report["base_iou"]
    assert len(report["screenshots"]) >= 4
