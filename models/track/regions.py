"""The turned square around a face that the mesh is shown, and how squares overlap.

MediaPipe's rule: the landmarks' bounding box, half as large again, turned so that the eyes are level. The
network was trained on such squares and is at its best on them. Called by `tasks.faces`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Region", "overlap", "region_of", "region_of_detection", "to_picture"]

F32 = NDArray[np.float32]
_MARGIN = 1.5
_EYES = (33, 263)


class Region(NamedTuple):
    """A square of the picture: centre, side (px) and turn (rad, clockwise on the picture)."""

    x: float
    y: float
    side: float
    turn: float

    @property
    def face(self) -> float:
        """The longer side of the face itself."""
        return self.side / _MARGIN


def region_of(points: F32) -> Region:
    """Where to look for the face in the next frame, given its landmarks (478, 2 or 3) in this one."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    (x, y), size = (low + high) / 2, high - low
    dx, dy = points[_EYES[1], :2] - points[_EYES[0], :2]
    return Region(float(x), float(y), float(size.max()) * _MARGIN, float(np.arctan2(dy, dx)))


def region_of_detection(box: Sequence[float], eyes: Sequence[Sequence[float]]) -> Region:
    """The square around a detector's box (x, y, width, height), level with the eyes."""
    (ax, ay), (bx, by) = eyes
    x, y, width, height = box
    turn = float(np.arctan2(by - ay, bx - ax))
    return Region(x + width / 2, y + height / 2, max(width, height) * _MARGIN, turn)


def to_picture(points: F32, region: Region) -> F32:
    """Mesh points, where the square is 0 to 1, in the picture's pixels; depth too."""
    c, s = np.cos(region.turn), np.sin(region.turn)
    u, v = points[:, 0] - 0.5, points[:, 1] - 0.5
    x = region.x + region.side * (c * u - s * v)
    y = region.y + region.side * (s * u + c * v)
    return np.stack([x, y, points[:, 2] * region.side], axis=1).astype(np.float32)


def overlap(a: Region, b: Region) -> float:
    """Intersection over union of two faces, their turns aside."""
    wide = min(a.x + a.face / 2, b.x + b.face / 2) - max(a.x - a.face / 2, b.x - b.face / 2)
    high = min(a.y + a.face / 2, b.y + b.face / 2) - max(a.y - a.face / 2, b.y - b.face / 2)
    shared = max(wide, 0.0) * max(high, 0.0)
    return shared / (a.face**2 + b.face**2 - shared + 1e-9)
