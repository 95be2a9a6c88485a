"""The line under the tools that says what to do next."""

from __future__ import annotations

from napari_infosam.models.session import Session


def hint(session: Session, *, suspended: bool) -> str:
    """What the user can do now. suspended: prompting is on, but the active layer is being painted on."""
    if not session.image_name:
        return "Open an image, or one from File › Open Sample › InfoSAM."
    if not session.prompting:
        return "Press Prompt, then click on an object or drag a box around it."
    if suspended:
        return "Painting: strokes are saved as corrections. Press Prompt to go on clicking."
    if session.prompts.is_empty:
        return "Click on an object or drag a box around it. Double-click a label to refine it."
    if session.candidates is None:
        return "Looking for the object…"
    if len(session.candidates) > 1:
        return "Enter commits, Tab shows another mask, Ctrl+click takes away, Esc clears."
    return "Enter commits, click adds, Ctrl+click takes away, Esc clears."
