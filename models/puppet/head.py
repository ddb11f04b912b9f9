"""The skin of the head: the landmark mesh, refined, and a loft from its rim over skull, jaw and neck.

Every skin vertex is a linear function of the 468 face landmarks and a fixed set of skull rings, so an
expression moves the landmarks and the whole skin follows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.puppet.curves import catmull, spline
from models.puppet.figure import LIP_RINGS, RIM, figure
from models.puppet.mesh import grid_triangles, refine

__all__ = ["NECK_RING", "Skin", "skin", "skull_rings"]

F32 = NDArray[np.float32]

# Half outlines of the rings behind the face, at 0 (forehead), 45, 90 (ear), 135 and 180 degrees (throat).
_RINGS = np.array(
    [
        [(0, -118, 18), (67, -86, 52), (72, -2, 84), (46, 60, 52), (0, 83, 27)],
        [(0, -139, 60), (72, -98, 82), (73, 4, 108), (50, 76, 76), (0, 92, 46)],
        [(0, -130, 122), (66, -78, 132), (64, 22, 130), (48, 96, 96), (0, 110, 55)],
        [(0, -80, 172), (52, -18, 162), (50, 66, 140), (47, 118, 106), (0, 130, 60)],
        [(0, 18, 166), (40, 70, 150), (48, 114, 138), (50, 145, 108), (0, 150, 61)],
        [(0, 140, 150), (42, 152, 146), (60, 170, 130), (60, 185, 100), (0, 186, 57)],
    ],
    np.float32,
)
NECK_RING = len(_RINGS) - 1
_STEPS = 2  # spline rows between two rings


class Skin(NamedTuple):
    """Topology and linear maps of the skin, the same for everyone."""

    face: F32  # (N, 468) face vertices from landmarks
    loft: F32  # (M, R + rings) loft vertices from rim vertices and ring points
    rim: NDArray[np.int64]  # (R,) indices into face vertices
    triangles: NDArray[np.int32]
    face_triangles: int  # triangles of the face come first
    chart: F32  # (N + M, 2) seamless chart, about -1 to 1


def skull_rings(columns: int) -> F32:
    """Ring points (rings, columns, 3) in the order of the rim: top, right, bottom, left."""
    full = np.concatenate([_RINGS, _RINGS[:, -2:0:-1] * np.float32([-1, 1, 1])], axis=1)
    loop = np.concatenate([full[:, -1:], full, full[:, :2]], axis=1).transpose(1, 0, 2)
    return spline(loop, 1 + np.arange(columns) / columns * 8).transpose(1, 0, 2).astype(np.float32)


def _rim_loop(count: int) -> NDArray[np.int64]:
    """The refined rim in order, starting at landmark 10: landmarks and edge middles in turn."""
    coarse = figure().triangles
    pairs = np.sort(coarse[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges = np.unique(pairs, axis=0)
    place = {tuple(e): i + count for i, e in enumerate(edges.tolist())}
    loop = []
    for a, b in zip(RIM.tolist(), np.roll(RIM, -1).tolist(), strict=True):
        loop += [a, place[(min(a, b), max(a, b))]]
    return np.array(loop)


def _chart_landmarks() -> F32:
    """Unrolled face with the lips drawn apart, so that hidden lip rings get room in the texture."""
    p = figure().mean[:468].astype(np.float64)
    angle = np.arctan2(p[:, 0], 70 - p[:, 2])
    chart = np.stack([110 * np.sin(0.8 * angle), p[:, 1] + 8], 1)
    upper, lower = LIP_RINGS[:, 0], LIP_RINGS[:, 1]
    inner = slice(1, 10)
    for k, share in ((1, 0.30), (2, 0.60), (3, 0.90)):
        seam = chart[LIP_RINGS[3, 0], 1] * 0.5 + chart[LIP_RINGS[3, 1], 1] * 0.5
        for half in (upper, lower):
            chart[half[k, inner], 1] = (chart[half[0], 1] * (1 - share) + seam * share)[inner]
    return chart.astype(np.float32)


@lru_cache(maxsize=1)
def skin() -> Skin:
    # Kept for the process: who wants the same bytes everywhere asks for the first puppet with one thread.
    mean, coarse = figure().mean[:468], figure().triangles
    face, fine = refine(mean, coarse)
    rim = _rim_loop(468)
    columns, rings = len(rim), len(_RINGS)
    weights = catmull(rings + 1, _STEPS)[1:]
    rows = len(weights)
    loft = np.zeros((rows, columns, columns + rings * columns), np.float32)
    for c in range(columns):
        loft[:, c, c] = weights[:, 0]
        for k in range(rings):
            loft[:, c, columns + k * columns + c] = weights[:, k + 1]
    cells = grid_triangles(rows + 1, columns, closed=True)
    ids = np.concatenate([rim, len(face) + np.arange(rows * columns)])
    triangles = np.concatenate([fine, ids[cells]]).astype(np.int32)
    chart_face = face @ _chart_landmarks()
    grow = 1 + 0.5 * (np.arange(1, rows + 1) / rows)[:, None, None]
    chart = np.concatenate([chart_face, (chart_face[rim][None] * grow).reshape(-1, 2)]) / np.float32(
        [158, 132]
    )
    return Skin(face, loft.reshape(rows * columns, -1), rim, triangles, len(fine), chart.astype(np.float32))
