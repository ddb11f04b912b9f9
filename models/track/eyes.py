"""Lids and irises: how far the eyes are shut, when they blink, and where each looks.

Openings are ratios of lengths in three dimensions, so that a turn of the head is no change of the eye; shut
is told against how the eyes stood open around that moment. Eyes come in the picture's order, left first.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.track.smoothing import runs, smoothed

__all__ = ["EYEBALL_MM", "EYE_POINTS", "blinks", "closures", "gaze_angles", "gaze_vectors", "openings"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Outer corner, inner corner; upper and lower lid in pairs; the iris's centre.
_CORNERS = ((33, 133), (263, 362))
_UPPER = ((160, 159, 158), (387, 386, 385))
_LOWER = ((144, 145, 153), (373, 374, 380))
_IRIS = (468, 473)
# All that `openings` looks at, for callers who hand in these points only.
EYE_POINTS: NDArray[np.int64] = np.array(
    [i for eye in range(2) for part in (_CORNERS, _UPPER, _LOWER) for i in part[eye]]
)
_AROUND_S, _OPEN = 2.0, 0.7
# Lids that stay down for longer than that window are still down: a share of how the person looks otherwise.
_LEAST = 0.6
# What the mesh leaves of an eye that is shut: it reads slits too wide.
_SHUT = 0.38
_BLINK, _LONGEST_S = 0.5, 0.6
EYEBALL_MM = 12.0


def openings(points: F32) -> F32:
    """Lid distance over the eye's width (T, 2), of the points (T, 16, 3) of `EYE_POINTS`."""
    eyes = points.reshape(len(points), 2, 8, 3)
    width = np.linalg.norm(eyes[:, :, 0] - eyes[:, :, 1], axis=2)
    apart = np.linalg.norm(eyes[:, :, 2:5] - eyes[:, :, 5:8], axis=3).mean(2)
    return np.asarray(apart / (width + 1e-9), np.float32)


def closures(opening: F32, present: NDArray[np.bool_], shot: NDArray[np.int32], rate: float) -> F32:
    """How far the eyes are shut (T,), 0 to 1, both together; missing where there is no face."""
    shut = np.full(len(opening), np.nan, np.float32)
    if not present.any():
        return shut
    usual = np.quantile(opening[present], _OPEN, axis=0) * _LEAST
    steady = smoothed(opening, present, shot)
    half = max(round(_AROUND_S * rate / 2), 1)
    for run in runs(present, shot):
        values = steady[run]
        framed = np.pad(values, ((half, half), (0, 0)), mode="reflect" if len(values) > half else "edge")
        around = sliding_window_view(framed, 2 * half + 1, axis=0)
        base = np.maximum(np.quantile(around, _OPEN, axis=2), usual)
        shut[run] = np.clip((1 - values / base).mean(1) / (1 - _SHUT), 0, 1)
    return shut


def blinks(shut: F32, rate: float) -> list[tuple[int, int]]:
    """Blinks as (start, stop) frames, from closures (T,): shut by half, and not for longer than blinks last.

    Lids that stay down are sleep, or a look into notes.
    """
    found: list[tuple[int, int]] = []
    down = np.nan_to_num(shut, nan=0.0) > _BLINK
    edges = np.flatnonzero(np.diff(np.r_[False, down, False].astype(np.int8)))
    for start, stop in edges.reshape(-1, 2).tolist():
        if found and start - found[-1][1] <= 1:
            start = found.pop()[0]
        found.append((start, stop))
    return [(a, b) for a, b in found if b - a <= max(round(_LONGEST_S * rate), 3)]


def gaze_angles(points: F32, ahead: F32) -> F64:
    """Each eye's look (T, 2 eyes, 2) against the head: radians to the picture's right, and downwards.

    `points` (T, 478, 3) are in the head's frame. The iris stands off the middle between the corners; `ahead`
    (2, 2) is where it stands looking ahead, mm.
    """
    offset = np.stack(
        [
            points[:, iris, :2] - (points[:, outer, :2] + points[:, inner, :2]) / 2
            for (outer, inner), iris in zip(_CORNERS, _IRIS, strict=True)
        ],
        axis=1,
    ).astype(np.float64)
    return np.asarray(np.arcsin(np.clip((offset - ahead) / EYEBALL_MM, -0.9, 0.9)))


def gaze_vectors(looks: F64, r: F64) -> F32:
    """Unit vectors (T, 2 eyes, 3) in the camera frame; OpenFace's point towards the camera at negative z."""
    x, y = looks[..., 0], looks[..., 1]
    head = np.stack([np.sin(x) * np.cos(y), np.sin(y), -np.cos(x) * np.cos(y)], axis=-1)
    return np.einsum("tij,tej->tei", r, head).astype(np.float32)
