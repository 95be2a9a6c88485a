"""Every background job ends, and what it brings arrives on the GUI thread."""

import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from napari_infosam.workers import Worker


@pytest.fixture
def worker(qapp: object) -> Iterator[Worker]:
    made = Worker("test")
    yield made
    made.close()


def test_the_result_arrives_on_the_gui_thread(worker: Worker, qtbot: QtBot) -> None:
    threads: list[threading.Thread] = []
    results: list[threading.Thread] = []

    def done(result: threading.Thread) -> None:
        results.append(result)
        threads.append(threading.current_thread())

    worker.submit(threading.current_thread, done, pytest.fail)
    qtbot.waitUntil(lambda: bool(results))
    assert threads == [threading.main_thread()]
    assert results[0] is not threading.main_thread()


@pytest.mark.parametrize("error", [RuntimeError("no memory"), ValueError("bad"), KeyError("lost")])
def test_any_failure_arrives(worker: Worker, qtbot: QtBot, error: Exception) -> None:
    failures: list[Exception] = []

    def fail() -> None:
        raise error

    worker.submit(fail, pytest.fail, failures.append)
    qtbot.waitUntil(lambda: bool(failures))
    assert failures == [error]


def test_jobs_run_one_after_another_in_order(worker: Worker, qtbot: QtBot) -> None:
    results: list[int] = []
    for number in range(20):
        worker.submit(lambda number=number: number, results.append, pytest.fail)  # type: ignore[misc]
    qtbot.waitUntil(lambda: len(results) == 20)
    assert results == list(range(20))


def test_a_job_that_is_no_longer_wanted_is_neither_run_nor_delivered(worker: Worker, qtbot: QtBot) -> None:
    ran: list[str] = []
    delivered: list[None] = []
    gate = threading.Event()
    worker.submit(gate.wait, lambda _: None, pytest.fail)
    worker.submit(lambda: ran.append("stale"), delivered.append, pytest.fail, wanted=lambda: False)
    worker.submit(lambda: ran.append("fresh"), delivered.append, pytest.fail)
    gate.set()
    qtbot.waitUntil(lambda: bool(delivered))
    assert ran == ["fresh"]
    assert len(delivered) == 1


def test_a_closed_worker_delivers_nothing_more(worker: Worker, qtbot: QtBot) -> None:
    gate, started = threading.Event(), threading.Event()
    delivered: list[object] = []

    def work() -> None:
        started.set()
        gate.wait()

    worker.submit(work, delivered.append, delivered.append)
    worker.submit(work, delivered.append, delivered.append)
    assert started.wait(10)
    worker.close()
    gate.set()
    worker.submit(work, delivered.append, delivered.append)
    qtbot.wait(100)
    assert delivered == []
