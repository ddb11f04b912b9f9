"""Convolutions as U-Nets are built of them. Without a norm they are begun so that a deep stack neither fades
nor grows; small networks of one person learn faster so, and at dubbing there is nothing to average.

Shape suffixes: B batch, C channels, H, W height and width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Conv", "Down", "Residual", "Told", "Up", "by_code", "pictures_in", "pictures_out"]

_SLOPE = 0.1


class Conv(nn.Sequential):
    """Convolution, instance norm if wanted, leaky rectifier."""

    def __init__(self, into: int, out: int, kernel: int = 3, stride: int = 1, norm: bool = False) -> None:
        conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=not norm)
        gain = math.sqrt(2 / (1 + _SLOPE**2))
        nn.init.normal_(conv.weight, 0, gain / math.sqrt(into * kernel**2))
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        norms = [nn.InstanceNorm2d(out, affine=True)] if norm else []
        super().__init__(conv, *norms, nn.LeakyReLU(_SLOPE, inplace=True))


class Told(nn.Linear):
    """Which channels of x (B, C, H, W) count, by a code (B, K); at the start all as they are."""

    def __init__(self, code: int, width: int) -> None:
        super().__init__(code, 2 * width)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:  # type: ignore[override]
        scale, shift = super().forward(code)[..., None, None].chunk(2, 1)
        return x + (x * scale + shift).to(x.dtype)


def by_code(found: Tensor, told: Told | None, code: Tensor | None) -> Tensor:
    """What was found as a code has it, where somebody is told one."""
    if told is None:
        return found
    assert code is not None
    counted: Tensor = told(found, code)
    return counted


class Residual(nn.Module):
    """x + what two convolutions find, of which a code may say what counts; at the start they find little."""

    def __init__(self, width: int, norm: bool = False, code: int = 0) -> None:
        super().__init__()
        self.told = Told(code, width) if code else None
        self.first = Conv(width, width, norm=norm)
        self.second = nn.Conv2d(width, width, 3, 1, 1)
        nn.init.normal_(self.second.weight, 0, 0.3 / math.sqrt(width * 9))
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        return x + self.second(by_code(self.first(x), self.told, code))


class Down(nn.Sequential):
    """Half the size."""

    def __init__(self, into: int, out: int, norm: bool = False, residuals: int = 1) -> None:
        super().__init__(Conv(into, out, 3, 2, norm), *(Residual(out, norm) for _ in range(residuals)))


class Up(nn.Module):
    """Twice the size, with what the encoder saw there added."""

    def __init__(self, into: int, out: int, norm: bool = False, residuals: int = 1) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(into, out, 1)
        self.join = Conv(out, out, norm=norm)
        self.refine = nn.Sequential(*(Residual(out, norm) for _ in range(residuals)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        wide = functional.interpolate(self.narrow(x), scale_factor=2.0, mode="nearest")
        return self.refine(self.join(wide + skip))


def pictures_in(pictures: Tensor) -> Tensor:
    """uint8 (..., S, S, 3) to -1..1 (..., 3, S, S)."""
    return pictures.movedim(-1, -3).float().div(127.5).sub(1)


def pictures_out(values: Tensor) -> Tensor:
    """-1..1 (B, 3, S, S) to uint8 (B, S, S, 3)."""
    scaled = values.float().add(1).mul(127.5).add(0.5).clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
