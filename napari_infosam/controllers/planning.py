"""What a run would do now: the numbers above the Adapt button."""

from __future__ import annotations

from infosam.planning import plan_run
from infosam.types import AdaptConfig, InfoSAMError
from napari_infosam.controllers.run_record import recall_pace
from napari_infosam.models.preflight import Preflight
from napari_infosam.models.session import Session

# What a step costs: forward and backward through a few images. Measured on one core with sam_pocket and
# adapters, 8 prompts per step, zoom auto, images of 320 x 320 px: 3.6 s per step, 0.3 s per embedding.
EMBEDDINGS_PER_STEP = 12


def plan(session: Session, config: AdaptConfig) -> Preflight:
    """What training on the session's project with `config` would use and take."""
    project = session.project
    if project is None:
        return Preflight(problem="No project is open.")
    try:
        run = plan_run(project.object_counts(), config)
        pace = recall_pace(project, session.model_name, config.peft)
    except InfoSAMError as error:
        return Preflight(problem=str(error))
    if pace is None and session.embed_seconds:
        pace = EMBEDDINGS_PER_STEP * session.embed_seconds
    seconds = None if pace is None else run.steps * pace
    return Preflight(run.n_objects, run.n_images, run.n_val_images, seconds)
