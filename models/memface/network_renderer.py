"""The renderer: a masked frame, the mesh of the wanted expression and remembered mouths become a face.

A U-Net. The mesh of a remembered frame and that of the wanted one say exactly where each remembered pixel
belongs, so mouths are carried there first. They are then encoded, mixed by how near they are and added at the
bottleneck, as in the paper; and since a bottleneck of a few pixels has no room for teeth, they enter beside
the frame as well. Over time a ConvLSTM keeps the bottleneck (`recurrent`).

Shape suffixes: B batch, L frames of a window, N = B * L, k found slots, S canvas.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.canvas import carried
from models.canvas.mask import GUARD, wider
from models.memface.config_renderer import RendererConfig
from models.memory.explicit import blend
from models.networks import Conv, ConvLSTM, Down, Residual, Up
from models.networks.blocks import pictures_in

__all__ = ["Found", "Renderer", "conditions", "laid_over"]

_INPUTS = 8  # masked picture 3, mask 1, mesh 3, cover 1
_HALVED = 2


def conditions(target: Tensor, alpha: Tensor, mesh: Tensor, cover: Tensor, spread: int = GUARD) -> Tensor:
    """Inputs (N, 8, S, S) of uint8 pictures (N, S, S, 3), alphas, meshes and covers (N, S, S).

    Every pixel with any alpha is hidden, and `spread` pixels around them.
    """
    hidden = wider((alpha > 0).float()[:, None], spread)
    seen = target.permute(0, 3, 1, 2).float().div(127.5).sub(1) * (1 - hidden)
    shown = mesh.permute(0, 3, 1, 2).float().div(127.5).sub(1)
    covered = cover[:, None].float().div(255)
    return torch.cat([seen, hidden, shown * covered, covered], 1)


class Found(NamedTuple):
    """What was remembered, as it would lie on the frames."""

    pictures: Tensor  # (N, k, 3, S, S), zeros where nothing is known
    known: Tensor  # (N, 1, S, S), 1 where the face's mesh says where a pixel came from
    distances: Tensor  # (N, k + 1), nearest first


def laid_over(patches: Tensor, points: Tensor, corners: Tensor, shares: Tensor, distances: Tensor) -> Found:
    """Remembered canvases (N, k, S, S, 3) uint8 carried from their meshes onto the frames'."""
    there = torch.isfinite(distances[:, :-1])[..., None, None, None]
    pictures, known = carried(pictures_in(patches), points, corners, shares)
    # A slot that is not there stands for another, perhaps for the very frame that is to be drawn.
    return Found(pictures * there, known, distances)


class _Mouths(nn.Sequential):
    """Carried mouths (n, 3, S, S) to features of the bottleneck's size."""

    def __init__(self, config: RendererConfig) -> None:
        widths, norm = config.widths[1:], config.norm
        pairs = itertools.pairwise(widths)
        super().__init__(
            nn.PixelUnshuffle(2 * _HALVED),
            Conv(3 * (2 * _HALVED) ** 2, widths[0], norm=norm),
            *(Conv(a, b, 3, 2, norm) for a, b in pairs),
            nn.Conv2d(widths[-1], widths[-1], 1),
        )


class Renderer(nn.Module):
    """See the module."""

    def __init__(self, config: RendererConfig) -> None:
        super().__init__()
        widths, norm = config.widths, config.norm
        self.config = config
        self.found = config.found if config.memory else 0
        into = _INPUTS + (1 + 3 + 3 * self.found if self.found else 0)
        self.stem = nn.Sequential(Conv(into * _HALVED**2, widths[0], norm=norm), Residual(widths[0], norm))
        pairs = list(itertools.pairwise(widths))
        self.downs = nn.ModuleList(Down(a, b, norm, config.residuals) for a, b in pairs)
        self.mouths = _Mouths(config) if self.found else None
        self.temperature = nn.Parameter(torch.zeros(()))  # its logarithm
        self.over_time = ConvLSTM(widths[-1], widths[-1]) if config.recurrent else None
        self.middle = Residual(widths[-1], norm)
        self.ups = nn.ModuleList(Up(b, a, norm, config.residuals) for a, b in reversed(pairs))
        self.out = nn.Conv2d(widths[0], 3 * _HALVED**2, 3, 1, 1)

    def forward(
        self,
        inputs: Tensor,
        remembered: Found | None = None,
        length: int = 1,
        state: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Pictures (N, 3, S, S) of inputs (N, 8, S, S), windows of `length` frames; the state after them."""
        weights = None
        if remembered is not None:
            weights = blend(remembered.distances, self.temperature.float().exp())
            inputs = torch.cat([inputs, _shown(remembered, weights).to(inputs.dtype)], 1)
        inputs = inputs.contiguous(memory_format=self._layout())
        x = self.stem(functional.pixel_unshuffle(inputs, _HALVED))
        skips = [x]
        for down in self.downs:
            x = down(x)
            skips.append(x)
        if remembered is not None and weights is not None:
            x = x + self._encoded(remembered, weights, x.dtype)
        if self.over_time is not None:
            hidden, state = self.over_time(x.unflatten(0, (-1, length)), state)
            x = x + hidden.flatten(0, 1)
        x = self.middle(x)
        for up, skip in zip(self.ups, reversed(skips[:-1]), strict=True):
            x = up(x, skip)
        return functional.pixel_shuffle(self.out(x), _HALVED), state

    def _encoded(self, remembered: Found, weights: Tensor, kind: torch.dtype) -> Tensor:
        """What the mouths say at the bottleneck, by how near they are."""
        assert self.mouths is not None
        pictures = remembered.pictures.flatten(0, 1).to(kind).contiguous(memory_format=self._layout())
        features = self.mouths(pictures).unflatten(0, weights.shape)
        return torch.einsum("nk,nkcij->ncij", weights.to(features.dtype), features)

    def _layout(self) -> torch.memory_format:
        flat = self.config.plan.channels_last
        return torch.channels_last if flat else torch.contiguous_format


def _shown(remembered: Found, weights: Tensor) -> Tensor:
    """What enters beside the frame: known pixels, slots by how near they are, and each slot."""
    mixed = torch.einsum("nk,nkcij->ncij", weights, remembered.pictures)
    return torch.cat([remembered.known, mixed, remembered.pictures.flatten(1, 2)], 1)
