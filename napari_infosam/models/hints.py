"""The line under the tools that says what to do next."""

from __future__ import annotations

from napari_infosam.models.session import Session


def hint(session: Session) -> str:
    """What the user can do now."""
    if session.shown is None and session.image_name:
        return "This image takes no prompts as it is shown now."
    if session.shown is None:
        return "Open an image, or one from File › Open Sample › InfoSAM."
    if session.tool == "brush":
        return "Strokes are saved as corrections; M begins a new object. Press Prompt to go on clicking."
    if session.tool is not None:
        return "What you erase is saved as a correction. Press Prompt to go on clicking."
    if not session.prompting:
        return "Press Prompt, then click on an object or drag a box around it."
    if session.suspended:
        return "Prompts wait: put the active layer into pan/zoom, or press Prompt."
    if session.prompts.is_empty:
        return "Click on an object or drag a box around it. Double-click a label to refine it."
    refined = next((item.label for item in session.objects if item.id == session.refining), None)
    what = "" if refined is None else f"Refining object {refined}. "
    if session.candidates is None:
        return f"{what}Looking for its mask…" if what else "Looking for the object…"
    if len(session.candidates) > 1:
        return f"{what}Enter commits, Tab shows another mask, Ctrl+click takes away, Esc clears."
    return f"{what}Enter commits, click adds, Ctrl+click takes away, Esc clears."
