"""Scores of a predicted mask against the true one: functions, and one accumulator. No torch."""

from infosam.metrics.accumulator import Accumulator
from infosam.metrics.boundary import boundary_f1, boundary_f1_curve
from infosam.metrics.overlap import ber, dice, iou
from infosam.metrics.protocol import BOUNDARY_KEYS, PROTOCOLS, ScoringProtocol, object_scores
from infosam.metrics.structural import e_measure, s_measure, weighted_f_measure

__all__ = [
    "BOUNDARY_KEYS",
    "PROTOCOLS",
    "Accumulator",
    "ScoringProtocol",
    "ber",
    "boundary_f1",
    "boundary_f1_curve",
    "dice",
    "e_measure",
    "iou",
    "object_scores",
    "s_measure",
    "weighted_f_measure",
]
