from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from infosam.cli.app import app, main
from infosam.cli.stop import StopRequests
from infosam.data.io import read_mask
from infosam.data.project import Project
from infosam.inference.adapter import read_adapter_info
from infosam.models import registry
from infosam.models.base import PromptableModel
from infosam.politeness import polite_threads
from infosam.reporting import from_json
from infosam.types import BadInputError, Failed, Finished, InfoSAMError, Started, Step, Validated

Folder = Callable[..., Path]


@pytest.fixture
def tiny_pocket(tiny_model: PromptableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model is what `sam_pocket` loads."""
    monkeypatch.setattr(registry, "load", lambda *_, **__: tiny_model)
    monkeypatch.setattr("infosam.cli.adapt_command.polite_threads", lambda: 1)
    monkeypatch.setattr("infosam.cli.stop.StopRequests.listen_to_signals", lambda _: None)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


# ------------------------------------------------------------------------------------------ light commands


def test_help_and_models_need_no_torch() -> None:
    code = "import sys\nfrom infosam.cli.app import app\n"
    code += "app(['{}'], standalone_mode=False)\nassert 'torch' not in sys.modules"
    for command in ("--help", "models"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(command)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_idle_threads_of_every_command_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    invoke("models")
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    invoke("models")
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 2), (16, 15)])
def test_training_leaves_a_core_free_where_it_can(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.setattr("infosam.politeness.usable_cores", lambda: cores)
    assert polite_threads() == threads


def test_export_writes_what_the_library_reads(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        image = project.add_image(np.arange(600, dtype=np.uint16).reshape(20, 30), name="plate")
        mask = np.zeros((20, 30), bool)
        mask[3:9, 4:11] = True
        project.add_object(image.id, mask, label=7)
    refused = invoke("export", tmp_path, "-o", tmp_path / "labels")
    assert refused.exit_code == 1
    assert isinstance(refused.exception, BadInputError)
    written = json.loads(invoke("export", tmp_path / "project", "-o", tmp_path / "labels", "--json").stdout)
    assert (written["n_images"], written["n_objects"], written["missing"]) == (1, 1, [])
    assert np.array_equal(read_mask(Path(written["folder"]) / "masks" / "0001-plate.tif"), 7 * mask)


def test_import_makes_a_project(labelled_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder, project = labelled_folder(2), tmp_path / "project"
    read = json.loads(invoke("import", folder, "-p", project, "--json").stdout)
    assert (read["n_images"], read["n_known"]) == (2, 0)
    with Project.open(project) as opened:
        assert len(opened.objects()) == read["n_objects"] > 0
    again = invoke("import", folder, "--project", project)
    assert f"passed over, which the project had already: {read['n_objects']}" in again.stdout
    assert invoke("import", folder, "-p", project, "--objects", "some").exit_code == 2


def test_models_lists_all_in_both_forms() -> None:
    lines = invoke("models").stdout
    listed = json.loads(invoke("models", "--json").stdout)["models"]
    assert [model["name"] for model in listed] == registry.names()
    assert all(name in lines for name in registry.names())
    assert {"family", "parameters", "bytes", "licence", "on_disk"} <= listed[0].keys()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["fly"], "fly"),
        (["adapt", "nowhere", "-o", "out"], "nowhere"),
        (["adapt", ".", "-o", "out", "--model", "sam_vit_x"], "sam_vit_x"),
        (["adapt", ".", "-o", "out", "--peft", "glue"], "glue"),
        (["adapt", ".", "-o", "out", "--distill", "osmosis"], "osmosis"),
        (["adapt", ".", "-o", "out", "--mode", "fast"], "fast"),
        (["adapt", ".", "-o", "out", "--batch-size", "1"], "batch_size must be at least 2, not 1"),
        (["adapt", ".", "-o", "out", "--lr", "-1"], "lr must be positive and finite, not -1"),
        (["adapt", ".", "-o", "out", "--objects", "some"], "some"),
        (["adapt", ".", "-o", "out", "--teacher", "sam_vit_x"], "sam_vit_x"),
        (["adapt", ".", "-o", "out", "--set", "steps=3"], "'steps' is not one of alpha"),
        (["adapt", ".", "-o", "out", "--set", "alpha=-1"], "alpha must be positive and finite, not -1"),
        (["adapt", ".", "-o", "out", "--set", "relation=glue"], "'glue'"),
        (["evaluate", ".", "--prompt", "circle"], "circle"),
        (["evaluate", ".", "--protocol", "strict"], "strict"),
        (["segment", __file__, "-o", "mask.tif"], "--point or a --box"),
        (["segment", __file__, "-o", "mask.tif", "--point", "3"], "'3' is not 2 numbers"),
        (["segment", __file__, "-o", "mask.tif", "--point", "3,4,2"], "must be 1 (on the object) or 0"),
        (["segment", __file__, "-o", "mask.tif", "--box", "1,2,3"], "'1,2,3' is not 4 numbers"),
    ],
)
def test_bad_use_ends_with_2_and_names_it(arguments: list[str], named: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    message = " ".join(result.stderr.replace("│", " ").split())
    assert named in message


def test_a_failure_ends_with_1_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    monkeypatch.setattr("sys.argv", ["infosam", "evaluate", str(tmp_path), "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    written = capsys.readouterr()
    assert written.out == ""
    (line,) = written.err.strip().splitlines()
    assert line.startswith("error: ")
    assert str(tmp_path) in line


@pytest.fixture
def stop() -> Iterator[StopRequests]:
    """Requests that listen to signals for the length of a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    requests = StopRequests()
    requests.listen_to_signals()
    yield requests
    for number, handler in before.items():
        signal.signal(number, handler)


def test_ctrl_c_cancels_and_a_second_one_interrupts(stop: StopRequests) -> None:
    assert not stop.cancelled()
    signal.raise_signal(signal.SIGINT)
    assert stop.cancelled()
    assert not stop.leaving()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_terminate_asks_to_leave(stop: StopRequests) -> None:
    signal.raise_signal(signal.SIGTERM)
    assert stop.leaving()
    assert not stop.cancelled()


# ---------------------------------------------------------------------------------- the loop in one process


@pytest.mark.usefixtures("tiny_pocket")
def test_adapt_evaluate_segment(labelled_folder: Folder, tmp_path: Path) -> None:
    data, out = labelled_folder(4), tmp_path / "adapter"
    result = invoke("adapt", data, "-o", out, "--steps", "3", "--limit", "3", "--json")
    assert result.exit_code == 0, result.stderr
    finished = json.loads(result.stdout)
    assert (finished["status"], finished["steps"], finished["adapter"]) == ("done", 3, str(out))
    assert finished["card"]["new"]["box"]["n_objects"] == 2
    assert "sam_pocket on cpu" in result.stderr
    assert (out / "adapter.safetensors").is_file()

    scored = invoke(
        "evaluate", data, "--adapter", out, "--exclude", out, "--prompt", "point", "--multimask", "--json"
    )
    scores = json.loads(scored.stdout)
    assert (scores["n_images"], scores["n_objects"], scores["prompt"]) == (1, 2, "point")
    assert scores["multimask"]
    assert set(scores["boundary_f1"]) == {"0", "1", "2", "3"}
    table = invoke("evaluate", data, "--limit", "1").stdout
    assert "2 objects in 1 images, prompt box" in table
    assert "weighted f" in table

    image, mask = data / "images" / "00.png", tmp_path / "mask.tif"
    segmented = invoke(
        "segment", image, "--point", "10,12", "--point", "1,1,0", "--adapter", out, "-o", mask, "--json"
    )
    assert segmented.exit_code == 0, segmented.stderr
    told = json.loads(segmented.stdout)
    assert told["mask"] == str(mask)
    written = read_mask(mask)
    assert written.shape == (48, 64)
    assert int((written > 0).sum()) == told["area"]


@pytest.mark.usefixtures("tiny_pocket")
def test_predict_writes_what_import_reads(labelled_folder: Folder, tmp_path: Path) -> None:
    data, out = labelled_folder(2), tmp_path / "found"
    arguments = ["predict", data, "-o", out, "--extent", "20", "--min-score", "0", "--json"]
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["folder"], told["n_images"], told["n_failed"]) == (str(out), 2, 0)
    assert told["n_objects"] > 0
    assert json.loads((out / "settings.json").read_text())["zoom"] == "auto"  # as near as the extent asks for
    taken = invoke("import", out / "labels.csv", "--objects", "labels", "-p", tmp_path / "project", "--json")
    assert taken.exit_code == 0, taken.stderr
    with Project.open(tmp_path / "project") as project:
        assert len(project.objects()) == told["n_objects"]

    (data / "images" / "01.png").write_bytes(b"damaged")
    (data / "images" / "01.png").rename(data / "images" / "01 [old].png")
    again = invoke("predict", data, "-o", tmp_path / "other", "--min-score", "0")
    assert isinstance(again.exception, InfoSAMError)
    assert "1 of 2 images" in str(again.exception)
    assert "01 [old].png" in again.stderr
    assert "Name --extent" in again.stderr
    assert "images 1" in again.stdout


