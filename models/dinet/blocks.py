"""The blocks that all of DINet's networks are built of.

With a norm they are the paper's, to the unit. Without one, as small networks learn here, they are begun so
that deep stacks neither fade nor grow. Private to `models.dinet`.

Shape suffixes: B batch, C channels, H, W height and width, D numbers of a code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.networks.blocks import Told, by_code

__all__ = ["Down", "Res", "Same", "Up", "averaged", "folded", "rectified"]

_SLOPE = 0.1
_FAINT = 0.3  # how loud a residual speaks at the start


def rectified(norm: bool, inplace: bool = True) -> nn.Module:
    """Without a norm, a plain rectifier would leave some channels dead for good."""
    return nn.ReLU(inplace) if norm else nn.LeakyReLU(_SLOPE, inplace)


def _conv(
    into: int, out: int, kernel: int, stride: int, norm: bool, line: bool, loud: float = 1.0
) -> nn.Module:
    kind = nn.Conv1d if line else nn.Conv2d
    conv = kind(into, out, kernel, stride, kernel // 2)
    if not norm:
        taps = kernel if line else kernel**2
        nn.init.normal_(conv.weight, 0, loud * math.sqrt(2 / (1 + _SLOPE**2) / (into * taps)))
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
    return conv


def _norm(width: int, norm: bool, line: bool) -> list[nn.Module]:
    if not norm:
        return []
    return [nn.BatchNorm1d(width) if line else nn.BatchNorm2d(width)]


class Same(nn.Sequential):
    """Convolution, norm, rectifier."""

    def __init__(
        self, into: int, out: int, kernel: int, norm: bool, line: bool = False, stride: int = 1
    ) -> None:
        super().__init__(
            _conv(into, out, kernel, stride, norm, line), *_norm(out, norm, line), rectified(norm)
        )


class Down(Same):
    """The same at half the size."""

    def __init__(self, into: int, out: int, norm: bool, line: bool = False) -> None:
        super().__init__(into, out, 3, norm, line, 2)


class Up(nn.Module):
    """The same at twice the size."""

    def __init__(self, into: int, out: int, norm: bool) -> None:
        super().__init__()
        self.same = Same(into, out, 3, norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.same(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class Res(nn.Module):
    """x + what two convolutions find; where a code is given, it says which of what they find counts."""

    def __init__(self, width: int, norm: bool, line: bool = False, code: int = 0) -> None:
        super().__init__()
        # Without a norm the rectifier looks at x itself, which is still needed.
        self.first = nn.Sequential(
            *_norm(width, norm, line), rectified(norm, norm), _conv(width, width, 3, 1, norm, line)
        )
        self.second = nn.Sequential(
            *_norm(width, norm, line), rectified(norm), _conv(width, width, 3, 1, norm, line, _FAINT)
        )
        self.told = Told(code, width) if code else None

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        return x + self.second(by_code(self.first(x), self.told, code))


def averaged(x: Tensor) -> Tensor:
    """Means (B, C) over all places, added up in full precision."""
    return torch.flatten(x, 2).float().mean(2).to(x.dtype)


def folded(network: nn.Module) -> None:
    """Norms that follow a convolution become part of it, for good: to draw with, no longer to be trained."""
    network.eval()
    for block in network.modules():
        if isinstance(block, Same) and isinstance(block[1], nn.modules.batchnorm._BatchNorm):
            block[0], block[1] = fuse_conv_bn_eval(block[0], block[1]), nn.Identity()  # type: ignore[type-var]
        if isinstance(block, Res) and len(block.second) == 3 and block.told is None:
            block.first[2] = fuse_conv_bn_eval(block.first[2], block.second[0])  # type: ignore[type-var]
            block.second[0] = nn.Identity()
