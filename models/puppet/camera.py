"""The camera and rigid motion, in OpenFace's frame: origin at the camera, x right, y down, z away, mm.

A head point m is seen at R m + t with R = Rx(rx) Ry(ry) Rz(rz). Checked against an OpenFace recording:
positive ry turns the nose to the picture's left, positive rx tips the face down, positive rz rolls it
clockwise on the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FOCAL", "PIVOT", "about_neck", "project", "rest_pose", "rotation"]

F32 = NDArray[np.float32]

# Focal length over picture width: a portrait lens, so that noses do not swell.
FOCAL = 2.5
# Where the skull sits on the neck, in head coordinates.
PIVOT = np.array([0.0, 62.0, 92.0], np.float32)


def rotation(angles: NDArray[np.floating]) -> NDArray[np.float64]:
    """R = Rx Ry Rz from (rx, ry, rz) in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(x @ y @ z, np.float64)


def rest_pose() -> F32:
    """Facing the camera, eyes above the middle, shoulders in the picture."""
    return np.array([0, 0, 0, 0, -10, 950], np.float32)


def about_neck(angles: NDArray[np.floating], rest: F32 | None = None) -> F32:
    """The pose of a head that turns where it sits on the neck instead of around the face's middle."""
    base = rest_pose() if rest is None else rest
    shift = PIVOT - rotation(np.asarray(angles, np.float64)) @ PIVOT
    return np.concatenate([angles, base[3:] + shift]).astype(np.float32)


def project(points: F32, size: int) -> tuple[F32, F32]:
    """Camera-frame points to pixels (V, 2), where pixel centres are at halves, and depth (V,)."""
    depth = points[:, 2].astype(np.float32)
    scale = FOCAL * size / np.maximum(depth, 1.0)
    return (points[:, :2] * scale[:, None] + size / 2).astype(np.float32), depth
