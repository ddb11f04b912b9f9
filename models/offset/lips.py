"""How far lips are apart and how wide the mouth is: as seen in landmarks, and as read from the sound.

The reading is linear, and was learned from puppets alone (`python -m tasks.lip_table`): a table that
says how lips stand around each of the 29 symbols. It needs the embedded network's log-probabilities, whose
symbols are articulations, frame by frame; another network's letters come later and sharper.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.offset.table import TABLE

__all__ = ["MOTIONS", "PLACING", "TAPS", "lip_motion", "read_lips", "reading_windows"]

F64 = NDArray[np.float64]

MOTIONS = ("gap", "width")
# When lips part differs from one person to another; when the mouth is widest, hardly.
PLACING = (0.15, 1.0)
TAPS = (-6, -4, -2, 0, 2, 4, 6)  # rows of 20 ms
_UNLIKELY = -8.0
_INNER = ((13, 14), (82, 87), (312, 317))
_CORNERS = (61, 291)
_EYES = ((33, 133), (263, 362))
# A mesh reads narrow slits too wide and tells little among wide mouths: what counts is open or shut.
_HALF_OPEN = 0.08


def lip_motion(landmarks: NDArray[Any]) -> F64:
    """(T, 478, >= 2) to (T, 2): opening of the inner lips, 0 to 1, and width over the eyes' distance."""
    points = np.asarray(landmarks, np.float64)[:, :, :2]
    left, right = (points[:, list(pair)].mean(1) for pair in _EYES)
    scale = np.maximum(np.linalg.norm(left - right, axis=-1), 1e-6)
    pairs = [np.linalg.norm(points[:, a] - points[:, b], axis=-1) for a, b in _INNER]
    gap = np.mean(pairs, axis=0) / scale
    width = np.linalg.norm(points[:, _CORNERS[0]] - points[:, _CORNERS[1]], axis=-1) / scale
    return np.stack([gap / (gap + _HALF_OPEN), width], -1)


def reading_windows(log_probabilities: NDArray[Any]) -> F64:
    """(T50, 29) to (T50, taps * 29): each row with its surroundings, without what is all but impossible."""
    rows = np.maximum(np.asarray(log_probabilities, np.float64), _UNLIKELY)
    reach = max(TAPS)
    padded = np.pad(rows, ((reach, reach), (0, 0)), mode="edge")
    return np.concatenate([padded[reach + tap : reach + tap + len(rows)] for tap in TAPS], 1)


def read_lips(log_probabilities: NDArray[Any]) -> F64:
    """(T50, 29) to (T50, 2): `lip_motion` as it should be, but for a constant and a scale."""
    if not len(log_probabilities):
        return np.zeros((0, len(MOTIONS)))
    table = np.asarray(TABLE, np.float64).reshape(-1, len(TAPS), len(MOTIONS)).swapaxes(0, 1)
    return reading_windows(log_probabilities) @ table.reshape(-1, len(MOTIONS))
