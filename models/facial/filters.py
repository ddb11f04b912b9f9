"""Kernels over the rows of a performance, the same to both sides: nothing leads and nothing lags.

Called by `models.facial.manner` and `liveliness`, by the performer's training, and by benches.

Shape legend: n rows, C columns.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.facial.columns import POSE

__all__ = ["settled", "slow_of", "steady", "through"]

_SLOW = 9.0  # deviation of the kernel that parts slow motion from quick, rows
_HALF = 24
# Savitzky and Golay's kernel of nine rows and second order: what is quicker is a tracker's tremor.
_STEADY = (-21.0, 14.0, 39.0, 54.0, 59.0, 54.0, 39.0, 14.0, -21.0)
# What is quicker in a performance is jitter, and must not count as liveliness: a Gaussian of one row.
_GAUSS = (0.054488685, 0.244201342, 0.402619947, 0.244201342, 0.054488685)


def through(x: Tensor, kernel: Tensor) -> Tensor:
    """Columns of (n, C) through a kernel; the ends hold on."""
    half = len(kernel) // 2
    columns = functional.pad(x.T[:, None], (half, half), mode="replicate")
    return functional.conv1d(columns, kernel[None, None].to(x.dtype))[:, 0].T


def settled(pose: Tensor) -> Tensor:
    """Pose (n, 6) without a tracker's tremor."""
    return through(pose, torch.tensor(_STEADY, device=pose.device) / sum(_STEADY))


def steady(rows: Tensor) -> Tensor:
    """Performed rows (n, 71) whose pose does not jitter."""
    out = rows.clone()
    out[:, POSE] = through(rows[:, POSE], torch.tensor(_GAUSS, device=rows.device))
    return out


def slow_of(x: Tensor) -> Tensor:
    """The slow part of columns (n, C); the rest is the quick one."""
    at = torch.arange(-_HALF, _HALF + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (at / _SLOW) ** 2)
    return through(x, kernel / kernel.sum())