@pytest.mark.usefixtures("tiny_pocket")
def test_events_are_one_report_a_line(labelled_folder: Folder, tmp_path: Path) -> None:
    arguments = ["--steps", "2", "--seed", "3", "--peft", "lora", "--set", "relation=dot", "--set", "alpha=3"]
    result = invoke("adapt", labelled_folder(3), "-o", tmp_path / "a", "--events", "--json", *arguments)
    settings = read_adapter_info(tmp_path / "a").training
    assert (settings["relation"], settings["alpha"]) == ("dot", 3)
    *lines, last = result.stdout.splitlines()
    reports = [from_json(line) for line in lines]
    assert isinstance(reports[0], Started)
    assert isinstance(reports[-1], Finished)
    assert [report.step for report in reports if isinstance(report, Step)] == [1, 2]
    assert [report.step for report in reports if isinstance(report, Validated)] == [0, 2]
    assert json.loads(last)["adapter"] == reports[-1].adapter


@pytest.mark.usefixtures("tiny_pocket")
def test_people_get_a_table_and_an_honest_note(labelled_folder: Folder, tmp_path: Path) -> None:
    result = invoke("adapt", labelled_folder(1), "-o", tmp_path / "a", "--steps", "1")
    assert result.exit_code == 0
    assert "pre-trained" in result.stdout
    assert "Too few labelled images to measure" in result.stdout


