"""A fit as Deng et al.'s coefficients. For `tasks.export` only; see there for the conventions. Pure numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CROP", "arranged", "deng_angles", "held", "projected"]

F64 = NDArray[np.float64]
CROP = 224
_FOCAL, _AWAY, _UNIT_MM = 1015.0, 10.0, 100.0
# Their axes: y up and z towards the viewer.
_FLIP = np.diag([1.0, -1.0, -1.0])


def arranged(
    fit: Mapping[str, NDArray[Any]], placement: NDArray[Any], points: NDArray[Any]
) -> dict[str, Any]:
    """Every array of their file, of ours (T, ...): `fit` by names without `fit/`, crop, 68 points."""
    wide = {name: np.asarray(values, np.float64) for name, values in fit.items()}
    corner, side = np.asarray(placement[:, None, :2], np.float64), np.asarray(placement[:, 2], np.float64)
    zoom = CROP / side
    parts = {
        "id": wide["identity"],
        "exp": wide["expression"],
        "tex": wide["texture"],
        "angle": deng_angles(wide["rotation"]),
        "gamma": wide["light"],
        "trans": _translation(wide["translation"], wide["camera"], corner[:, 0], zoom),
    }
    coefficients = np.concatenate(list(parts.values()), 1)
    marks = (np.asarray(points, np.float64) + 0.5 - corner) * zoom[:, None, None] - 0.5
    valid = np.isfinite(coefficients).all(1) & np.isfinite(marks).all((1, 2))
    arrays = {"coeff": coefficients, **parts, "lm68": marks}
    kept = {name: held(values, valid).astype(np.float32) for name, values in arrays.items()}
    return {**kept, "valid": valid.astype(np.uint8)[:, None]}


def deng_angles(rotation: F64) -> F64:
    """(T, 3) angles of R = Rx Ry Rz in OpenFace's frame to those of R = Rz Ry Rx in theirs."""
    c, s = np.cos(rotation), np.sin(rotation)
    (cx, cy, cz), (sx, sy, sz) = c.T, s.T
    r = np.array(
        [
            [cy * cz, -cy * sz, sy],
            [sx * sy * cz + cx * sz, cx * cz - sx * sy * sz, -sx * cy],
            [sx * sz - cx * sy * cz, cx * sy * sz + sx * cz, cx * cy],
        ]
    ).transpose(2, 0, 1)
    r = _FLIP @ r @ _FLIP
    x = np.arctan2(r[:, 2, 1], r[:, 2, 2])
    y = np.arcsin(np.clip(-r[:, 2, 0], -1, 1))
    z = np.arctan2(r[:, 1, 0], r[:, 0, 0])
    return np.stack([x, y, z], -1)


def _translation(place: F64, lens: F64, corner: F64, zoom: F64) -> F64:
    """Where the head lies before their camera: seen in the crop where ours sees it, and as large."""
    focal, axis = lens[:, 0], lens[:, 1:]
    pixels = place[:, :2] * (focal / place[:, 2])[:, None] + axis
    u, v = ((pixels + 0.5 - corner) * zoom[:, None] - 0.5).T
    depth = _FOCAL / (focal / place[:, 2] * zoom * _UNIT_MM)
    half = CROP / 2
    return np.stack([(u - half) * depth / _FOCAL, (CROP - 1 - v - half) * depth / _FOCAL, _AWAY - depth], -1)


def projected(vertices_mm: F64, angle: F64, translation: F64) -> F64:
    """Where their camera sees vertices (V, 3) of a head in our frame: pixels of the crop, y down."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angle), np.sin(angle)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    turned = vertices_mm @ _FLIP / _UNIT_MM @ (about_z @ about_y @ about_x).T + translation
    flat = turned[:, :2] * (_FOCAL / (_AWAY - turned[:, 2:])) + CROP / 2
    return np.stack([flat[:, 0], CROP - 1 - flat[:, 1]], -1)


def held(values: F64, valid: NDArray[np.bool_]) -> F64:
    """Rows that are not valid repeat the valid one before them, or the first there is; zeros without any."""
    if not valid.any():
        return np.zeros_like(values)
    before = np.maximum.accumulate(np.where(valid, np.arange(len(valid)), -1))
    return np.asarray(values[np.where(before < 0, int(valid.argmax()), before)])
