"""Reports survive the way through a line of text; anything else is refused."""

import json
import math
import subprocess
import sys

import pytest

from infosam.reporting import from_json, to_json
from infosam.types import (
    BadInputError,
    Card,
    Failed,
    Finished,
    Preparing,
    Report,
    Scores,
    Started,
    Step,
    Validated,
)

SCORES = Scores(iou=0.81, dice=0.9, boundary_f1=None, n_images=2, n_objects=9)
CARD = Card(
    pretrained={"point": SCORES, "box": SCORES}, new={"point": SCORES}, current=None, note="so-so \n “ü”"
)
REPORTS: list[Report] = [
    Started(8, 40, 2, 9, 300, 123_456, "cpu", "sam_pocket"),
    Preparing("embedding", 3, 10),
    Step(7, 300, {"loss": 0.5, "structure": 0.25}, 2e-4, 0.31, 90.0),
    Validated(25, 0.77, 9, True),
    Finished("early_stop", "/tmp/an adapter", CARD, 150, 61.5),
    Finished("done", "adapter", Card({}, {}, {"box": SCORES}), 150, 61.5),
    Failed("out of memory", "Choose a smaller model.", True),
]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.event)
def test_every_report_comes_back_equal_from_one_line(report: Report) -> None:
    line = to_json(report)
    assert "\n" not in line
    assert from_json(line + "\n") == report


def test_numbers_that_are_not_finite_are_null_in_the_text_and_nan_when_read() -> None:
    line = to_json(Step(1, 2, {"loss": math.nan, "structure": math.inf}, 1e-4, 0.1, math.inf))
    assert json.loads(line)["losses"] == {"loss": None, "structure": None}
    report = from_json(line)
    assert isinstance(report, Step)
    assert math.isnan(report.losses["loss"])
    assert math.isnan(report.eta)


def test_unknown_keys_are_passed_over() -> None:
    data = json.loads(to_json(REPORTS[1])) | {"hostname": "x"}
    assert from_json(json.dumps(data)) == REPORTS[1]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Epoch 1/10",
        "[1, 2]",
        "3",
        "null",
        '{"event": "party"}',
        '{"event": ["step"]}',
        '{"event": "preparing", "stage": "embedding"}',
        '{"event": "preparing", "stage": "embedding", "done": "3", "total": 4}',
        '{"event": "preparing", "stage": "embedding", "done": true, "total": 4}',
        '{"event": "step", "step": 1, "steps": 2, "losses": 3, "lr": 1, "seconds": 1, "eta": 1}',
        '{"event": "step", "step": 1, "steps": 2, "losses": {"loss": "x"}, "lr": 1, "seconds": 1, "eta": 1}',
        '{"event": "finished", "status": "great", "adapter": "a", "card": {}, "steps": 1, "seconds": 1}',
        '{"event": "finished", "status": "done", "adapter": "a", "card": 5, "steps": 1, "seconds": 1}',
        "[" * 100_000,
    ],
)
def test_what_is_not_a_report_is_refused_with_the_line_quoted(line: str) -> None:
    with pytest.raises(BadInputError) as error:
        from_json(line)
    assert repr(line[:20])[:-1] in str(error.value)


def test_torch_is_not_imported() -> None:
    code = "import sys, infosam.reporting; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
