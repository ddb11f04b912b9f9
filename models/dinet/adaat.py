"""Adaptive affine transformation: every channel of a feature map turned, scaled and moved on its own.

Sampling is an ordinary one in two dimensions, a channel at a time, with end points at the middles of the
outermost pixels and nothing outside. With `compat` it is what a sampler in three dimensions makes of it
whose third coordinate is the channel's number and whose end points are pixels' edges: neighbouring channels
are mixed, all the more the farther they are from the middle one. Weights that were trained so need it.

Shape suffixes: B batch, C channels, h, w height and width, D numbers of a code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["AdaAT", "mixed", "warped"]

_FAINT = 0.02


class AdaAT(nn.Module):
    """A code (B, D) to four numbers a channel, and features (B or 1, C, h, w) moved by them."""

    def __init__(self, channels: int, code: int, compat: bool = False) -> None:
        super().__init__()
        self.channels, self.compat = channels, compat
        self.shared = nn.Sequential(nn.Linear(code, channels), nn.ReLU())
        self.scale = nn.Linear(channels, channels)
        self.turn = nn.Linear(channels, channels)
        self.shift = nn.Linear(channels, 2 * channels)
        # Nearly the identity at first: from there a mouth is found sooner than from a scrambled face.
        for head in (self.scale, self.turn, self.shift):
            nn.init.normal_(head.weight, 0, _FAINT)
            nn.init.zeros_(head.bias)

    def transforms(self, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scales and angles (B, C), shifts (B, C, 2) in halves of the map."""
        hidden = self.shared(code)
        scale = 2 * torch.sigmoid(self.scale(hidden).float())
        turn = math.pi * torch.tanh(self.turn(hidden).float())
        shift = torch.tanh(self.shift(hidden).float()).unflatten(1, (self.channels, 2))
        return scale, turn, shift

    def forward(self, features: Tensor, source: Tensor, code: Tensor) -> Tensor:
        """`source` is what other ways of moving look at; this one knows the code alone."""
        return warped(features, *self.transforms(code), compat=self.compat)


def warped(features: Tensor, scale: Tensor, turn: Tensor, shift: Tensor, compat: bool = False) -> Tensor:
    """Features (B or 1, C, h, w), each channel by its own transform; always float32 inside."""
    with torch.autocast(features.device.type, enabled=False):
        kind, many = features.dtype, len(scale)
        source = (mixed(features) if compat else features).expand(many, -1, -1, -1)
        count, (height, width) = many * source.shape[1], source.shape[2:]
        c, s = (scale * torch.cos(turn)).flatten(), (scale * torch.sin(turn)).flatten()
        x, y = shift.flatten(0, 1).unbind(1)
        grid = _grid(c, s, x, y, height, width)
        flat = source.float().contiguous().reshape(count, 1, height, width)
        out = functional.grid_sample(flat, grid, mode="bilinear", align_corners=not compat)
        return out.reshape(many, -1, height, width).to(kind)


def _grid(c: Tensor, s: Tensor, x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Where each transform (n,) looks, (n, h, w, 2); the outermost pixels' middles are at -1 and 1."""
    c, s, x, y = (one[:, None, None] for one in (c, s, x, y))
    across = torch.linspace(-1, 1, width, device=c.device)
    down = torch.linspace(-1, 1, height, device=c.device)[:, None]
    return torch.stack([c * across + (x - s * down), s * across + (y + c * down)], -1)


def mixed(features: Tensor) -> Tensor:
    """What sampling between channels makes of (B, C, h, w): each a blend of two, the ends half dark."""
    channels = features.shape[1]
    at = torch.arange(channels, device=features.device).double() * (channels / max(channels - 1, 1)) - 0.5
    low = at.floor()
    part = (at - low).to(features.dtype)[:, None, None]
    # One empty channel before the first and after the last.
    padded = functional.pad(features, (0, 0, 0, 0, 1, 1))
    index = low.long() + 1
    return padded[:, index] * (1 - part) + padded[:, index + 1] * part
