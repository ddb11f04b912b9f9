"""Canvases on whole frames as it is done with plain RGB pictures: what the writing of planes is held against.

Shape legend: B frames, H, W a picture's height and width, S a canvas's side.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas.sample import normal_map, window

__all__ = ["paste"]


def paste(pictures: Tensor, patches: Tensor, places: Tensor, alpha: Tensor) -> Tensor:
    """Pictures (B, H, W, 3) uint8 with the patches on them; where alpha is 0 they are the same bytes."""
    out = pictures.clone()
    height, width = pictures.shape[1:3]
    side = patches.shape[1]
    begin, reach = window(places, side)
    layers = torch.cat([patches.float(), alpha[..., None].float() * 255], -1).permute(0, 3, 1, 2)
    back = _inverse(places, begin)
    grid = functional.affine_grid(
        normal_map(back, reach, reach, side, side), [len(back), 1, reach, reach], False
    )
    sampled = functional.grid_sample(layers, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    for picture, layer, (x, y) in zip(out, sampled, begin.tolist(), strict=True):
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + reach, width), min(y + reach, height)
        if right <= left or bottom <= top:
            continue
        part = layer[:, top - y : bottom - y, left - x : right - x].permute(1, 2, 0)
        _blend(picture[top:bottom, left:right], part)
    return out


def _blend(under: Tensor, layer: Tensor) -> None:
    """Lays (h, w, 4) on a view of a picture."""
    alpha = layer[..., 3:] / 255
    mixed = under.float().lerp_(layer[..., :3], alpha).add_(0.5).clamp_(0, 255).to(torch.uint8)
    under.copy_(torch.where(alpha > 0, mixed, under))


def _inverse(places: Tensor, begin: Tensor) -> Tensor:
    """From pixels of a window to pixels of the canvas."""
    back = torch.linalg.inv(places[:, :, :2])
    move = begin.float()[..., None] - places[:, :, 2:]
    return torch.cat([back, back @ move], 2)
