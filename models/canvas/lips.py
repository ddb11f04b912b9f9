"""Triangles that close the built-in model's mouth: between its lips there is no mesh, but there are teeth.

Private to `models.canvas`. They hang between the inner edges of both lips and move with them.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

__all__ = ["closing"]

_CORNERS = (78, 308)  # where the inner edges of the lips meet
_UPPER = 13  # in the middle of the upper lip's


def closing(triangles: NDArray[np.int32], names: NDArray[np.int64]) -> NDArray[np.int32]:
    """Triangles (n, 3) over the mouth of a part of the model, whose vertices (V,) were `names` there."""
    here = {int(name): vertex for vertex, name in enumerate(names)}
    start, stop = (here[name] for name in _CORNERS)
    beside = _edges(triangles)
    one, other = (_along(beside, start, first, stop) for first in beside[start])
    upper, lower = (one, other) if here[_UPPER] in one else (other, one)
    strips = [
        corners
        for a, b, c, d in zip(upper, lower, upper[1:], lower[1:], strict=False)
        for corners in ((a, b, c), (c, b, d))
    ]
    return np.array([c for c in strips if len(set(c)) == 3], np.int32)


def _edges(triangles: NDArray[np.int32]) -> dict[int, list[int]]:
    """Who lies beside whom along edges that only one triangle has."""
    sides = np.sort(np.concatenate([triangles[:, pair] for pair in ((0, 1), (1, 2), (2, 0))]), 1)
    found, times = np.unique(sides, axis=0, return_counts=True)
    beside: dict[int, list[int]] = defaultdict(list)
    for a, b in found[times == 1].tolist():
        beside[a].append(b)
        beside[b].append(a)
    return beside


def _along(beside: dict[int, list[int]], start: int, first: int, stop: int) -> list[int]:
    """The edge's vertices from `start` by way of `first`."""
    walked = [start, first]
    while walked[-1] != stop:
        walked.append(next(v for v in beside[walked[-1]] if v != walked[-2]))
    return walked
