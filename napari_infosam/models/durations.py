"""Durations as people say them."""

from __future__ import annotations


def about(seconds: float) -> str:
    """A rough duration: "10 s", "4 min", "2 h 10 min". Longer than a second; nan and infinity are unknown."""
    if not 0 <= seconds < float("inf"):
        return "unknown"
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(5 * round(minutes / 5), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
