"""Smooth curves through points: Catmull-Rom, as weights or applied."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["catmull", "spline"]

F32 = NDArray[np.float32]


def _basis(f: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    """Weights of the four points around a place f of the way from the second to the third."""
    return [
        (-f + 2 * f**2 - f**3) / 2,
        (2 - 5 * f**2 + 3 * f**3) / 2,
        (f + 4 * f**2 - 3 * f**3) / 2,
        (f**3 - f**2) / 2,
    ]


def spline(points: F32, places: NDArray[np.floating]) -> F32:
    """The curve through points (N, ...) at fractional indices; beyond the ends the end points repeat."""
    i = np.clip(places.astype(int), 0, len(points) - 2)
    f = (places - i).reshape(-1, *[1] * (points.ndim - 1))
    last = len(points) - 1
    return sum(w * points[np.clip(i + k - 1, 0, last)] for k, w in enumerate(_basis(f)))


def catmull(count: int, steps: int) -> F32:
    """Weights (rows, count) of the curve through `count` points, `steps` samples from each to the next."""
    places = np.arange((count - 1) * steps + 1) / steps
    return spline(np.eye(count), places).astype(np.float32)
