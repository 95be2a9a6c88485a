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
training = {{ steps = 2, batch_size = 2, threads = 1, device = "cpu" }}
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
    jobs = run(recipe, "--jobs", "--device", "cpu", "--threads", "1").splitlines()
    assert len(jobs) == 3
    assert not stored(recipe)
    arguments = shlex.split(jobs[0])
    assert arguments[:2] == ["infosam", "benchmark"]
    assert arguments[arguments.index("--device") + 1] == "cpu"
    assert arguments[arguments.index("--threads") + 1] == "1"
    subprocess.run([sys.executable, "-m", "infosam.cli", *arguments[1:]], check=True, capture_output=True)
    assert list(stored(recipe)) == [arguments[-1]]
    assert "2 of 3 runs to do: about" in run(recipe, "--dry-run")
    assert len(run(recipe, "--jobs").splitlines()) == 2


def test_a_run_that_the_recipe_has_not_is_refused(recipe: Path) -> None:
    done = subprocess.run(command(recipe, "--run", "0123"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "has no run 0123" in done.stderr


def test_a_run_that_fails_leaves_the_others_be(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8").replace("seeds = [0, 1]", "seeds = [0]")
    wild = '[[methods]]\nname = "wild"\npeft = "decoder"\ntraining = { lr = 1e30, steps = 20 }\n'
    recipe.write_text(text.replace("[[methods]]", wild + "\n[[methods]]", 1), encoding="utf-8")
    report = recipe.with_suffix(".md")
    asked = command(recipe, "--report", str(report))
    done = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "1 of 3 runs failed" in done.stderr
    assert "start again with a learning rate below 1e+30" in " ".join(done.stderr.split())
    assert len(stored(recipe)) == 2
    assert "2 of 3 runs; the others are missing" in report.read_text(encoding="utf-8")


def test_a_store_is_reported_without_making_the_missing_runs(recipe: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    run(recipe, "--stored", "--report", str(report))
    assert "0 of 3 runs; the others are missing below" in report.read_text(encoding="utf-8")
    assert stored(recipe) == {}


def test_runs_of_other_weights_are_refused(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(f'weights = {{ sam_pocket = "{"0" * 64}" }}\n{text}', encoding="utf-8")
    done = subprocess.run(command(recipe), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "the weights 00000000, but this version has" in " ".join(done.stderr.split())
    assert stored(recipe) == {}


@pytest.mark.parametrize(
    ("name", "page"), [("pocket_grid", "results.md"), ("adapt_real", "adapting_sam_pocket.md")]
)
def test_pages_of_results_are_what_their_stores_hold(name: str, page: str, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    run(root / "benchmarks" / f"{name}.toml", "--stored", "--report", str(tmp_path / page))
    assert (tmp_path / page).read_bytes() == (root / "docs" / page).read_bytes()
