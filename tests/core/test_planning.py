"""What a run would be, foretold without torch; and that the run is just that."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infosam import adapt
from infosam.data.labelled import LabelledImage
from infosam.models.base import PromptableModel
from infosam.planning import RunPlan, drop_checkpoint, has_checkpoint, plan_run
from infosam.types import AdaptConfig, Started


@pytest.mark.parametrize(("n_images", "n_objects"), [(1, 3), (2, 1), (3, 2), (5, 2)])
def test_the_run_is_as_planned(
    tiny_model: PromptableModel,
    labelled_images: Callable[..., list[LabelledImage]],
    tmp_path: Path,
    n_images: int,
    n_objects: int,
) -> None:
    images = labelled_images(n_images, n_objects=n_objects)
    config = AdaptConfig(peft="decoder", seed=3)
    run = adapt(images, model=tiny_model, config=config, out=tmp_path)
    started = next(report for report in run if isinstance(report, Started))
    run.close()
    plan = plan_run({image.key: n_objects for image in images}, config)
    assert plan == RunPlan(n_images, n_images * n_objects, started.n_val_images, started.steps)
    assert plan.n_images == started.n_images + started.n_val_images


def test_steps_that_are_asked_for_are_taken() -> None:
    assert plan_run({"a": 4, "b": 4}, AdaptConfig(steps=7)).steps == 7
    assert plan_run({}, AdaptConfig()).n_objects == 0


def test_a_checkpoint_is_found_and_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert not has_checkpoint(folder)
    drop_checkpoint(folder)
    folder.mkdir()
    (folder / "checkpoint.safetensors").touch()
    assert has_checkpoint(folder)
    drop_checkpoint(folder)
    assert not folder.exists()


def test_only_the_checkpoint_is_dropped(tmp_path: Path) -> None:
    for name in ("checkpoint.safetensors", "adapter.json"):
        (tmp_path / name).touch()
    drop_checkpoint(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter.json"]


def test_torch_is_not_imported() -> None:
    code = "import sys, infosam.planning; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
