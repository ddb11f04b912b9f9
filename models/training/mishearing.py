"""What an ear would make of expressions: right ones, heard as wrong as at dubbing.

Networks that are told a mouth's shape learn from what fits saw. What they are told later comes from sound
and is never quite that. Called by trainees of such networks.

Shape legend: B windows, L frames of a window, E coefficients.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.training.bundle import TRAIN, Bundle

__all__ = ["misheard", "misplaced", "spread_of"]

I64 = NDArray[np.int64]
_WAVE_ROWS = 4  # a radian of a mistake that comes and goes: once a second
_MOST = 20_000  # rows that tell how much expressions vary


def spread_of(bundle: Bundle) -> Tensor:
    """Deviation (E,) of what is told in training, of everybody about their own mean."""
    rows = bundle.rows(TRAIN)
    rows = rows[:: max(len(rows) // _MOST, 1)]
    said = np.nan_to_num(np.asarray(bundle["around"][rows, 2], np.float32))
    who = bundle.speakers()[rows]
    for one in np.unique(who):
        said[who == one] -= said[who == one].mean(0)
    return torch.from_numpy(said.std(0))


def misheard(around: Tensor, spread: Tensor, noise: float, wavering: float, draw: torch.Generator) -> Tensor:
    """Expressions (B, L, 5, E) as an ear would have them; `spread` (E,) is the material's deviation.

    A mistake holds for the whole window, and another one comes and goes within it.
    """
    count, length, near, wide = around.shape
    steady = torch.randn(count, 1, 1, wide, generator=draw)
    ends = torch.randn(count, 2, wide, generator=draw)
    # Row k of frame f is row f + k of the window: neighbours are told the same of the same moment.
    at = (torch.arange(length)[:, None] + torch.arange(near)).float() / _WAVE_ROWS
    slow = ends[:, :1, None] * torch.cos(at)[..., None] + ends[:, 1:, None] * torch.sin(at)[..., None]
    return around + (noise * steady + wavering * slow) * spread


def misplaced(first: I64, low: I64, high: I64, share: float, draw: torch.Generator) -> I64:
    """First rows (B,) of what is told, `low` to `high`: of a share of windows that of the frame beside."""
    step = torch.randint(0, 2, (len(first),), generator=draw) * 2 - 1
    moved = torch.rand(len(first), generator=draw) < share
    return np.clip(first + (step * moved).numpy(), low, high)
