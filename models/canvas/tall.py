"""Many small pictures of meshes, drawn at once: below each other on one tall picture.

Private to `canvas`. Shape legend: B pictures, V vertices, C values of a vertex, S side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.raster import interpolate, scan, visible

__all__ = ["Tall", "draw_tall"]

F32 = NDArray[np.float32]
_GRID = np.float32(1024)  # of a pixel; exact in single precision down to row 16,384


class Tall(NamedTuple):
    """What is seen, pixel by pixel, where anything is; nothing but zeros and -1 elsewhere."""

    values: F32  # (B, S, S, C)
    triangle: NDArray[np.int32]  # (B, S, S)
    shares: F32  # (B, S, S, 2) of the triangle's first two corners


def draw_tall(points: F32, depth: F32, triangles: NDArray[np.int32], values: F32, side: int) -> Tall:
    """Meshes at pixels (B, V, 2) with depths (B, V), of values (B, V, C)."""
    count, vertices = depth.shape
    room = side // 4  # between the pictures, for what reaches out of them
    tall = side + 2 * room
    shift = np.arange(count, dtype=np.float32)[:, None] * tall + room
    low, high = np.float32(-room + 1), np.float32(side + room - 1)
    # On a grid whose points lie a shift further down too: a picture does not depend on those above it.
    y = np.round(np.clip(points[..., 1], low, high) * _GRID) / _GRID + shift
    where = np.stack([points[..., 0], y], -1).reshape(-1, 2).astype(np.float32)
    every = (triangles[None] + (np.arange(count) * vertices)[:, None, None]).reshape(-1, 3).astype(np.int32)
    found = scan(where, depth.reshape(-1).astype(np.float32), every, count * tall, side)
    shown = visible([found], count * tall * side)
    inside = slice(room, room + side)

    def spread(seen: NDArray[np.generic], nothing: float, kind: type) -> NDArray[np.generic]:
        out = np.full((count * tall * side, *seen.shape[1:]), nothing, kind)
        out[shown.pixel] = seen
        return out.reshape(count, tall, side, *seen.shape[1:])[:, inside]

    seen = interpolate(shown, every, values.reshape(count * vertices, -1))
    return Tall(
        np.asarray(spread(seen, 0, np.float32), np.float32),
        np.asarray(spread(shown.triangle % len(triangles), -1, np.int32), np.int32),
        np.asarray(spread(shown.bary[:2].T, 0, np.float32), np.float32),
    )
