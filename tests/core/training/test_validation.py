"""What decides which weights are kept."""

from __future__ import annotations

from infosam.training.validation import is_clearly_worse


def test_what_is_clearly_worse() -> None:
    assert is_clearly_worse([0.1, 0.2, 0.3, 0.4], [0.2, 0.29, 0.41, 0.5])
    assert not is_clearly_worse([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.8])  # all by one object
    assert not is_clearly_worse([0.2, 0.29, 0.41, 0.5], [0.1, 0.2, 0.3, 0.4])
    assert not is_clearly_worse([0.1], [0.9])  # one object says nothing
