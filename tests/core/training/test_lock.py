"""Who holds a folder, with real processes."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from infosam.training.files import drop_checkpoint
from infosam.training.lock import hold, is_held
from infosam.types import InfoSAMError

HOLDER = """
import pathlib, sys
from infosam.training.lock import hold

with hold(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def holder(folder: Path) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_folder_is_held_until_its_process_is_killed(folder: Path, holder: subprocess.Popen[str]) -> None:
    assert is_held(folder)
    with (
        pytest.raises(InfoSAMError, match=f"another process trains in {folder}: wait for its end"),
        hold(folder),
    ):
        pass
    holder.kill()
    holder.wait()
    assert not is_held(folder)
    with hold(folder):
        assert is_held(folder)
    assert not is_held(folder)


def test_asking_makes_nothing(folder: Path) -> None:
    assert not is_held(folder)
    assert not folder.exists()


def test_a_run_that_is_given_up_leaves_nothing(folder: Path) -> None:
    with hold(folder):
        (folder / "checkpoint.safetensors").touch()
    drop_checkpoint(folder)
    assert not folder.exists()


def test_torch_is_not_imported() -> None:
    code = "import sys, infosam.training.lock; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
