"""A real child process: what it says arrives, and however it ends, the end is told once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytestqt.qtbot import QtBot

from infosam.reporting import to_json
from infosam.types import Preparing, Report, Step
from napari_infosam.controllers.training_process import TrainingProcess, python_module
from napari_infosam.models.adapt_run import Ending

SCRIPT = Path(__file__).with_name("training_script.py")
TIMEOUT = 20_000


class Listener:
    def __init__(self, process: TrainingProcess) -> None:
        self.reports: list[Report] = []
        self.endings: list[Ending] = []
        process.reported.connect(self.reports.append)
        process.ended.connect(self.endings.append)

    @property
    def stages(self) -> list[str]:
        return [report.stage for report in self.reports if isinstance(report, Preparing)]


def script(*acts: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *acts]


@pytest.fixture
def process(qapp: Any) -> Iterator[TrainingProcess]:
    process = TrainingProcess(cancel_grace=30, terminate_grace=0.3)
    yield process
    pid = process.pid
    process.close()
    if pid is not None and psutil.pid_exists(pid):
        psutil.Process(pid).kill()


def run(process: TrainingProcess, qtbot: QtBot, *acts: str) -> Listener:
    """Start the script and wait for its end."""
    heard = Listener(process)
    with qtbot.waitSignal(process.ended, timeout=TIMEOUT):
        process.start(script(*acts))
    qtbot.wait(50)  # a second ending would come now
    assert len(heard.endings) == 1
    return heard


def test_reports_arrive_in_order_and_before_the_end(process: TrainingProcess, qtbot: QtBot) -> None:
    heard = run(process, qtbot, "steps:500", "exit:0")
    assert [report.step for report in heard.reports if isinstance(report, Step)] == list(range(1, 501))
    assert heard.endings == [Ending(0, "")]


def test_garbage_and_blank_lines_are_passed_over(process: TrainingProcess, qtbot: QtBot) -> None:
    garbage = "raw:" + b"Epoch 1\n\n{}\n{'event'\n\x00\xff\n".hex()
    heard = run(process, qtbot, garbage, "steps:1", garbage, "steps:2")
    assert len(heard.reports) == 3


def test_a_line_may_come_in_pieces_and_the_last_without_its_end(
    process: TrainingProcess, qtbot: QtBot
) -> None:
    line = to_json(Preparing("embedding “ü”", 1, 2))
    first, second = line[:20], line[20:]
    heard = run(
        process, qtbot, f"say:{first}", "sleep:0.2", f"say:{second}\n{first}", "sleep:0.2", f"say:{second}"
    )
    assert heard.stages == ["embedding “ü”"] * 2


def test_a_crash_tells_its_exit_code_and_the_end_of_stderr(process: TrainingProcess, qtbot: QtBot) -> None:
    heard = run(process, qtbot, "steps:1", "err:" + "x" * 10_000, "err:ValueError: no images", "exit:3")
    (ending,) = heard.endings
    assert ending.code == 3
    assert ending.tail.endswith("\nValueError: no images")
    assert len(ending.tail) <= 4000


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_kill_9_is_told_as_such(process: TrainingProcess, qtbot: QtBot) -> None:
    heard = run(process, qtbot, "steps:2", "kill")
    assert heard.endings == [Ending(-signal.SIGKILL, "")]
    assert len(heard.reports) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_grandchild_that_holds_the_pipes_does_not_hide_the_end(
    process: TrainingProcess, qtbot: QtBot
) -> None:
    heard = Listener(process)
    code = "import os, time; pid = os.fork(); print(pid, flush=True) if pid else time.sleep(15)"
    started = time.monotonic()
    with qtbot.waitSignal(process.ended, timeout=TIMEOUT):
        process.start([sys.executable, "-c", code])
    assert time.monotonic() - started < 12
    assert heard.endings[0].code == 0


def test_no_such_program_is_an_error_at_once(process: TrainingProcess) -> None:
    with pytest.raises(OSError, match="no-such-python"):
        process.start(["/nowhere/no-such-python"])
    process.cancel()
    process.terminate()


def test_cancel_is_one_line_and_the_process_may_take_its_time(process: TrainingProcess, qtbot: QtBot) -> None:
    heard = Listener(process)
    process.start(script("steps:1", "wait", "sleep:0.5", "steps:2", "exit:0"))
    qtbot.waitUntil(lambda: len(heard.reports) == 1, timeout=TIMEOUT)
    with qtbot.waitSignal(process.ended, timeout=TIMEOUT):
        process.cancel()
    assert heard.stages == ["heard 'cancel\\n'"]
    assert len(heard.reports) == 4
    assert heard.endings == [Ending(0, "")]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_who_does_not_listen_to_cancel_is_terminated_and_then_killed(qtbot: QtBot) -> None:
    process = TrainingProcess(cancel_grace=0.2, terminate_grace=0.3)
    heard = Listener(process)
    process.start(script("deaf", "steps:1", "sleep:60"))
    qtbot.waitUntil(lambda: len(heard.reports) == 1, timeout=TIMEOUT)
    with qtbot.waitSignal(process.ended, timeout=TIMEOUT):
        process.cancel()
    assert heard.endings == [Ending(-signal.SIGKILL, "")]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_terminate_ends_who_obeys(process: TrainingProcess, qtbot: QtBot) -> None:
    heard = Listener(process)
    process.start(script("steps:1", "sleep:60"))
    qtbot.waitUntil(lambda: len(heard.reports) == 1, timeout=TIMEOUT)
    with qtbot.waitSignal(process.ended, timeout=TIMEOUT):
        process.terminate()
    assert heard.endings == [Ending(-signal.SIGTERM, "")]


def test_after_close_the_child_ends_by_itself_and_nothing_is_told(
    process: TrainingProcess, qtbot: QtBot, tmp_path: Path
) -> None:
    heard = Listener(process)
    process.start(script("steps:1", f"write:{tmp_path / 'saved'}"))
    qtbot.waitUntil(lambda: len(heard.reports) == 1, timeout=TIMEOUT)
    child = psutil.Process(process.pid)
    process.close()
    qtbot.waitUntil(lambda: not child.is_running(), timeout=TIMEOUT)
    assert (tmp_path / "saved").read_text() == "checkpoint"
    qtbot.wait(100)
    assert heard.endings == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphan_when_the_parent_is_killed(tmp_path: Path, number: int) -> None:
    saved = tmp_path / "saved"
    parent_code = f"""
