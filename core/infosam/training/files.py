"""What a run leaves in its folder, to be asked for without importing torch."""

from __future__ import annotations

from pathlib import Path

from infosam.training.lock import LOCK_NAME

CHECKPOINT_NAME = "checkpoint.safetensors"


def has_checkpoint(folder: Path) -> bool:
    """Whether a run was cut off in this folder and can be resumed."""
    return (folder / CHECKPOINT_NAME).is_file()


def drop_checkpoint(folder: Path) -> None:
    """Give up a run that was cut off: remove its checkpoint, and the folder if nothing else is in it."""
    for name in (CHECKPOINT_NAME, LOCK_NAME):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
