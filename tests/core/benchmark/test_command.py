"""`infosam benchmark` as a process: killed, continued, and told what to do by a scheduler."""

from __future__ import annotations

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

RECIPE = """
name = "squares"
models = ["sam_pocket"]
seeds = [0, 1]
max_objects = 2
baseline = "decoder"
training = {{ steps = 2, threads = 1, device = "cpu" }}
evaluation = {{ prompts = ["box"] }}

[[data]]
name = "squares"
path = "{path}"
test_share = 0.5

[[methods]]
name = "zero-shot"
peft = "none"

[[methods]]
name = "decoder"
peft = "decoder"
"""


@pytest.fixture
def recipe(tmp_path: Path, labelled_folder: Callable[..., Path]) -> Path:
    path = tmp_path / "squares.toml"
    path.write_text(RECIPE.format(path=labelled_folder(4).as_posix()), encoding="utf-8")
    return path


def command(recipe: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "infosam.cli", "benchmark", str(recipe), *options]


def run(recipe: Path, *options: str) -> str:
    done = subprocess.run(command(recipe, *options), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored(recipe: Path) -> dict[str, tuple[str, ...]]:
    """The rows of the store by their ids."""
    store = recipe.with_suffix(".sqlite")
    if not store.exists():
        return {}
    with closing(sqlite3.connect(store, timeout=10)) as database:
        try:
            return {row[0]: row for row in database.execute("SELECT * FROM results")}
        except sqlite3.OperationalError:  # its table is not made yet
            return {}


def test_a_killed_comparison_goes_on_and_runs_nothing_twice(recipe: Path) -> None:
    report = recipe.with_suffix(".md")
    process = subprocess.Popen(command(recipe), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not stored(recipe) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    before = stored(recipe)
    assert 1 <= len(before) < 3
    run(recipe, "--report", str(report))
    after = stored(recipe)
    assert len(after) == 3
    assert {key: after[key] for key in before} == before
    first = report.read_bytes()
    assert b"3 of 3 runs" in first
    run(recipe, "--report", str(report))
    assert stored(recipe) == after
    assert report.read_bytes() == first


def test_a_dry_run_runs_nothing_and_a_scheduler_gets_one_command_per_run(recipe: Path) -> None:
    plan = run(recipe, "--dry-run")
    assert "3 of 3 runs to do: no run yet to go by" in plan
    jobs = run(recipe, "--jobs").splitlines()
    assert len(jobs) == 3
    assert not stored(recipe)
    arguments = shlex.split(jobs[0])
    assert arguments[:2] == ["infosam", "benchmark"]
    subprocess.run([sys.executable, "-m", "infosam.cli", *arguments[1:]], check=True, capture_output=True)
    assert list(stored(recipe)) == [arguments[-1]]
    assert "2 of 3 runs to do: about" in run(recipe, "--dry-run")
    assert len(run(recipe, "--jobs").splitlines()) == 2


def test_a_run_that_the_recipe_has_not_is_refused(recipe: Path) -> None:
    done = subprocess.run(command(recipe, "--run", "0123"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "has no run 0123" in done.stderr