@pytest.mark.usefixtures("tiny_pocket")
def test_one_object_fails_as_an_event_too(labelled_folder: Folder, tmp_path: Path) -> None:
    result = invoke("adapt", labelled_folder(1, n_objects=1), "-o", tmp_path / "a", "--events")
    assert result.exit_code == 1
    report = from_json(result.stdout.strip())
    assert isinstance(report, Failed)
    assert "Label one more object" in report.reason


@pytest.mark.usefixtures("tiny_pocket")
def test_a_fault_of_the_program_is_told_and_not_hidden(
    labelled_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("infosam.distill.infosam.InfoSAMTask.forward", fail)
    result = invoke("adapt", labelled_folder(2), "-o", tmp_path / "a", "--events")
    assert isinstance(result.exception, ZeroDivisionError)
    report = from_json(result.stdout.splitlines()[-1])
    assert isinstance(report, Failed)
    assert "ZeroDivisionError: by zero" in report.reason
    assert report.resumable  # from before the step that failed


def test_pocket_itself_answers_from_the_command_line(single_thread: None, tmp_path: Path) -> None:
    image = np.full((60, 90, 3), 30, np.uint8)
    image[20:45, 30:60] = 220
    iio.imwrite(tmp_path / "image.png", image)
    result = invoke("segment", tmp_path / "image.png", "--box", "18,28,47,62", "-o", tmp_path / "mask.png")
    assert result.exit_code == 0, result.stderr
    mask = read_mask(tmp_path / "mask.png") > 0
    assert mask[32, 45]
    assert not mask[5, 5]


# --------------------------------------------------------------------------------------------- pre-training


@pytest.mark.slow
def test_pretrain_stops_after_its_minutes_with_weights(tmp_path: Path) -> None:
    result = invoke("pretrain", "-o", tmp_path, "--minutes", "0", "--threads", "1", "--json")
    assert result.exit_code == 0, result.stderr
    scores = json.loads(result.stdout)
    assert Path(scores["weights"]).is_file()
    assert scores["step"] == 0
    assert 0 <= scores["box"] <= 1


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--judge", "--lines", "--from", "w"], "give one of them"),
        (["--gpu", "--judge", "--from", "w"], "give one of them"),
        (["--lines"], "name them with --from"),
        (["--judge"], "name them with --from"),
        (["--lines", "--from", "w", "--minutes", "3"], "leave --minutes"),
        (["--lines", "--from", "w", "--events"], "--events"),
        (["--lines", "--from", "w", "--shards", "2"], "--shards out"),
    ],
)
def test_pretrain_refuses_what_it_would_not_do(arguments: list[str], names: str, tmp_path: Path) -> None:
    result = invoke("pretrain", "-o", tmp_path / "run", *arguments)
    assert isinstance(result.exception, BadInputError)
    assert names in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_pretrain_keeps_the_recipe_for_gpus_from_a_machine_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infosam.models.device._best", lambda: "cpu")
    result = invoke("pretrain", "-o", tmp_path / "run", "--gpu")
    assert isinstance(result.exception, BadInputError)
    assert "--device cpu" in str(result.exception)
    assert not (tmp_path / "run").exists()
