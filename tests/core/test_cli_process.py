"""The command line in a process of its own, as the plugin runs it: killed, cancelled, left alone, out of
memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from infosam.reporting import from_json
from infosam.training.checkpoint import CHECKPOINT_NAME, load_checkpoint
from infosam.types import Failed, Finished, Report, Step

Folder = Callable[..., Path]

# The command line with a tiny model behind the name sam_pocket, so that a process trains in no time.
DRIVER = """
import torch
from infosam.models import registry
from infosam.models.base import freeze
from infosam.models.pocket.build import PocketConfig, build_pocket

def load(name, **_):
    torch.manual_seed(0)
    return freeze(build_pocket(PocketConfig(
        image_size=64, width=32, depth=2, heads=2, window=4, global_blocks=(1,),
        out_chans=32, decoder_mlp=32,
    )))

registry.load = load
{patch}
from infosam.cli import main
main()
"""
EXHAUST = """
from infosam.distill.infosam import InfoSAMTask
forward = InfoSAMTask.forward

def exhausted(self, batch, count=[0]):
    count[0] += 1
    if count[0] > 27:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return forward(self, batch)

InfoSAMTask.forward = exhausted
"""


def start(*arguments: str | Path, patch: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DRIVER.format(patch=patch), *(str(argument) for argument in arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def reports_of(process: subprocess.Popen[str]) -> Iterator[Report]:
    assert process.stdout is not None
    for line in process.stdout:
        yield from_json(line)


def wait_for_step(process: subprocess.Popen[str], number: int) -> None:
    for report in reports_of(process):
        if isinstance(report, Step) and report.step >= number:
            return
    raise AssertionError(f"the run ended before step {number}: {process.communicate()[1]}")


def adapt_arguments(data: Path, out: Path, steps: int) -> list[str | Path]:
    return [
        "adapt",
        data,
        "-o",
        out,
        "--steps",
        str(steps),
        "--threads",
        "1",
        "--events",
        "--val-fraction",
        "0",
    ]


def test_a_killed_process_leaves_a_checkpoint_that_resumes(labelled_folder: Folder, tmp_path: Path) -> None:
    arguments = adapt_arguments(labelled_folder(2), tmp_path / "a", 40)
    killed = start(*arguments)
    wait_for_step(killed, 28)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "a" / "adapter.json").exists()

    resumed = start(*arguments, "--resume")
    reports = list(reports_of(resumed))
    assert resumed.wait() == 0, resumed.communicate()[1]
    steps = [report.step for report in reports if isinstance(report, Step)]
    assert steps == list(range(26, 41))
    assert isinstance(reports[-1], Finished)
    assert (tmp_path / "a" / "adapter.json").is_file()
    assert [file.name for file in (tmp_path / "a").iterdir() if "cache" in file.name] == []
    resumed.communicate()


def test_the_line_cancel_ends_with_the_best_so_far(labelled_folder: Folder, tmp_path: Path) -> None:
    process = start(*adapt_arguments(labelled_folder(2), tmp_path / "a", 100_000), "--watch-stdin")
    wait_for_step(process, 2)
    assert process.stdin is not None
    process.stdin.write("cancel\n")
    process.stdin.flush()
    last = list(reports_of(process))[-1]
    assert isinstance(last, Finished)
    assert last.status == "cancelled"
    assert process.wait() == 0
    process.communicate()
    assert (tmp_path / "a" / "adapter.json").is_file()


def test_a_process_whose_parent_is_gone_writes_a_checkpoint_and_goes(
    labelled_folder: Folder, tmp_path: Path
) -> None:
    process = start(*adapt_arguments(labelled_folder(2), tmp_path / "a", 100_000), "--watch-stdin")
    wait_for_step(process, 2)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    steps = [report.step for report in reports_of(process) if isinstance(report, Step)]
    assert process.wait(timeout=60) == 1
    assert "--resume" in process.communicate()[1]
    checkpoint = load_checkpoint(tmp_path / "a" / CHECKPOINT_NAME)
    assert checkpoint.meta["progress"]["step"] == (steps[-1] if steps else 2)
    assert not (tmp_path / "a" / "adapter.json").exists()


def test_running_out_of_memory_is_told(labelled_folder: Folder, tmp_path: Path) -> None:
    process = start(*adapt_arguments(labelled_folder(2), tmp_path / "a", 40), patch=EXHAUST)
    last = list(reports_of(process))[-1]
    assert isinstance(last, Failed)
    assert last.reason == "cpu ran out of memory"
    assert "smaller model" in last.advice
    assert last.resumable
    assert process.wait() == 1
    assert process.communicate()[1].strip().splitlines()[-1].startswith("error: cpu ran out of memory")
