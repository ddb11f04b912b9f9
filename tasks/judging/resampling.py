"""Blocks of frames, drawn again: what a mean might have been of other seconds of the same kind.

Frames beside each other tell the same: a film's 250 frames are not 250 observations. So whole windows are
drawn of one clip; of two or three clips, clips and then windows of each; of more, whole clips.

Percentiles of few blocks are too narrow, and are widened as Student's distribution is: nineteen of twenty
bounds at .95 hold the mean, of five skewed windows a little less. Two or three clips are held too wide where
they do not differ, and too narrow (17 of 20) where they differ as much as their windows do: they cannot tell
how far a fourth would be off. `tests.tasks.judging.test_intervals` counts it. Called by
`tasks.judging.intervals`.

Shape legend: n frames, B blocks, C clips, R draws, W windows of the longest clip.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

__all__ = ["DRAWS", "Blocks", "blocks_of", "bounds"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

DRAWS = 4000
_MANY = 4  # clips, from which on they tell by themselves how they differ
_ROOM = 2_000_000  # numbers held at once


class Blocks(NamedTuple):
    """What is known of each block; blocks of which nothing is known are none."""

    sums: F64  # (B,)
    counts: F64  # (B,)
    clips: I64  # (B,) number of the clip that it is of, in rising order


def blocks_of(values: F64, windows: NDArray[Any], clips: NDArray[Any]) -> Blocks:
    """Of frames (n,), by the names of each one's window and clip; windows of two clips are two."""
    known = np.isfinite(values)
    numbers = [np.unique(names, return_inverse=True)[1][known] for names in (clips, windows)]
    pairs, at = np.unique(np.column_stack(numbers), axis=0, return_inverse=True)
    at = at.reshape(-1)
    return Blocks(_sums(at, values[known]), _sums(at, np.ones(len(at))), pairs[:, 0])


def _sums(at: I64, values: F64) -> F64:
    return np.asarray(np.bincount(at, values), np.float64)


def bounds(blocks: Blocks, level: float, seed: int) -> tuple[float, float]:
    """Between which the mean lies in `level` of all cases; NaN of fewer than two blocks."""
    clips = len(np.unique(blocks.clips))
    units = _clips(blocks) if clips >= _MANY else blocks
    if len(units.sums) < 2:
        return float("nan"), float("nan")
    mean = float(blocks.sums.sum() / blocks.counts.sum())
    low, high = np.quantile(_drawn(units, np.random.default_rng(seed)), [(1 - level) / 2, (1 + level) / 2])
    wider = _spread(clips) if 1 < clips < _MANY else _wider(len(units.sums), level)
    return mean - wider * (mean - float(low)), mean + wider * (float(high) - mean)


def _wider(count: int, level: float) -> float:
    """What a normal distribution lacks to Student's."""
    tail = (1 + level) / 2
    return _spread(count) * float(t.ppf(tail, count - 1) / norm.ppf(tail))


def _spread(count: int) -> float:
    """What the deviation of a few lacks to that of all."""
    return float(np.sqrt(count / (count - 1)))


def _clips(blocks: Blocks) -> Blocks:
    """Each clip a block, as if all were of one."""
    at = np.unique(blocks.clips, return_inverse=True)[1]
    return Blocks(_sums(at, blocks.sums), _sums(at, blocks.counts), np.zeros(at.max() + 1, np.int64))


def _drawn(blocks: Blocks, rng: np.random.Generator) -> F64:
    """Means (R,) of as many clips, and of each as many windows, drawn with replacement."""
    _, first, many = np.unique(blocks.clips, return_index=True, return_counts=True)
    piece = max(_ROOM // int(many.max()), 1)
    parts = [_means(blocks, first, many, min(piece, DRAWS - start), rng) for start in range(0, DRAWS, piece)]
    return np.concatenate(parts)


def _means(blocks: Blocks, first: I64, many: I64, draws: int, rng: np.random.Generator) -> F64:
    sums, counts = np.zeros(draws), np.zeros(draws)
    for _ in first:
        clip = rng.integers(len(first), size=draws)
        among = rng.random((draws, int(many.max()))) * many[clip, None]
        at = first[clip, None] + among.astype(np.int64)
        # Shorter clips are done before the longest is.
        counted = np.arange(many.max()) < many[clip, None]
        sums += (blocks.sums[at] * counted).sum(1)
        counts += (blocks.counts[at] * counted).sum(1)
    return np.asarray(sums / counts)
