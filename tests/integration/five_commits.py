"""Commits five objects in a real window, says so, and waits to be killed."""

import sys

import skimage.data
from qtpy.QtCore import Qt

from tests.integration.conftest import open_window

BOXES = [
    ((168, 187), (218, 239)),
    ((28, 129), (76, 181)),
    ((30, 190), (75, 242)),
    ((154, 313), (219, 382)),
    ((239, 218), (290, 271)),
]


def main() -> None:
    window = open_window(skimage.data.coins(), name="coins")
    window.prompt_on()
    for start, end in BOXES:
        window.drag(start, end)
        window.answered()
        window.key(Qt.Key.Key_Return)
        window.wait(lambda: window.session.prompts.is_empty, "the commit")
    print("committed", len(window.session.objects), flush=True)  # noqa: T201 - our parent waits for it
    sys.stdin.read()


if __name__ == "__main__":
    main()
