"""Eyeballs, lid margins and lashes: small moving parts that are rebuilt every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.puppet.figure import EYES
from models.puppet.mesh import grid_triangles

__all__ = ["IRIS_ANGLE", "Eyeball", "eye_direction", "fit_eyeball", "iris_points", "lash_strip", "lid_margin"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

IRIS_ANGLE = 0.42  # radians from the optical axis to the iris' edge
_RADII = np.array([14.2, 12.6, 11.5], np.float32)
_ROWS, _COLUMNS = 13, 19
TEXTURE_ANGLE = 1.15  # radians from the texture's centre to its edge


@dataclass(frozen=True)
class Eyeball:
    """An ellipsoid leaned to follow the lids; only the patch between the lids is modelled."""

    centre: F32
    lean: float  # how far z grows with x
    points: F32  # (V, 3)
    directions: F32  # (V, 3) unit directions from the centre, before gaze
    triangles: I32


def fit_eyeball(landmarks: F32, side: int) -> Eyeball:
    """The eyeball that fits behind the lids of this face."""
    eye = EYES[side]
    outer, inner = landmarks[eye.upper[0]], landmarks[eye.upper[-1]]
    middle = (outer + inner) / 2
    lid = landmarks[eye.upper[4]]
    lean = float((outer[2] - inner[2]) / (outer[0] - inner[0]))
    height = (landmarks[eye.upper[4], 1] + landmarks[eye.lower[4], 1]) / 2
    centre = np.array([middle[0], height, lid[2] + 0.9 + _RADII[2]], np.float32)
    dx, dy = np.meshgrid(np.linspace(-13.9, 13.9, _COLUMNS), np.linspace(-9.5, 9.5, _ROWS))
    unit = np.stack([dx / _RADII[0], dy / _RADII[1]], -1)
    unit *= np.minimum(1, 0.985 / np.maximum(np.linalg.norm(unit, axis=-1, keepdims=True), 1e-6))
    front = -np.sqrt(1 - (unit**2).sum(-1, keepdims=True))
    directions = np.concatenate([unit, front], -1).reshape(-1, 3).astype(np.float32)
    return Eyeball(
        centre, lean, _place(directions, centre, lean), directions, grid_triangles(_ROWS, _COLUMNS)[:, ::-1]
    )


def _place(directions: F32, centre: F32, lean: float) -> F32:
    offset = directions * _RADII
    offset[:, 2] += lean * offset[:, 0]
    return (centre + offset).astype(np.float32)


def eye_direction(gaze_x: float, gaze_y: float) -> F32:
    """Rotation that takes straight ahead to the gaze (1 is 30 degrees)."""
    a, b = np.radians(30 * gaze_x), np.radians(30 * gaze_y)
    turn = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    tip = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return (turn @ tip).astype(np.float32)


def texture_places(ball: Eyeball, look: F32) -> F32:
    """Azimuthal coordinates (V, 2) in -1..1 of the eye texture under this gaze."""
    local = ball.directions @ look
    angle = np.arccos(np.clip(-local[:, 2], -1, 1))
    sideways = np.maximum(np.hypot(local[:, 0], local[:, 1]), 1e-6)
    return np.clip(local[:, :2] / sideways[:, None] * (angle / TEXTURE_ANGLE)[:, None], -1, 1)


def iris_points(ball: Eyeball, look: F32) -> F32:
    """Centre and the points at +x, -y, -x, +y of the iris' edge: (5, 3)."""
    s, c = np.sin(IRIS_ANGLE), np.cos(IRIS_ANGLE)
    rays = np.array([[0, 0, -1], [s, 0, -c], [0, -s, -c], [-s, 0, -c], [0, s, -c]], np.float32)
    return _place((rays @ look.T).astype(np.float32), ball.centre, ball.lean)


def lid_margin(landmarks: F32, side: int) -> F32:
    """The rim of the lids (32, 3): 16 points on the edge, then 16 on the eyeball just inside."""
    eye = EYES[side]
    edge = landmarks[np.concatenate([eye.upper, eye.lower[-2:0:-1]])]
    middle = (landmarks[eye.upper[4]] + landmarks[eye.lower[4]]) / 2
    inward = middle - edge
    inward[:, 2] = 0
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)
    open_by = np.clip(np.linalg.norm(landmarks[eye.upper[4]] - landmarks[eye.lower[4]]) / 6, 0, 1)
    reach = np.where(np.arange(16) > 8, 0.55, 0.25)[:, None] * open_by
    inner = edge + inward * reach + np.float32([0, 0, 2.6])
    return np.concatenate([edge, inner]).astype(np.float32)


def margin_triangles(side: int) -> I32:
    cells = grid_triangles(2, 16, closed=True)
    return cells if side == 0 else cells[:, ::-1].copy()


def _along(points: F32, count: int) -> F32:
    t = np.linspace(0, len(points) - 1, count)
    i = np.minimum(t.astype(int), len(points) - 2)
    f = (t - i)[:, None]
    return points[i] * (1 - f) + points[i + 1] * f


def lash_strip(landmarks: F32, side: int, length: float) -> F32:
    """Upper lashes, then lower ones: two strips of (2 rows, 17 columns, 3), roots first."""
    eye = EYES[side]
    sign = -1.0 if side == 0 else 1.0
    upper, lower = _along(landmarks[eye.upper], 17), _along(landmarks[eye.lower], 17)
    gap = float(np.linalg.norm(upper[8] - lower[8]))
    lift = np.clip(gap / 8, 0, 1.2)
    t = np.linspace(1, 0, 17)
    body = np.clip(np.sin(np.pi * np.linspace(0.03, 0.93, 17)) * 1.25, 0.1, 1)
    fan = sign * (t - 0.35) * 2.6
    reach = (
        np.stack([fan, np.full(17, 1.7 - 3.2 * lift) - 0.8 * t, np.full(17, -3.2)], 1)
        * (body * length)[:, None]
    )
    drop = np.stack([fan * 0.7, np.full(17, 1.5), np.full(17, -1.4)], 1) * (body * length * 0.8)[:, None]
    ahead = np.float32([0, 0, -0.25])
    return np.concatenate([upper + ahead, upper + reach + ahead, lower + ahead, lower + drop + ahead]).astype(
        np.float32
    )


def lash_triangles() -> I32:
    strip = grid_triangles(2, 17)
    return np.concatenate([strip, strip + 34])
