"""Action units from the shape of the face in its own frame: OpenFace's seventeen, 0 to 5, and its presences.

Each unit is a weighted sum of how far points of its region stand from where they do at rest. Weights were
learnt on puppets, whose action units are known; rest is the person's own, as in OpenFace's dynamic models.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNITS", "measured", "presence", "resting", "sides"]

F32 = NDArray[np.float32]

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
# Which share of a person's frames shows less of a unit than rest: faces rest more than they act, but for the
# mouth of somebody who talks, which is seldom shut.
_REST, _REST_OF_MOUTH, _MOUTH = 0.3, 0.06, (25, 26)
_PRESENT = 1.0
# Lips that are pressed hard and show no gap are sucked in.
_PRESS, _PART, _PRESSED, _PARTED = 13, 14, 2.0, 0.3


def sides(points: F32, mirror: NDArray[np.integer]) -> F32:
    """Both halves of faces (T, 478, 3) as one: the mean of each point and its partner's reflection."""
    other = points[:, mirror] * np.array([-1, 1, 1], np.float32)
    return (points + other) * np.float32(0.5)


def measured(half: F32, rows: NDArray[np.integer], weights: F32) -> F32:
    """Units (T, 17) before rest is taken off; `weights` are (len(rows) * 3, 17)."""
    return half[:, rows].reshape(len(half), -1) @ weights


def resting(raw: F32) -> F32:
    """What a person's face at rest measures (17,), out of many frames (T, 17)."""
    shares = [_REST_OF_MOUTH if unit in _MOUTH else _REST for unit in UNITS]
    return np.array([np.quantile(raw[:, k], share) for k, share in enumerate(shares)], np.float32)


def presence(intensity: F32) -> NDArray[np.uint8]:
    """Presences (T, 18) in OpenFace's order: its units, with 28 (lips sucked in) before 45."""
    seen = (np.nan_to_num(intensity) >= _PRESENT).astype(np.uint8)
    sucked = (intensity[:, _PRESS] > _PRESSED) & (intensity[:, _PART] < _PARTED)
    return np.concatenate([seen[:, :16], sucked[:, None].astype(np.uint8), seen[:, 16:]], axis=1)
