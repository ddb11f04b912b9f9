"""Where a performed head may be: about where its template was filmed.

Called by `models.facial.method`. Shape legend: n rows, 71 columns.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.facial.columns import COLUMNS, POSE

__all__ = ["Range"]

_OUTSIDE = 0.002  # share of rows that may lie beyond a range at either end
_SOFT = 0.2  # of the half range, in which movement slows down towards the end


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
        """Rows whose pose stays inside: the last of the way slows down, and never ends."""
        out = rows.clone()
        low, high = self.low[POSE], self.high[POSE]
        middle, half = (low + high) / 2, ((high - low) / 2).clamp(min=1e-6)
        away = (rows[:, POSE] - middle) / half
        over = (away.abs() - (1 - _SOFT)).clamp(min=0) / _SOFT
        bent = torch.where(over > 0, 1 - _SOFT + _SOFT * torch.tanh(over), away.abs())
        out[:, POSE] = middle + half * bent * away.sign()
        return out
