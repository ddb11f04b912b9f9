"""What of a square canvas DINet looks at and draws: its middle columns, with a hole where the mouth is.

The hole is the mouth's canvas. With 64 pixels of it the square has 104, the crop 104 by 80, and the
hole lies in rows 32 to 96 and columns 8 to 72. Private to `models.dinet`.

Shape suffixes: B frames, S side of the square canvas, W columns of a crop.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas.framing import TALL
from models.canvas.mask import wider
from models.canvas.places import mouth_in

__all__ = ["columns", "crop", "hidden", "hole", "mouth", "opened", "shown", "squared"]

_LEFT, _RIGHT, _OF = 12, 92, 104


def columns(side: int) -> slice:
    """Of the square canvas."""
    return slice(side * _LEFT // _OF, side * _RIGHT // _OF)


def crop(pictures: Tensor) -> Tensor:
    """uint8 crops (..., S, W, 3) as numbers from 0 to 1 (..., 3, S, W)."""
    return pictures.movedim(-1, -3).float().div(255)


def hidden(mask: Tensor, guard: int) -> Tensor:
    """What no network may see (B, 1, S, W) of masks (B, S, S): the hole, and the mask with its guard."""
    return opened(wider((mask > 0).float()[:, None], guard))


def opened(hidden: Tensor) -> Tensor:
    """The columns of a crop (B, 1, S, W) of what is hidden (B, 1, S, S), 0 or 1, with the hole in it."""
    out, side = hidden.clone(), hidden.shape[-1]
    rows, across = TALL.box(side)
    out[..., rows, across] = 1
    return out[..., columns(side)]


def shown(pictures: Tensor, hidden: Tensor) -> Tensor:
    """Crops (B, 3, S, W) with nothing in the hole."""
    # Chosen and not multiplied: what is hidden is not even read.
    return torch.where(hidden > 0, torch.zeros_like(pictures), pictures)


def hole(side: int) -> tuple[slice, slice]:
    """Rows and columns of the hole in a crop."""
    rows, across = TALL.box(side)
    left = columns(side).start
    return rows, slice(across.start - left, across.stop - left)


def mouth(side: int) -> tuple[slice, slice]:
    """Rows and columns of a crop around the lips."""
    rows, across = mouth_in(TALL, side)
    left = columns(side).start
    return rows, slice(across.start - left, across.stop - left)


def squared(crops: Tensor) -> Tensor:
    """Crops (B, C, S, W) on their square canvas (B, C, S, S), empty at the sides."""
    side = crops.shape[-2]
    at = columns(side)
    return functional.pad(crops, (at.start, side - at.stop))
