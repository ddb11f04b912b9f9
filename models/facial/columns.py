"""The 71 numbers of a frame that are performed: head pose, blink, expression; between them and a fit.

    0:3   pitch, yaw, roll, degrees (R = Rx Ry Rz)
    3     scale, pixels a millimetre
    4:6   t_x, t_y: where the head's origin is seen, from the picture's middle, y up, pixels
    6     AU45, the blink, 0 to 5
    7:71  expression of the morphable model

Pixels are those of a picture 512 high, whatever its own height and width. Scale and place are what the fit's
perspective camera sees of the head's origin; with the same camera they lead back exactly. Called by
`models.facial`, and by `tasks` that gather material.

Shape legend: n rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "BLINK",
    "BLINK_MOST",
    "COLUMNS",
    "EXPRESSION",
    "NAMES",
    "PLACE",
    "POSE",
    "SCALE",
    "TURN",
    "UNITS",
    "Statistics",
    "from_columns",
    "to_columns",
]

COLUMNS = 71
TURN, SCALE, PLACE = slice(0, 3), 3, slice(4, 6)
POSE, BLINK, EXPRESSION = slice(0, 6), 6, slice(7, 71)
NAMES = ("pitch", "yaw", "roll", "scale", "t_x", "t_y", "blink")
UNITS = 512.0  # pixels of a picture's height
BLINK_MOST = 5.0
_DEGREES = 180.0 / math.pi
# Nobody is filmed from so far away; a generator's odd number must not become an infinite depth.
_LEAST_SCALE = 1e-3


def to_columns(
    rotation: Tensor,
    translation: Tensor,
    camera: Tensor,
    blink: Tensor,
    expression: Tensor,
    height: int,
    width: int,
) -> Tensor:
    """(n, 71) of rotation (n, 3) rad, translation (n, 3) mm, camera (n, 3) focal, x, y of the axis in pixels,
    blink (n,) 0 to 5 and expression (n, 64)."""
    unit = UNITS / height
    scale = camera[:, 0] / translation[:, 2].clamp(min=1.0)
    middle = camera.new_tensor([width / 2, height / 2])
    away = (scale[:, None] * translation[:, :2] + camera[:, 1:] - middle) * unit
    place = away * away.new_tensor([1.0, -1.0])
    columns = [rotation * _DEGREES, scale[:, None] * unit, place, blink[:, None], expression]
    return torch.cat(columns, 1)


def from_columns(columns: Tensor, camera: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Rotation (n, 3) rad and translation (n, 3) mm of columns (n, 71) before this camera (n, 3)."""
    unit = UNITS / height
    scale = columns[:, SCALE].clamp(min=_LEAST_SCALE) / unit
    middle = camera.new_tensor([width / 2, height / 2])
    away = columns[:, PLACE] * columns.new_tensor([1.0, -1.0]) / unit + middle - camera[:, 1:]
    depth = camera[:, 0] / scale
    return columns[:, TURN] / _DEGREES, torch.cat([away / scale[:, None], depth[:, None]], 1)


class Statistics(NamedTuple):
    """How a person's rows usually are; only pose (columns 0 to 5) is scored, the rest stays as it is."""

    mean: Tensor  # (71,)
    std: Tensor  # (71,)

    @classmethod
    def of(cls, rows: Tensor, trust: Tensor | None = None, least: float = 1e-3) -> Statistics:
        """Of rows (n, 71), each as far as it is trusted (n,); all alike where none is, or nothing is said."""
        share = torch.ones(len(rows)) if trust is None or not trust.any() else trust.float()
        share = (share / share.sum())[:, None]
        mean = (share * rows).sum(0)
        return cls(mean, (share * (rows - mean).square()).sum(0).sqrt().clamp(min=least))

    def score(self, rows: Tensor) -> Tensor:
        """Rows (..., 71) with pose in deviations from its mean."""
        mean, std = self._pose_alone(rows)
        return (rows - mean) / std

    def unscore(self, rows: Tensor) -> Tensor:
        """The way back."""
        mean, std = self._pose_alone(rows)
        return rows * std + mean

    def _pose_alone(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = torch.zeros(COLUMNS), torch.ones(COLUMNS)
        mean[POSE], std[POSE] = self.mean[POSE].cpu(), self.std[POSE].cpu()
        return mean.to(rows), std.to(rows)
