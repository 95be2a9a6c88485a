"""What a run would do now: the numbers above the Adapt button."""

from __future__ import annotations

from infosam.training.holdout import keys_to_hold_out
from infosam.training.schedule import default_steps
from infosam.types import AdaptConfig, InfoSAMError
from napari_infosam.controllers.run_record import recall_pace
from napari_infosam.models.preflight import Preflight
from napari_infosam.models.session import Session

EMBEDDINGS_PER_STEP = 12  # a step costs about that much: forward and backward through a few images


def plan(session: Session, config: AdaptConfig) -> Preflight:
    """What training on the session's project with `config` would use and take."""
    project = session.project
    if project is None:
        return Preflight(problem="No project is open.")
    try:
        counts = project.object_counts()
        pace = recall_pace(project, session.model_name, config.peft)
    except InfoSAMError as error:
        return Preflight(problem=str(error))
    held_out = keys_to_hold_out(counts, config.val_fraction, config.seed)
    n_train = sum(count for key, count in counts.items() if key not in held_out)
    if pace is None and session.embed_seconds:
        pace = EMBEDDINGS_PER_STEP * session.embed_seconds
    steps = config.steps or default_steps(n_train, config.batch_size, config.mode)
    return Preflight(
        n_objects=sum(counts.values()),
        n_images=len(counts),
        n_val_images=len(held_out),
        seconds=None if pace is None else steps * pace,
    )
