"""Shoulders and clothes: drawn once behind the moving head, with depth, coloured by position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.curves import spline
from models.puppet.identity import Traits
from models.puppet.mesh import grid_triangles

__all__ = ["collar", "throat", "torso"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# Half outlines from the throat (0) over 45, 90 (shoulder) and 135 degrees to the back.
_ROWS = np.array(
    [
        [(0, 178, 62), (46, 168, 76), (64, 152, 112), (46, 140, 146), (0, 136, 160)],
        [(0, 186, 50), (62, 176, 62), (84, 160, 114), (66, 150, 152), (0, 146, 168)],
        [(0, 200, 40), (100, 192, 50), (132, 176, 116), (110, 170, 158), (0, 165, 172)],
        [(0, 220, 32), (140, 214, 46), (180, 196, 118), (150, 200, 162), (0, 200, 176)],
        [(0, 250, 24), (165, 250, 40), (208, 228, 120), (170, 240, 166), (0, 250, 178)],
        [(0, 300, 16), (170, 310, 32), (216, 300, 120), (178, 310, 168), (0, 310, 180)],
        [(0, 430, 12), (172, 430, 28), (218, 430, 120), (180, 430, 168), (0, 430, 180)],
    ],
    np.float32,
) - np.float32([0, 16, 0])
_COLUMNS = 80


def _loops(rows: F32) -> F32:
    """Closed loops (rows, _COLUMNS, 3) from half outlines."""
    full = np.concatenate([rows, rows[:, -2:0:-1] * np.float32([-1, 1, 1])], axis=1)
    ring = np.concatenate([full[:, -1:], full, full[:, :2]], axis=1).transpose(1, 0, 2)
    return spline(ring, np.arange(_COLUMNS) / _COLUMNS * 8 + 1).transpose(1, 0, 2)


def _build(who: Traits, rows: F32) -> F32:
    wide = np.float32([1 + 0.10 * (who.sex == "male") - 0.06 * (who.sex == "female") + 0.05 * who.neck, 1, 1])
    near = np.linspace(0, 1, len(rows))[:, None, None]
    slim = 1 + (0.12 * who.neck) * (1 - near)
    return (
        rows
        * (1 + (wide - 1) * np.clip(near * 2, 0, 1))
        * np.concatenate([slim, np.ones_like(slim), np.ones_like(slim)], -1)
    )


def torso(who: Traits) -> tuple[F32, I32]:
    """The body under the clothes: points (V, 3), triangles."""
    dense = spline(_build(who, _ROWS), np.arange(0, len(_ROWS) - 1 + 1e-6, 0.25))
    loops = _loops(dense.astype(np.float32))
    return loops.reshape(-1, 3).astype(np.float32), grid_triangles(len(loops), _COLUMNS, closed=True)


_PROFILES = {
    # (outwards, downwards) from the neck's opening; the strip is a folded band around the neck.
    "sweater": [(-3.0, 6), (-2.5, -2), (0.5, -7), (4.0, -5.5), (5.5, 1), (5.0, 8)],
    "turtle": [(-3, 4), (-3, -12), (-2, -26), (1, -30), (4.0, -27), (6, -14), (7, 4), (8, 9)],
    "shirt": [(-2, 6), (-2, -8), (-1, -21), (2, -23), (6, -18), (11, -4), (16, 11), (15, 12)],
    "hood": [(-2, 5), (-2, -8), (2, -16), (8, -14), (13, -4), (15, 8)],
}


def throat(who: Traits) -> tuple[F32, I32]:
    """Skin that closes the clothes' opening around the neck."""
    ring = _loops(_build(who, _ROWS))[0]
    # It climbs to the neck, so that no moat shows between neck and clothes.
    middle = np.float32([0, 0, 108])
    rows = [ring + np.float32([0, 2, 1.5])]
    for shrink, climb in ((0.92, 3), (0.80, 7), (0.60, 9)):
        rows.append((ring - middle) * np.float32([shrink, 1, shrink]) + middle - np.float32([0, climb, 0]))
    points = np.concatenate(rows).astype(np.float32)
    return points, grid_triangles(4, _COLUMNS, closed=True)[:, ::-1].copy()


def _spread(points: F32, triangles: I32, turn: F32) -> tuple[F32, I32]:
    """Open a shirt's collar at the throat: its points part to both sides."""
    side = np.sign(points[:1, :, 0])
    side[:, 0] = 1
    share = np.exp(-((turn / 0.11) ** 2))
    down = np.linspace(0, 1, len(points))[:, None]
    points = points.copy()
    points[..., 0] += side * share * (5 + 13 * down**1.5)
    points[..., 1] += share * (2 + 9 * down)
    points[..., 2] -= share * 2 * down
    column = triangles % _COLUMNS
    # Column 0 sits on the right point; the cells between it and its left neighbour are the opening.
    gap = (column == 0).any(1) & (column == _COLUMNS - 1).any(1)
    return points, triangles[~gap]


def collar(who: Traits, kind: str) -> tuple[F32, I32, F32]:
    """A collar: points, triangles and how far round from the throat each point is (0..1)."""
    base = _loops(_build(who, _ROWS[:2]))
    ring, outer = base[0], base[1]
    out = outer - ring
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    turn = np.minimum(np.arange(_COLUMNS), _COLUMNS - np.arange(_COLUMNS)) / (_COLUMNS / 2)
    profile = np.array(_PROFILES[kind], np.float32)
    profile = spline(profile, np.arange(0, len(profile) - 1 + 1e-6, 0.34)).astype(np.float32)
    scale = np.ones(_COLUMNS)
    if kind == "shirt":
        scale = 0.9 + 0.35 * np.exp(-((turn / 0.2) ** 2))
    flat = out * [1, 0, 1]
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    points = (
        ring[None]
        + profile[:, :1, None] * flat[None]
        + (profile[:, 1][:, None] * scale)[..., None] * np.float32([0, 1, 0])
    )
    triangles = grid_triangles(len(profile), _COLUMNS, closed=True)
    if kind == "shirt":
        points, triangles = _spread(points, triangles, turn)
    around = np.broadcast_to(turn, points.shape[:2]).reshape(-1)
    return points.reshape(-1, 3).astype(np.float32), triangles, around.astype(np.float32)
