"""The undo stack against a plain list of values."""

from napari_infosam.models.history import LIMIT, Change, History


def setter(log: list[int], value: int, before: int, *, transient: bool = False) -> Change:
    log.append(value)
    return Change(str(value), lambda: log.append(before), lambda: log.append(value), transient=transient)


def test_undo_and_redo_go_back_and_forth_in_order() -> None:
    log: list[int] = [0]
    history = History()
    for value in (1, 2, 3):
        history.push(setter(log, value, value - 1))
    assert [history.undo().name for _ in range(3)] == ["3", "2", "1"]  # type: ignore[union-attr]
    assert log[-1] == 0
    assert history.undo() is None
    assert [history.redo().name for _ in range(3)] == ["1", "2", "3"]  # type: ignore[union-attr]
    assert log[-1] == 3
    assert history.redo() is None


def test_a_new_change_forgets_what_was_undone() -> None:
    log: list[int] = [0]
    history = History()
    history.push(setter(log, 1, 0))
    history.undo()
    history.push(setter(log, 2, 0))
    assert history.last_undone is None
    assert history.last_done is not None
    assert history.last_done.name == "2"


def test_a_change_that_fails_to_be_undone_leaves_what_can_be_undone_before_it() -> None:
    history, told = History(), []
    history.changed.connect(lambda: told.append(1))
    history.push(setter([], 1, 0))
    assert told == [1]


def test_the_oldest_changes_are_forgotten() -> None:
    history = History()
    for value in range(LIMIT + 5):
        history.push(setter([], value, value - 1))
    undone = []
    while (change := history.undo()) is not None:
        undone.append(change.name)
    assert len(undone) == LIMIT
    assert undone[-1] == "5"


def test_transient_changes_are_forgotten_and_the_others_stay_in_order() -> None:
    history = History()
    for value, transient in ((1, False), (2, True), (3, False), (4, True)):
        history.push(setter([], value, 0, transient=transient))
    history.undo()
    history.forget(lambda change: change.transient)
    assert history.last_undone is None
    assert history.undo().name == "3"  # type: ignore[union-attr]
    assert history.undo().name == "1"  # type: ignore[union-attr]
    assert history.undo() is None
