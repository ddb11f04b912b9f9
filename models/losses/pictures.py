"""Distances between pictures (B, C, H, W): plain, structural, and as figures for people."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["likeness", "psnr", "ssim", "weighted_l1"]

_SIGMA, _REACH = 1.5, 5


def weighted_l1(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference where `weight` (B, 1, H, W) is; its scale does not matter."""
    return ((a - b).abs() * weight).sum() / (weight.sum() * a.shape[1]).clamp(min=1e-6)


def _window(channels: int, like: Tensor) -> Tensor:
    at = torch.arange(-_REACH, _REACH + 1, device=like.device, dtype=like.dtype)
    line = torch.exp(-0.5 * (at / _SIGMA) ** 2)
    line = line / line.sum()
    return (line[:, None] * line).expand(channels, 1, -1, -1)


def ssim(a: Tensor, b: Tensor, span: float = 2.0) -> Tensor:
    """Structural similarity at every pixel (B, C, H - 10, W - 10) of values -span / 2 to span / 2."""
    # Its formula compares means as ratios: values must begin at zero.
    a, b = a.float() + span / 2, b.float() + span / 2
    window, channels = _window(a.shape[1], a), a.shape[1]

    def around(x: Tensor) -> Tensor:
        return functional.conv2d(x, window, groups=channels)

    # Spreads are small differences of squares: half precision would lose them.
    with torch.autocast(a.device.type, enabled=False):
        one, two = around(a), around(b)
        spread_a, spread_b = around(a * a) - one**2, around(b * b) - two**2
        both = around(a * b) - one * two
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    return ((2 * one * two + c1) * (2 * both + c2)) / ((one**2 + two**2 + c1) * (spread_a + spread_b + c2))


def likeness(made: Tensor, true: Tensor, hidden: Tensor, mouth: tuple[slice, slice]) -> tuple[Tensor, Tensor]:
    """Mean distance of what was hidden (B, 1, H, W), of 0 to 1, and structural similarity of the mouth, (B,).

    Values are -1 to 1.
    """
    away = ((made - true).abs() / 2 * hidden).flatten(1).sum(1)
    away = away / (made.shape[1] * hidden.flatten(1).sum(1)).clamp(min=1)
    return away, ssim(made[..., *mouth], true[..., *mouth]).flatten(1).mean(1)


def psnr(a: Tensor, b: Tensor, weight: Tensor | None = None, span: float = 2.0) -> Tensor:
    """Decibels of each picture (B,), where `weight` (B, 1, H, W) is."""
    error = (a - b) ** 2
    weight = torch.ones_like(error[:, :1]) if weight is None else weight
    mean = (error * weight).flatten(1).sum(1) / (weight.flatten(1).sum(1) * a.shape[1]).clamp(min=1e-6)
    return 10 * torch.log10(span**2 / mean.clamp(min=1e-10))
