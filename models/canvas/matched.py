"""Drawn canvases with the colours of what is around them, before they go back onto whole frames.

Shape legend: B frames, S a canvas's side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.canvas.mask import GUARD, wider

__all__ = ["matched"]

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
