"""Smoothing that moves nothing in time: symmetric windows, each run of frames for itself.

A run is what lies between cuts and frames without a face; nothing is carried over its ends.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["REACH", "low_pass", "runs", "smoothed"]

F32 = NDArray[np.float32]
# Frames to either side that a smoothed one depends on.
REACH = 2


def runs(present: NDArray[np.bool_], shot: NDArray[np.int32]) -> list[slice]:
    """Stretches of frames that follow one another, with a face, in one shot."""
    if not present.any():
        return []
    same = present[1:] & present[:-1] & (shot[1:] == shot[:-1])
    begins = np.flatnonzero(present & np.r_[True, ~same])
    ends = np.flatnonzero(present & np.r_[~same, True]) + 1
    return [slice(int(a), int(b)) for a, b in zip(begins, ends, strict=True)]


def smoothed(values: F32, present: NDArray[np.bool_], shot: NDArray[np.int32]) -> F32:
    """Values (T, ...) with the noise of single frames taken out; missing frames stay missing.

    A parabola through five frames (Savitzky and Golay): closed lips and blinks of three frames keep four
    fifths of their depth, where an average of as many would keep half.
    """
    out = np.full_like(values, np.nan)
    for run in runs(present, shot):
        out[run] = _parabolas(values[run])
    return out


def _parabolas(values: F32) -> F32:
    length = len(values)
    if length < 3:
        return values
    flat = values.reshape(length, -1)
    padded = np.concatenate([_turned(flat, True), flat, _turned(flat, False)])
    weights = _window(REACH)
    out = sum(weights[k] * padded[k : k + length] for k in range(2 * REACH + 1))
    return np.asarray(out, np.float32).reshape(values.shape)


def _turned(flat: F32, front: bool) -> F32:
    """What would come before (or after) if the motion went straight on: the run turned about its end."""
    take = np.minimum(np.arange(REACH, 0, -1), len(flat) - 1)
    if front:
        return 2 * flat[:1] - flat[take]
    return 2 * flat[-1:] - flat[::-1][take[::-1]]


@lru_cache(maxsize=4)
def _window(reach: int) -> tuple[np.float32, ...]:
    at = np.arange(-reach, reach + 1)
    basis = np.stack([at**0, at, at**2], axis=1).astype(np.float64)
    return tuple(np.float32(w) for w in np.linalg.pinv(basis)[0])


def low_pass(path: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    """A path (T, D) through a symmetric Gaussian of so many frames; its ends go straight on."""
    reach = min(int(np.ceil(3 * deviation)), len(path) - 1)
    if reach < 1:
        return path
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    window /= window.sum()
    take = np.arange(reach, 0, -1)
    padded = np.concatenate([2 * path[:1] - path[take], path, 2 * path[-1:] - path[::-1][take[::-1]]])
    return np.stack([np.convolve(column, window, mode="valid") for column in padded.T], axis=1)
