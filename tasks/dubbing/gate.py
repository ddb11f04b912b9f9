"""Lips that close when nobody speaks: how far motion counts at each moment, and the mouth at rest.

Pure functions; called by `tasks.dubbing.motion`. Pauses between words and for breath belong to speech
and are left alone.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from models.morphable import builtin

__all__ = ["MOUTH", "gate", "lip_gap", "resting"]

F32 = NDArray[np.float32]

MOUTH = ("jaw", "lips")
_RATE = 50.0
_SPEAKS = 0.5
_LONG_S = 1.0  # shorter pauses belong to speech: people breathe in them, and not all shut their lips
_EDGE_S = 0.12  # a pause at either end of the sound is one from here on
_BEFORE_S, _AFTER_S, _EASE_S = 0.10, 0.14, 0.16
# Inner upper and lower lip in the middle, in the model's mouth vertices: two rings of 20.
_UPPER, _LOWER = 20 + 5, 20 + 15
_LOWEST_SHARE, _ENOUGH = 0.1, 10


def gate(voice: F32) -> F32:
    """How far the mouth follows the sound (n,) from voice activity (n,), both 50 a second: 0 at rest."""
    if not len(voice):
        return np.zeros(0, np.float32)
    talks = _without_short_pauses(voice >= _SPEAKS)
    # Lips part before they are heard, and come together after.
    before, after = round(_BEFORE_S * _RATE), round(_AFTER_S * _RATE)
    sums = np.cumsum(np.r_[0, talks])
    at = np.arange(len(talks))
    low, high = np.maximum(at - after, 0), np.minimum(at + before + 1, len(talks))
    wide = (sums[high] - sums[low] > 0).astype(np.float64)
    reach = round(_EASE_S / 2 * _RATE)
    bell = np.hanning(2 * reach + 3)[1:-1]
    eased = np.convolve(np.pad(wide, reach, mode="edge"), bell / bell.sum(), "valid")
    return np.clip(eased, 0, 1).astype(np.float32)


def _without_short_pauses(talks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    out = talks.copy()
    edges = np.flatnonzero(talks[1:] != talks[:-1]) + 1
    cuts = [0, *edges.tolist(), len(talks)]
    for start, stop in itertools.pairwise(cuts):
        at_end = start == 0 or stop == len(talks)
        longest = _EDGE_S if at_end else _LONG_S
        if not talks[start] and stop - start < longest * _RATE:
            # Silence all through stays silence, however short.
            out[start:stop] = stop - start < len(talks)
    return out


def lip_gap(identity: F32, expressions: F32) -> F32:
    """Millimetres between the lips (T,)."""
    mouth = builtin().mouth_vertices(identity, expressions)
    return np.asarray(mouth[:, _LOWER, 1] - mouth[:, _UPPER, 1], np.float32)


def resting(identity: F32, expressions: F32, voice: F32) -> F32:
    """The expression (64,) of this person's shut mouth: of frames in silence, if there are, else of any."""
    gap = lip_gap(identity, expressions)
    silent = np.flatnonzero(voice < 0.2)
    among = silent if len(silent) >= _ENOUGH else np.arange(len(gap))
    lowest = gap[among] <= np.quantile(gap[among], _LOWEST_SHARE)
    return np.asarray(np.median(expressions[among[lowest]], 0), np.float32)
