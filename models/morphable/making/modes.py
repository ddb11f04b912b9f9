"""Linear modes from a covariance: smooth functions on a surface, and the directions that matter most.

A set of modes is a matrix of factors, one column each, whose length is one standard deviation; adding two
sets is writing their columns side by side. Pure numpy; only the making of the built-in model comes here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["harmonics", "principal", "similarity", "without"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def harmonics(points: F32, triangles: NDArray[np.int32], bridges: NDArray[np.int64], count: int) -> F64:
    """The smoothest `count` functions on the surface (V, count), unit root mean square, constant first."""
    size = len(points)
    pairs = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    edges = np.unique(np.concatenate([pairs, np.sort(bridges, axis=1)]), axis=0)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    # Lips that meet are as one here: a smooth mode must not part them, for that is expression.
    weight = 1 / np.maximum(length, 0.7)
    matrix = np.zeros((size, size))
    matrix[edges[:, 0], edges[:, 1]] = -weight
    matrix += matrix.T
    mass = np.zeros(size)
    np.add.at(mass, edges.ravel(), np.repeat(length, 2))
    mass /= mass.mean()
    matrix[np.arange(size), np.arange(size)] = -matrix.sum(1)
    scale = 1 / np.sqrt(mass)
    _, vectors = np.linalg.eigh(scale[:, None] * matrix * scale[None])
    chosen = scale[:, None] * vectors[:, :count]
    chosen /= np.sqrt((chosen**2).mean(0))
    return np.asarray(chosen * np.where(chosen.sum(0) < 0, -1, 1))


def similarity(points: F32) -> F64:
    """The moves that are no change of shape, as columns (3V, 7): shifts, turns, growth."""
    p = (points - points.mean(0)).astype(np.float64)
    zero = np.zeros(len(p))
    shifts = [np.tile(axis, (len(p), 1)) for axis in np.eye(3)]
    turns = [
        np.stack([zero, -p[:, 2], p[:, 1]], 1),
        np.stack([p[:, 2], zero, -p[:, 0]], 1),
        np.stack([-p[:, 1], p[:, 0], zero], 1),
    ]
    return np.stack([m.ravel() for m in (*shifts, *turns, p)], 1)


def without(factors: F64, unwanted: F64) -> F64:
    """The factors with the unwanted directions taken out."""
    q, _ = np.linalg.qr(unwanted)
    return np.asarray(factors - q @ (q.T @ factors))


def principal(factors: F64, count: int) -> F64:
    """The `count` strongest independent modes of the same covariance; their length is one deviation."""
    u, s, _ = np.linalg.svd(factors, full_matrices=False)
    kept = min(count, len(s))
    out = u[:, :kept] * s[:kept]
    # The sign of a singular vector is arbitrary: fixed, so that the same maker gives the same model.
    top = np.abs(out).argmax(0)
    return np.asarray(out * np.sign(out[top, np.arange(kept)]))
