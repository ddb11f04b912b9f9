"""OpenFace's camera: x right, y down, z away, millimetres; R = Rx Ry Rz takes the head's points to it.

Positive rx tips the face down, positive ry turns the nose to the picture's left, positive rz rolls clockwise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Camera", "angles", "rotations"]

F64 = NDArray[np.float64]


class Camera(NamedTuple):
    """A pinhole: focal length and the axis's place, in pixels."""

    focal: float
    x: float
    y: float

    @classmethod
    def of_picture(cls, width: int, height: int, focal: float | None = None) -> Camera:
        """OpenFace's own rule where the lens is not known."""
        rule = 500 * (width / 640 + height / 480) / 2
        return cls(rule if focal is None else focal, width / 2, height / 2)

    def project(self, points: F64) -> F64:
        """Points of the camera frame (..., 3) in pixels (..., 2)."""
        place = np.array([self.x, self.y])
        return np.asarray(self.focal * points[..., :2] / points[..., 2:] + place)


def rotations(turns: F64) -> F64:
    """R (T, 3, 3) of angles (T, 3)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(turns).T, np.sin(turns).T
    rows = [
        [cy * cz, -cy * sz, sy],
        [cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy],
        [sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def angles(r: F64) -> F64:
    """The angles (T, 3) of R (T, 3, 3); a turn of a quarter, where they are not unique, is never a face."""
    return np.stack(
        [
            np.arctan2(-r[:, 1, 2], r[:, 2, 2]),
            np.arcsin(np.clip(r[:, 0, 2], -1, 1)),
            np.arctan2(-r[:, 0, 1], r[:, 0, 0]),
        ],
        axis=1,
    )