import sys
from qtpy.QtCore import QCoreApplication
from napari_infosam.controllers.training_process import TrainingProcess
app = QCoreApplication([])
process = TrainingProcess()
process.reported.connect(lambda report: print(process.pid, flush=True))
process.start([sys.executable, {str(SCRIPT)!r}, "steps:1", {f"write:{saved}"!r}])
app.exec()
"""
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, number)
        parent.wait(10)
        child.wait(10)
    assert saved.read_text() == "checkpoint"


def test_closing_the_application_in_mid_run_ends_the_child_without_a_word(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    parent_code = f"""
import sys
from qtpy.QtCore import QCoreApplication, QTimer
from napari_infosam.controllers.training_process import TrainingProcess
app = QCoreApplication([])
process = TrainingProcess(app)
def close(report):
    print(process.pid, flush=True)
    process.close()
    app.quit()
process.reported.connect(close)
process.start([sys.executable, {str(SCRIPT)!r}, "steps:1", "sleep:1", {f"write:{saved}"!r}])
app.exec()
"""
    parent = subprocess.run(
        [sys.executable, "-W", "error", "-c", parent_code],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert parent.stderr == ""
    child_pid = int(parent.stdout)
    if psutil.pid_exists(child_pid):
        psutil.Process(child_pid).wait(10)
    assert saved.read_text() == "checkpoint"


def test_python_module_is_not_shadowed_by_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    done = subprocess.run(
        python_module("infosam.reporting"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
