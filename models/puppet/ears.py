"""Ears: a height field over an egg-shaped outline, leaned away from the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.mesh import grid_triangles

__all__ = ["ear"]

F32 = NDArray[np.float32]
_ROWS = np.array([0.0, 0.16, 0.32, 0.46, 0.58, 0.68, 0.77, 0.85, 0.92, 0.97, 1.0, 0.97, 0.8])
_COLUMNS = 36


def _ridge(value: F32, at: float, width: float) -> F32:
    return np.exp(-(((value - at) / width) ** 2))


def ear(right: bool) -> tuple[F32, F32, NDArray[np.int32], F32]:
    """One ear: points (V, 3), local places (V, 2), triangles, openness to light (V,)."""
    r, angle = np.meshgrid(_ROWS, np.arange(_COLUMNS) / _COLUMNS * 2 * np.pi, indexing="ij")
    # Local axes: u to the back of the head, v down.
    outline = 1 + 0.12 * np.cos(angle) - 0.13 * np.sin(2 * angle - 0.5)
    u, v = 16.5 * r * outline * np.cos(angle), 30 * r * (1 + 0.04 * np.sin(angle)) * np.sin(angle)
    u = u - 4.5 * np.clip(v / 30, 0, 1)
    upper_back = np.clip(0.55 + 0.75 * np.cos(angle + 0.75), 0, 1)
    lobe = np.clip((v - 14) / 10, 0, 1)
    height = 2.6 * _ridge(r, 0.9, 0.085) * upper_back
    height += 2.4 * _ridge(r, 0.6, 0.10) * np.clip(np.cos(angle - 0.1) + 0.35, 0, 1) * (1 - lobe)
    height -= 5.0 * np.exp(-(((u + 2) / 7) ** 2) - ((v - 4) / 10) ** 2)
    height -= 1.6 * _ridge(r, 0.77, 0.06) * upper_back
    height += 3.2 * np.exp(-(((u + 11) / 3.2) ** 2) - ((v - 3) / 5) ** 2)
    height += 1.2 * lobe
    behind = np.zeros(len(_ROWS))
    behind[-2:] = (-2.6, -9.0)
    x = 70.5 + 0.42 * (u + 15) + height + behind[:, None]
    points = np.stack([x, v - 25.0 - 0.10 * u, 84.0 + u - 0.12 * v], -1).reshape(-1, 3)
    places = np.stack([u / 20, v / 34], -1).reshape(-1, 2)
    triangles = grid_triangles(len(_ROWS), _COLUMNS, closed=True)
    # Folds are too small for the shadow maps: their depth is told directly.
    shade = np.clip(0.88 + 0.11 * height, 0.22, 1.08) * np.where(behind < -5, 0.4, 1.0)[:, None]
    if not right:
        points = points * [-1, 1, 1]
        triangles = triangles[:, ::-1]
    return (
        points.astype(np.float32),
        places.astype(np.float32),
        triangles.copy(),
        shade.reshape(-1).astype(np.float32),
    )
