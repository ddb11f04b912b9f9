"""Mesh maths shared by the puppet's parts: grids, normals, subdivision, smooth extension of handles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Surface", "extend", "grid_triangles", "normals", "refine", "smooth_vertices", "weld_edges"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass
class Surface:
    """A piece of the head: positions in head millimetres, triangles, places in the atlas."""

    points: F32  # (V, 3)
    triangles: I32  # (T, 3)
    uv: F32  # (V, 2) in 0..1 of the whole atlas


def grid_triangles(rows: int, columns: int, *, closed: bool = False) -> I32:
    """Two triangles a cell of a rows x columns grid; `closed` joins the last column to the first."""
    last = columns if closed else columns - 1
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(last), indexing="ij")
    a, b = r * columns + c, r * columns + (c + 1) % columns
    d, e = a + columns, b + columns
    cells = np.stack([a, b, d, b, e, d], -1).reshape(-1, 3)
    return cells.astype(np.int32)


def normals(points: F32, triangles: I32) -> F32:
    """Area-weighted unit vertex normals, pointing out of front faces."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros((len(points), 3))
    for axis in range(3):
        for corner in range(3):
            total[:, axis] += np.bincount(triangles[:, corner], face[:, axis], len(points))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.maximum(length, 1e-9)).astype(np.float32)


def weld_edges(triangles: I32) -> tuple[I32, I32]:
    """Unique edges (E, 2) and, for every triangle, its edges between corners 01, 12 and 20."""
    pairs = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, back = np.unique(pairs, axis=0, return_inverse=True)
    return edges.astype(np.int32), back.reshape(-1, 3).astype(np.int32)


def _laplacian(count: int, triangles: I32, places: F32 | None = None) -> NDArray[np.float64]:
    """Row-normalised graph Laplacian; with places, near neighbours count for more."""
    edges, _ = weld_edges(triangles)
    weight = np.ones(len(edges))
    if places is not None:
        # Coincident vertices (closed lips) would get infinite weight without the floor.
        weight = 1 / np.maximum(np.linalg.norm(places[edges[:, 0]] - places[edges[:, 1]], axis=1), 0.7)
    matrix = np.zeros((count, count))
    matrix[edges[:, 0], edges[:, 1]] = weight
    matrix[edges[:, 1], edges[:, 0]] = weight
    matrix /= np.maximum(matrix.sum(1, keepdims=True), 1e-9)
    return np.eye(count) - matrix


def extend(places: F32, triangles: I32, handles: NDArray[np.int64]) -> F32:
    """Matrix (V, len(handles)) that spreads values at the handles smoothly over the mesh (bi-Laplacian)."""
    count = len(places)
    lap = _laplacian(count, triangles, places)
    energy = lap.T @ lap + 1e-9 * np.eye(count)
    free = np.setdiff1d(np.arange(count), handles)
    out = np.zeros((count, len(handles)))
    out[handles, np.arange(len(handles))] = 1
    out[free] = np.linalg.solve(energy[np.ix_(free, free)], -energy[np.ix_(free, handles)])
    return out.astype(np.float32)


def refine(places: F32, triangles: I32) -> tuple[F32, I32]:
    """Split every triangle in four: matrix (V + E, V) whose new points bend smoothly, and new triangles.

    Old vertices stay where they are, so the landmarks remain exact.
    """
    count = len(places)
    edges, of = weld_edges(triangles)
    middle = of + count
    t = triangles
    split = np.concatenate(
        [
            np.stack([t[:, 0], middle[:, 0], middle[:, 2]], 1),
            np.stack([middle[:, 0], t[:, 1], middle[:, 1]], 1),
            np.stack([middle[:, 2], middle[:, 1], t[:, 2]], 1),
            middle,
        ]
    ).astype(np.int32)
    flat = np.concatenate([places, places[edges].mean(1)])
    matrix = extend(flat, split, np.arange(count))
    for row, weights in _border_rows(triangles, edges):
        matrix[count + row] = 0
        for vertex, weight in weights:
            matrix[count + row, vertex] += weight
    return matrix, split


def _border_rows(triangles: I32, edges: I32) -> list[tuple[int, list[tuple[int, float]]]]:
    """Middles of border edges as curves along the border alone: lips that meet stay closed between."""
    of = {tuple(e): i for i, e in enumerate(edges.tolist())}
    uses = np.bincount(weld_edges(triangles)[1].ravel(), minlength=len(edges))
    after: dict[int, list[int]] = {}
    for a, b in edges[uses == 1].tolist():
        after.setdefault(a, []).append(b)
        after.setdefault(b, []).append(a)
    rows = []
    for a, b in edges[uses == 1].tolist():
        before, beyond = (next(v for v in after[x] if v != y) for x, y in ((a, b), (b, a)))
        rows.append((of[(a, b)], [(before, -1 / 16), (a, 9 / 16), (b, 9 / 16), (beyond, -1 / 16)]))
    return rows


def smooth_vertices(values: F32, triangles: I32, rounds: int) -> F32:
    """Average values with their neighbours a few times."""
    edges, _ = weld_edges(triangles)
    degree = np.bincount(edges.ravel(), minlength=len(values))[:, None] + 1
    for _ in range(rounds):
        total = values.astype(np.float64).copy()
        np.add.at(total, edges[:, 0], values[edges[:, 1]])
        np.add.at(total, edges[:, 1], values[edges[:, 0]])
        values = (total / degree).astype(np.float32)
    return values
