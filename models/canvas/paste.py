"""Drawn canvases back onto whole frames: colours as around them, and not one pixel changed outside the mask.

Shape legend: B frames, H, W a picture's height and width, S a canvas's side.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas.mask import GUARD, wider
from models.canvas.sample import normal_map, window

__all__ = ["matched", "paste"]

_RING = 0.05  # of the side: how far around the mask colours are compared
_MOST = 40.0  # brightness steps; more is no difference of colour but of content


def matched(patches: Tensor, canvases: Tensor, alpha: Tensor, guard: int = GUARD) -> Tensor:
    """Patches (B, S, S, 3) uint8 with the colours that `canvases` have around the mask.

    A plane a colour, fitted on the ring outside the mask, where the true picture is known and stays; its
    first `guard` pixels were sampled in part from below the mask, and are not looked at.
    """
    side = patches.shape[1]
    hidden = wider((alpha > 0).float()[:, None], guard)[:, 0]
    shift = _shift(patches[:, ::2, ::2], canvases[:, ::2, ::2], hidden[:, ::2, ::2])
    at = (torch.arange(side) + 0.5) / side - 0.5
    planes = shift[:, None, None, 0] + shift[:, None, None, 1] * at[:, None]
    planes = planes + shift[:, None, None, 2] * at[:, None, None]
    return planes.add_(patches).add_(0.5).clamp_(0, 255).to(torch.uint8)


def _shift(patches: Tensor, canvases: Tensor, hidden: Tensor) -> Tensor:
    """Coefficients (B, 3, C) of the planes 1, x, y."""
    side = patches.shape[1]
    hidden = hidden[:, None]
    weight = (wider(hidden, max(round(_RING * side), 1)) - hidden).flatten(1)
    at = (torch.arange(side) + 0.5) / side - 0.5
    flat = torch.stack([torch.ones(side, side), at.expand(side, side), at[:, None].expand(side, side)])
    flat = flat.flatten(1)
    away = (canvases.float() - patches.float()).clamp_(-_MOST, _MOST).flatten(1, 2)
    fit, trust = torch.zeros(len(patches), 3, 3), weight
    for _ in range(2):
        left = (flat * trust[:, None]) @ flat.T + 1e-2 * torch.eye(3)
        fit = torch.linalg.solve(left, (flat * trust[:, None]) @ away)
        # The second look leaves out what differs for other reasons than light: hair, a collar that moved.
        miss = (away - flat.T @ fit).abs().mean(-1)
        trust = weight / (1 + (miss / 8) ** 2)
    return fit


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
