"""Prompts made from masks: for training, and for evaluation."""

from infosam.data.prompts.evaluation import corrected, corrective_point, evaluation_prompt, road_prompt
from infosam.data.prompts.geometry import interior_pixel, tight_box
from infosam.data.prompts.training import (
    noisy_box,
    random_corrective_point,
    random_interior_point,
    training_prompts,
    translated_box,
    uniform_point,
    with_point,
)

__all__ = [
    "corrected",
    "corrective_point",
    "evaluation_prompt",
    "interior_pixel",
    "noisy_box",
    "random_corrective_point",
    "random_interior_point",
    "road_prompt",
    "tight_box",
    "training_prompts",
    "translated_box",
    "uniform_point",
    "with_point",
]
