"""From one image to the next."""

from __future__ import annotations

from pathlib import Path

from infosam.types import BadInputError
from napari_infosam.controllers.edits import LabelEditor
from napari_infosam.controllers.errors import guarded
from napari_infosam.layers import ViewerLayers
from napari_infosam.models.series import neighbour
from napari_infosam.models.session import Session

MOST_PASSED = 20  # files without an image, one after the other, before the user is asked


class ImageSteps:
    """Steps through the image layers or, where one is open alone, through the files of its folder."""

    def __init__(self, session: Session, layers: ViewerLayers, editor: LabelEditor) -> None:
        self.session = session
        self._layers = layers
        self._editor = editor
        self._opening = False

    @guarded
    def step(self, step: int) -> None:
        """Show the next (1) or previous (-1) image."""
        if self._opening:  # napari handles keys while it opens a file
            return
        if self._layers.step_image(step):
            return
        session, path = self.session, self._layers.file
        if path is None:
            session.say("No other image is open.")
            return
        self._editor.record_strokes(unheard=True)
        if session.image_id is None and self._editor.has_labels:
            session.say(f"{session.image_name} is still being read: once more in a moment.")
            return
        self._opening = True
        try:
            self._walk(path, step)
        except OSError as error:
            raise BadInputError(f"The folder of this image cannot be read: {error}") from error
        finally:
            self._opening = False

    def _walk(self, path: Path, step: int) -> None:
        """Open the first file after `path` that holds an image."""
        passed: list[str] = []
        other = neighbour(path, step)
        while other is not None and len(passed) < MOST_PASSED:
            try:
                self._layers.open_instead(other)
                break
            except BadInputError as error:
                passed.append(str(error))
                other = neighbour(other, step)
        else:
            end = "last" if step > 0 else "first"
            passed.append(f"This is the {end} image here.")
        if passed:
            self.session.say("\n".join(passed), problem=len(passed) > 1)
