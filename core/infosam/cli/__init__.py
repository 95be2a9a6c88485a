"""The console script `infosam`; also `python -m infosam.cli`."""

from infosam.cli.app import main

__all__ = ["main"]
