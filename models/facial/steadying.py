"""Performed rows made fit for a template: pose without jitter or lag, and within where its head was filmed.

Called by `models.facial.method`. Shape legend: n rows, 71 columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from models.facial.columns import COLUMNS, POSE

__all__ = ["Range", "steadied"]

# A Gaussian of one row over five of them, the same to both sides: nothing leads and nothing lags.
_REACH, _SIGMA = 2, 1.0
_OUTSIDE = 0.01  # share of rows that may lie beyond a range at either end
_SOFT = 0.25  # of the half range, in which movement slows down towards the end


def steadied(blocks: Iterator[Tensor]) -> Iterator[Tensor]:
    """Rows (n, 71) whose pose is smoothed, block by block, as many as came; looks two rows ahead."""
    at = torch.arange(-_REACH, _REACH + 1)
    kernel = torch.exp(-0.5 * (at / _SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    held: Tensor | None = None
    for block in blocks:
        if not len(block):
            continue
        held = torch.cat([block[:1].expand(_REACH, -1), block] if held is None else [held, block])
        if len(held) > 2 * _REACH:
            yield _smoothed(held, kernel)
            held = held[-2 * _REACH :]
    if held is not None:
        yield _smoothed(torch.cat([held, held[-1:].expand(_REACH, -1)]), kernel)


def _smoothed(rows: Tensor, kernel: Tensor) -> Tensor:
    """The inner rows of (n + 4, 71)."""
    out = rows[_REACH : len(rows) - _REACH].clone()
    out[:, POSE] = (rows[:, POSE].unfold(0, len(kernel), 1) * kernel).sum(-1)
    return out


class Range(NamedTuple):
    """Where a template's head was filmed: nobody knows how it looks elsewhere, or what lies behind it."""

    low: Tensor  # (71,)
    high: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Range:
        """Of a template's rows (T, 71)."""
        low, high = torch.full((COLUMNS,), -torch.inf), torch.full((COLUMNS,), torch.inf)
        low[POSE], high[POSE] = rows[:, POSE].quantile(torch.tensor([_OUTSIDE, 1 - _OUTSIDE]), 0)
        return cls(low, high)

    def within(self, rows: Tensor) -> Tensor:
        """Rows whose pose stays inside: the last quarter of the way slows down, and never ends."""
        out = rows.clone()
        low, high = self.low[POSE], self.high[POSE]
        middle, half = (low + high) / 2, ((high - low) / 2).clamp(min=1e-6)
        away = (rows[:, POSE] - middle) / half
        over = (away.abs() - (1 - _SOFT)).clamp(min=0) / _SOFT
        bent = torch.where(over > 0, 1 - _SOFT + _SOFT * torch.tanh(over), away.abs())
        out[:, POSE] = middle + half * bent * away.sign()
        return out
