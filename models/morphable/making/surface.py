"""The built-in model's surface: the puppet's face, refined, with a patch between the lids of each eye.

Every vertex is a linear function of the 468 face landmarks plus a constant bulge of the eyeballs, so any
displacement of landmarks becomes a displacement of the surface.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.puppet.figure import EYES, LIP_RINGS, figure
from models.puppet.head import skin
from models.puppet.lips import sealed
from models.puppet.mesh import grid_triangles, weld_edges

__all__ = ["Surface", "surface"]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

_ROWS = 7  # of patch vertices between the lids
_BULGE_MM = 1.3


class Surface(NamedTuple):
    spread: F32  # (V, 468)
    mean: F32  # (V, 3)
    triangles: NDArray[np.int32]
    skin: int  # vertices of the skin come first
    eyes: tuple[I64, I64]  # patch vertices of each eye, row by row
    window: F32  # (V,) how far a patch vertex follows the gaze
    bridges: I64  # (B, 2) pairs over the closed mouth, for modes that must not part the lips


def _lid_line(coarse: I64) -> I64:
    """A lid with the middles of its edges, as vertices of the refined skin."""
    edges, _ = weld_edges(figure().triangles)
    place = {tuple(e): 468 + i for i, e in enumerate(edges.tolist())}
    line = [int(coarse[0])]
    for a, b in zip(coarse[:-1].tolist(), coarse[1:].tolist(), strict=True):
        line += [place[(min(a, b), max(a, b))], b]
    return np.array(line)


def _patch(upper: I64, lower: I64, first: int) -> tuple[F32, F32, NDArray[np.int32], F32]:
    """Weights (P, V) of the patch on the skin, its bulge (P,), its triangles and its gaze window."""
    columns = len(upper)
    t = np.arange(1, _ROWS + 1) / (_ROWS + 1)
    s = np.arange(1, columns - 1) / (columns - 1)
    inner = columns - 2
    weights = np.zeros((_ROWS * inner, first), np.float32)
    for r in range(_ROWS):
        for c in range(inner):
            weights[r * inner + c, upper[c + 1]] = 1 - t[r]
            weights[r * inner + c, lower[c + 1]] += t[r]
    hill = np.outer(np.sin(np.pi * t), np.sin(np.pi * s)).astype(np.float32)
    ids = np.zeros((_ROWS + 2, columns), np.int64)
    ids[0], ids[-1] = upper, lower
    ids[1:-1, 1:-1] = np.arange(_ROWS * inner).reshape(_ROWS, inner)
    ids[1:-1, 1:-1] += first
    ids[1:-1, 0], ids[1:-1, -1] = upper[0], upper[-1]
    cells = ids.reshape(-1)[grid_triangles(_ROWS + 2, columns)]
    whole = (cells[:, 0] != cells[:, 1]) & (cells[:, 1] != cells[:, 2]) & (cells[:, 2] != cells[:, 0])
    return weights, _BULGE_MM * hill.ravel(), cells[whole].astype(np.int32), hill.ravel() ** 0.5


def _facing(points: F32, triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    """Triangles turned so that they are seen from the front."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    return triangles if np.cross(b - a, c - a)[:, 2].sum() < 0 else triangles[:, ::-1]


@lru_cache(maxsize=1)
def surface() -> Surface:
    """The surface of the mean face."""
    base = skin()
    face = base.face
    landmarks = sealed(figure().mean[:468])
    points = face @ landmarks
    triangles = [base.triangles[: base.face_triangles]]
    rows, bulges, eyes, windows = [face], [np.zeros(len(face), np.float32)], [], [np.zeros(len(face))]
    count = len(face)
    for eye in EYES:
        upper, lower = _lid_line(eye.upper), _lid_line(eye.lower)
        weights, bulge, cells, window = _patch(upper, lower, len(face))
        cells = np.where(cells >= len(face), cells - len(face) + count, cells).astype(np.int32)
        eyes.append(np.arange(count, count + len(weights)))
        rows.append(weights @ face)
        points = np.concatenate(
            [points, weights @ points[: len(face)] - bulge[:, None] * np.float32([0, 0, 1])]
        )
        triangles.append(_facing(points, cells))
        bulges.append(bulge)
        windows.append(window)
        count += len(weights)
    mouth = np.stack([_lid_line_of_lips(0), _lid_line_of_lips(1)], 1)
    return Surface(
        np.concatenate(rows).astype(np.float32),
        points.astype(np.float32),
        np.concatenate(triangles).astype(np.int32),
        len(face),
        (eyes[0], eyes[1]),
        np.concatenate(windows).astype(np.float32),
        mouth[1:-1],
    )


def _lid_line_of_lips(half: int) -> I64:
    return _lid_line(LIP_RINGS[3, half])
