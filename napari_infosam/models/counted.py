"""Numbers of things, as the panel names them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """“1 object”, “2 objects”."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
