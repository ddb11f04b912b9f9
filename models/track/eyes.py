"""Lids and irises: how far each eye is open, where it looks, and when it blinks.

All in the head's own frame, so that a turn of the head is no change of the eye. Eyes come in the picture's
order, left first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["blinks", "closure", "gaze_angles", "gaze_vectors", "openings"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Outer corner, inner corner; upper and lower lid in pairs; iris: centre and four points round it.
_CORNERS = ((33, 133), (263, 362))
_UPPER = ((160, 159, 158), (387, 386, 385))
_LOWER = ((144, 145, 153), (373, 374, 380))
_IRIS = (468, 473)
_SHUT = 0.5


def openings(points: F64) -> F64:
    """Lid distance over the eye's width (T, 2), of points (T, 478, 3) in the head's frame."""
    eyes = []
    for (outer, inner), upper, lower in zip(_CORNERS, _UPPER, _LOWER, strict=True):
        apart = np.linalg.norm(points[:, upper] - points[:, lower], axis=2).mean(1)
        eyes.append(apart / (np.linalg.norm(points[:, outer] - points[:, inner], axis=1) + 1e-9))
    return np.stack(eyes, axis=1)


def closure(opening: F64, yaw: F64, wide: F64, shut: float) -> F64:
    """How far the eyes are shut (T,), 0 to 1, both together; `wide` (2,) is how the person's stand open.

    The eye that turns away is seen at a slant, and counts for less.
    """
    share = np.clip((wide - opening) / (wide * (1 - shut)), 0, 1.2)
    away = np.stack([-yaw, yaw], axis=1)
    weight = np.clip(1 - 1.6 * np.maximum(away, 0), 0.1, 1)
    return np.asarray((share * weight).sum(1) / weight.sum(1))


def blinks(shut: F32, rate: float) -> list[tuple[int, int]]:
    """Blinks as (start, stop) frames, from closures (T,): shut for half, and for less than half a second.

    Lids that stay down are sleep, or a look into notes.
    """
    found: list[tuple[int, int]] = []
    down = np.nan_to_num(shut, nan=0.0) > _SHUT
    edges = np.flatnonzero(np.diff(np.r_[False, down, False].astype(np.int8)))
    for start, stop in edges.reshape(-1, 2).tolist():
        if found and start - found[-1][1] <= 1:
            start = found.pop()[0]
        found.append((start, stop))
    return [(a, b) for a, b in found if b - a <= max(round(0.6 * rate), 3)]


def gaze_angles(points: F64, neutral: F64) -> F64:
    """Each eye's look (T, 2 eyes, 2) against the head: radians to the picture's right, and downwards.

    The iris stands off the middle between the corners; `neutral` (2, 2) is where it stands looking ahead, mm.
    """
    out = []
    for (outer, inner), iris in zip(_CORNERS, _IRIS, strict=True):
        off = points[:, iris, :2] - (points[:, outer, :2] + points[:, inner, :2]) / 2
        out.append(off)
    offset = np.stack(out, axis=1) - neutral
    return np.arcsin(np.clip(offset / _EYEBALL_MM, -0.9, 0.9))


_EYEBALL_MM = 12.0


def gaze_vectors(looks: F64, r: F64) -> F32:
    """Unit vectors (T, 2 eyes, 3) in the camera frame; OpenFace's point towards the camera at negative z."""
    x, y = looks[..., 0], looks[..., 1]
    head = np.stack([np.sin(x) * np.cos(y), np.sin(y), -np.cos(x) * np.cos(y)], axis=-1)
    return np.einsum("tij,tej->tei", r, head).astype(np.float32)
