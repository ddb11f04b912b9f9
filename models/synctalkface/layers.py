"""Layers as the paper stacks them: convolution, batch norm, rectifier. Private to `models.synctalkface`.

Without norms they are begun so that a deep stack neither fades nor grows, and small networks learn faster so.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Conv", "Grow", "Same", "pixels_apart"]

_SLOPE = 0.1
_FAINT = 0.3  # what residual layers add at the start, without norms

Pair = int | tuple[int, int]


def pixels_apart(pictures: Tensor, factor: int) -> Tensor:
    """(N, C, S, S) to (N, C f^2, S / f, S / f)."""
    return functional.pixel_unshuffle(pictures, factor) if factor > 1 else pictures


def _begun(conv: nn.Conv2d | nn.ConvTranspose2d, inputs: float, gain: float) -> None:
    nn.init.normal_(conv.weight, 0, gain / math.sqrt(inputs))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def _rectifier(norm: bool) -> nn.Module:
    return nn.ReLU(inplace=True) if norm else nn.LeakyReLU(_SLOPE, inplace=True)


class Conv(nn.Sequential):
    """The paper's C."""

    def __init__(
        self, into: int, out: int, kernel: int = 3, stride: Pair = 1, padding: int = 1, norm: bool = True
    ) -> None:
        conv = nn.Conv2d(into, out, kernel, stride, padding)
        if not norm:
            _begun(conv, into * kernel**2, math.sqrt(2 / (1 + _SLOPE**2)))
        super().__init__(conv, *([nn.BatchNorm2d(out)] if norm else []), _rectifier(norm))


class Same(nn.Module):
    """The paper's R: what goes in is added before the rectifier."""

    def __init__(self, width: int, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)
        self.norm = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.act = _rectifier(norm)
        if not norm:
            _begun(self.conv, width * 9, _FAINT)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.norm(self.conv(x)) + x)
        return out


class Grow(nn.Sequential):
    """The paper's D: twice the size, or from one pixel to four by four.

    Without norms the paper's kernel, most of the work of a small network, gives way to one of a single
    pixel: the residual layers that follow smooth what it leaves.
    """

    def __init__(self, into: int, out: int, first: bool = False, norm: bool = True) -> None:
        layers: list[nn.Module]
        if first:
            layers = [nn.ConvTranspose2d(into, out, 4, 1, 0)]
        elif norm:
            layers = [nn.ConvTranspose2d(into, out, 3, 2, 1, 1)]
        else:
            layers = [nn.Conv2d(into, out, 1)]
        if norm:
            layers.append(nn.BatchNorm2d(out))
        else:
            _begun(layers[0], into, math.sqrt(2 / (1 + _SLOPE**2)))  # type: ignore[arg-type]
        layers.append(_rectifier(norm))
        if not (first or norm):
            layers.append(nn.Upsample(scale_factor=2.0))
        super().__init__(*layers)
