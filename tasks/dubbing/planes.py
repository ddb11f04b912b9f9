"""What a method draws, on a clip's own planes: outside the mask not one stored byte changes.

Colours are computed where a method looks; what it drew goes back into brightness and colours at their stored
resolution. A round trip of whole frames through RGB would change every pixel a little, and takes longer than
everything else on large pictures.

For this package only. Shape legend: B frames of a block, S side of a canvas, R side of a window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.canvas.places import projected
from models.canvas.sample import normal_map, window
from models.fit.geometry import rotation
from models.methods import Drawn, Fit
from storage.media import Box, Colours, split

__all__ = ["head_box", "in_colour", "lay"]

U8 = NDArray[np.uint8]
# Of the head, millimetres: near the mouth; and how far around it a method may want true colours.
_MOUTH, _REACH_MM = (0.0, 42.0, -8.0), 160.0
# A box of more than this is no gain over the whole picture.
_MOST = 0.6
_LEAST_PX = 16.0
# BT.709 in video range: brightness, and the two colours, of RGB from 0 to 255.
_KR, _KB = 0.2126, 0.0722
_Y = (_KR, 1 - _KR - _KB, _KB)
_TO_YUV = torch.tensor(
    [
        [219 / 255 * part for part in _Y],
        [224 / 255 * (one - part) / (2 * (1 - _KB)) for one, part in zip((0, 0, 1), _Y, strict=True)],
        [224 / 255 * (one - part) / (2 * (1 - _KR)) for one, part in zip((1, 0, 0), _Y, strict=True)],
    ]
)
_FROM_YUV = torch.tensor([16.0, 128.0, 128.0])


def head_box(fit: Fit, width: int, height: int) -> Box | None:
    """What holds the heads of all these frames, with even corners; None where that is most of the picture."""
    middle = torch.tensor(_MOUTH).expand(len(fit.rotation), 1, 3)
    at = projected(middle, rotation(fit.rotation.float()), fit.translation.float(), fit.camera.float())[:, 0]
    reach = (_REACH_MM * fit.camera[:, 0] / at[:, 2])[:, None]
    if not torch.isfinite(at).all() or not reach.min() > _LEAST_PX:
        return None
    low, high = (at[:, :2] - reach).amin(0).tolist(), (at[:, :2] + reach).amax(0).tolist()
    left, top = (max(math.floor(value) // 2 * 2, 0) for value in low)
    right, bottom = (
        min(math.ceil(value / 2) * 2, side) for value, side in zip(high, (width, height), strict=True)
    )
    if right <= left or bottom <= top or (right - left) * (bottom - top) > _MOST * width * height:
        return None
    return left, top, right, bottom


def in_colour(block: Sequence[U8], box: Box | None, colours: Colours) -> Tensor:
    """Pictures (B, H, W, 3): true colours in the box, a step or two off elsewhere."""
    height, width = block[0].shape[0] * 2 // 3, block[0].shape[1]
    out = np.empty((len(block), height, width, 3), np.uint8)
    for picture, whole in zip(out, block, strict=True):
        if box is None:
            picture[...] = colours.of(whole)
            continue
        left, top, right, bottom = box
        picture[...] = colours.rough(whole)
        picture[top:bottom, left:right] = colours.of(whole, box)
    return torch.from_numpy(out)


def lay(block: Sequence[U8], drawn: Drawn) -> list[U8]:
    """The frames with what was drawn on them; the same bytes wherever alpha is 0.

    A colour sample belongs to four pixels: it changes only where alpha is above 0 on all of them.
    """
    begin, layers = _warped(drawn)
    alpha = layers[:, 3:] / 255
    yuv = torch.einsum("kc,bchw->bkhw", _TO_YUV, layers[:, :3]) + _FROM_YUV[:, None, None]
    share = functional.avg_pool2d(alpha, 2)
    share = torch.where(-functional.max_pool2d(-alpha, 2) > 0, share, 0.0)
    colour = _halved(yuv[:, 1:])
    out = []
    for k, whole in enumerate(block):
        fresh = whole.copy()
        x, y = begin[k].tolist()
        light, *both = (torch.from_numpy(plane) for plane in split(fresh))
        _blend(light, x, y, yuv[k, 0], alpha[k, 0])
        for plane, values in zip(both, colour[k], strict=True):
            _blend(plane, x // 2, y // 2, values, share[k, 0])
        out.append(fresh)
    return out


def _warped(drawn: Drawn) -> tuple[Tensor, Tensor]:
    """Where windows begin (B, 2), even; and RGB and alpha in them (B, 4, R, R), 0 to 255."""
    patches, places, alpha = drawn
    side = patches.shape[1]
    begin, reach = window(places, side)
    begin, reach = begin - begin % 2, (reach + 2) // 2 * 2
    layers = torch.cat([patches.float(), alpha[..., None].float() * 255], -1).permute(0, 3, 1, 2)
    back = torch.linalg.inv(places[:, :, :2])
    back = torch.cat([back, back @ (begin.float()[..., None] - places[:, :, 2:])], 2)
    matrix = normal_map(back, reach, reach, side, side)
    grid = functional.affine_grid(matrix, [len(back), 1, reach, reach], False)
    return begin, functional.grid_sample(layers, grid, "bilinear", "zeros", False)


def _halved(colour: Tensor) -> Tensor:
    """Colours (B, 2, R, R) at half the size, standing above each other's left pixel as H.264 has them."""
    rows = functional.avg_pool2d(colour, (2, 1))
    left = functional.pad(rows, (1, 0, 0, 0), mode="replicate")
    return (left[..., 0:-1:2] + 2 * rows[..., 0::2] + rows[..., 1::2]) / 4


def _blend(under: Tensor, x: int, y: int, values: Tensor, alpha: Tensor) -> None:
    """Lays values (h, w) on a plane, in place, its corner at x, y."""
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + values.shape[1], under.shape[1]), min(y + values.shape[0], under.shape[0])
    if right <= left or bottom <= top:
        return
    inside = np.s_[top - y : bottom - y, left - x : right - x]
    part, share = under[top:bottom, left:right], alpha[inside]
    mixed = part.float().lerp_(values[inside], share).add_(0.5).clamp_(0, 255).to(torch.uint8)
    part.copy_(torch.where(share > 0, mixed, part))
