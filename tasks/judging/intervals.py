"""How surely a figure is known, and whether two methods differ: means with bounds, paired tests.

    windows = windows_of(len(values), rate)
    summary(values, windows, clips)                  # mean, low, high, count
    paired(own, other, windows).p                    # then holm() over all pairs that one looks at

Everything is resampled in blocks of frames (`tasks.judging.resampling`), and seeded: the same figures give
the same answer. Bounds and p are of other seconds of these people by these very checkpoints;
other trainings of the same method are not in them. Called by `tasks.judged`, and by benchmarks.

Shape legend: n frames, B blocks, R draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.judging.resampling import DRAWS, blocks_of, bounds

__all__ = ["WINDOW_S", "Paired", "Summary", "holm", "paired", "summary", "windows_of"]

F64 = NDArray[np.float64]

# Four times as long as figures of real dubs remember. Where they remember a little more, one test in fourteen
# about nothing falls below .05; windows of 2 s would make it one in eighteen, and halve what a clip can tell.
WINDOW_S = 1.0
_ALL = 14  # blocks up to which every swap is tried: 16,384
_ROUNDING = 1e-9


class Summary(NamedTuple):
    """NaN where it cannot be told: bounds want two blocks at least."""

    mean: float
    low: float
    high: float
    count: int  # type: ignore[assignment]  # known values: frames, or what they are of


class Paired(NamedTuple):
    """Of two methods' figures on the same frames."""

    difference: float  # mean of the first less that of the second
    low: float
    high: float
    p: float  # of so large a difference, either way, if both were the same
    least: float  # the smallest p that so many blocks can give, whatever is seen in them


def windows_of(count: int, rate: float, seconds: float = WINDOW_S) -> NDArray[np.int64]:
    """The window (n,) that each of so many frames of a clip is of; all are alike in length."""
    windows = max(round(count / (rate * seconds)), 1)
    return np.arange(count, dtype=np.int64) * windows // max(count, 1)


def summary(
    values: F64,
    windows: NDArray[Any],
    clips: NDArray[Any] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Summary:
    """The mean of values (n,), and the bounds of it; windows and clips (n,) are names. One clip if unsaid."""
    blocks = blocks_of(values, windows, np.zeros(len(values)) if clips is None else clips)
    count = int(blocks.counts.sum())
    mean = float(blocks.sums.sum()) / count if count else math.nan
    return Summary(mean, *bounds(blocks, level, seed), count)


def paired(a: F64, b: F64, blocks: NDArray[Any], clips: NDArray[Any] | None = None, seed: int = 0) -> Paired:
    """Whether two figures (n,) of the same frames differ, by swapping them in whole blocks.

    It is of these clips: how others of the same people would differ, only bounds of several clips tell. With
    k blocks no p is below 2 ** (1 - k): five or fewer can show nothing at .05, however it looks.
    """
    found = summary(a - b, blocks, clips, seed=seed)
    sums = blocks_of(a - b, blocks, np.zeros(len(a)) if clips is None else clips).sums
    return Paired(found.mean, found.low, found.high, _p(sums, seed), _least(len(sums)))


def _least(blocks: int) -> float:
    """All swapped, and none: two of all ways. Where ways are drawn, none of them need be as far."""
    if not blocks:
        return math.nan
    return 2.0 ** (1 - blocks) if blocks <= _ALL else 1 / (1 + DRAWS)


def _p(sums: F64, seed: int) -> float:
    """The share of swaps that make as large a sum."""
    if not len(sums):
        return math.nan
    least = abs(sums.sum()) - _ROUNDING * np.abs(sums).sum()
    if len(sums) <= _ALL:
        signs = 1 - 2 * (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1)
        return float((np.abs(signs @ sums) >= least).mean())
    signs = np.random.default_rng(seed).integers(2, size=(DRAWS, len(sums))) * 2 - 1
    # What was observed is one of the swaps: no p is 0.
    return float((1 + (np.abs(signs @ sums) >= least).sum()) / (1 + DRAWS))


def holm(p: Sequence[float]) -> list[float]:
    """Each p as it is when all are looked at (Holm 1979): one in twenty lists about nothing falls below .05.

    What is NaN was not looked at, and stays so.
    """
    values = np.asarray(p, np.float64)
    order = [int(at) for at in np.argsort(values) if not math.isnan(values[at])]
    raised, least = values.copy(), 0.0
    for rank, at in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * float(values[at])))
        raised[at] = least
    return [float(value) for value in raised]
