"""How far off figures are that should be near 1, so that two methods can be tested by them: 0 is the truth.

    off("jitter", values).mean()       # |log| of the mean: half and twice are as far

Which frames say so differs. `sharpness` of a frame is over the same frame of the truth: each frame is right
or wrong by itself, and one too sharp makes none better that is blurred. `jitter` of a frame is over the mean
of the whole take: speech itself swings between none and several times of it, the truth's as well, and a mouth
that moved evenly would be nearest to 1. There only the take's mean is right or wrong, and frames have what
each adds to that. Two that are both right are told apart too seldom rather than too often.
Called by `tasks.judging.told`.

Shape legend: n frames of one take.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["off"]

F64 = NDArray[np.float64]

_BY_FRAME = frozenset({"sharpness"})
_LEAST = 0.01  # what stands still has no logarithm; nothing is farther off than this


def off(name: str, values: F64) -> F64:
    """Of a figure (n,), what each frame adds to how far the take is from 1 (n,); less is better."""
    return np.abs(np.log(np.maximum(values, _LEAST))) if name in _BY_FRAME else _of_mean(values)


def _of_mean(values: F64) -> F64:
    """The distance, and its influence: resampled, its mean varies as the distance itself would."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), np.nan)
    mean = max(float(values[known].mean()), _LEAST)
    side = 1.0 if mean >= 1 else -1.0
    return np.asarray(side * (np.log(mean) + (values - values[known].mean()) / mean))
