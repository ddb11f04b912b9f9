"""The renderer: a masked frame, the mesh of the wanted expression and remembered mouths become a face.

A U-Net. What was remembered is encoded slot by slot, mixed by how near the slots are, and added where the
mouth is: at the bottleneck as the paper draws it, and at the sizes above it, or its detail would have to pass
through a few pixels. Over time a ConvLSTM keeps the bottleneck (`recurrent`).

Shape suffixes: B batch, L frames of a window, N = B * L, k found slots, S canvas, P patch, C channels.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.canvas.mask import GUARD, wider
from models.canvas.places import MOUTH_BOX
from models.memface.config_renderer import RendererConfig
from models.memory.explicit import blend
from models.networks import Conv, ConvLSTM, Down, Residual, Up, placed

__all__ = ["Renderer", "conditions", "mixed"]

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


def mixed(features: tuple[Tensor, ...], weights: Tensor) -> tuple[Tensor, ...]:
    """Features of slots (N, k, C, p, p) by their weights (N, k)."""
    return tuple(torch.einsum("nk,nkcij->ncij", weights.to(f.dtype), f) for f in features)


class _Patches(nn.Module):
    """The encoder of remembered mouths: features at every size of the renderer."""

    def __init__(self, config: RendererConfig) -> None:
        super().__init__()
        widths = config.widths
        self.stem = Conv(3 * _HALVED**2, widths[0], norm=config.norm)
        self.levels = nn.ModuleList(
            nn.Sequential(Conv(a, b, 3, 2, config.norm), Conv(b, b, 3, 1, config.norm))
            for a, b in itertools.pairwise(widths)
        )
        self.heads = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(functional.pixel_unshuffle(x, _HALVED))
        out = [self.heads[0](x)]
        for level, head in zip(self.levels, list(self.heads)[1:], strict=True):
            x = level(x)
            out.append(head(x))
        return tuple(out)


class Renderer(nn.Module):
    """See the module."""

    def __init__(self, config: RendererConfig) -> None:
        super().__init__()
        widths, norm = config.widths, config.norm
        self.config = config
        self.stem = nn.Sequential(Conv(_INPUTS * _HALVED**2, widths[0], norm=norm), Residual(widths[0], norm))
        pairs = list(itertools.pairwise(widths))
        self.downs = nn.ModuleList(Down(a, b, norm, config.residuals) for a, b in pairs)
        self.patches = _Patches(config) if config.memory else None
        self.temperature = nn.Parameter(torch.zeros(()))  # its logarithm
        self.over_time = ConvLSTM(widths[-1], widths[-1]) if config.recurrent else None
        self.middle = Residual(widths[-1], norm)
        self.ups = nn.ModuleList(Up(b, a, norm, config.residuals) for a, b in reversed(pairs))
        self.out = nn.Conv2d(widths[0], 3 * _HALVED**2, 3, 1, 1)

    def remember(self, patches: Tensor) -> tuple[Tensor, ...]:
        """Features, level by level, of mouths (M, 3, P, P) from -1 to 1."""
        assert self.patches is not None
        return self.patches(patches)

    def read(self, features: tuple[Tensor, ...], distances: Tensor) -> tuple[Tensor, ...]:
        """Features of found slots (N, k, C, p, p), mixed by distances (N, k + 1)."""
        return mixed(features, blend(distances, self.temperature.float().exp()))

    def forward(
        self,
        inputs: Tensor,
        features: tuple[Tensor, ...] | None = None,
        length: int = 1,
        state: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Pictures (N, 3, S, S) of inputs (N, 8, S, S), windows of `length` frames; the state after them."""
        x = self.stem(functional.pixel_unshuffle(inputs, _HALVED))
        skips = [x]
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips = [self._with(skip, features, level) for level, skip in enumerate(skips)]
        x = skips[-1]
        if self.over_time is not None:
            hidden, state = self.over_time(x.unflatten(0, (-1, length)), state)
            x = x + hidden.flatten(0, 1)
        x = self.middle(x)
        for up, skip in zip(self.ups, reversed(skips[:-1]), strict=True):
            x = up(x, skip)
        return functional.pixel_shuffle(self.out(x), _HALVED), state

    def _with(self, skip: Tensor, features: tuple[Tensor, ...] | None, level: int) -> Tensor:
        if features is None:
            return skip
        left, top = MOUTH_BOX[:2]
        return skip + placed(features[level], skip.shape[-1], left, top)
