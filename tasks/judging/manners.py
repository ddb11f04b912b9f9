"""How somebody blinks and holds the head, frame by frame: for films whose head and eyes were made, too.

    blink_rate(shut, rate)        # its mean over frames is blinks a minute
    pose_spread(turn)

They are compared with the person's own, which no two takes repeat: none of them has a better or worse but as
the truth is. `models.facial.manner.measured` tells the same of rows that are trained on. Called by
`tasks.judging.figures`.

Shape legend: n frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.track.eyes import blinks

__all__ = ["blink_length", "blink_rate", "pose_speed", "pose_spread"]

F64 = NDArray[np.float64]


def blink_rate(shut: NDArray[np.floating], rate: float) -> F64:
    """Blinks a minute (n,): what each adds to the mean, at the frame where it begins. As the truth's.

    `shut` (n,) is how far the eyes are, 0 to 1, NaN where there is no face.
    """
    found = np.where(np.isfinite(shut), 0.0, np.nan)
    found[[start for start, _ in _blinks(shut, rate)]] = 60 * rate
    return found


def blink_length(shut: NDArray[np.floating], rate: float) -> F64:
    """Seconds that lids are more than half shut (n,), at the frame where a blink begins, else NaN. As the
    truth's."""
    found = np.full(len(shut), np.nan)
    for start, stop in _blinks(shut, rate):
        found[start] = (stop - start) / rate
    return found


def _blinks(shut: NDArray[np.floating], rate: float) -> list[tuple[int, int]]:
    return blinks(np.asarray(shut, np.float32), rate)


def pose_spread(turn: NDArray[np.floating]) -> F64:
    """How far the head is turned from its mean (n,), in the unit of its angles (n, 3). As the truth's."""
    turn = np.asarray(turn, np.float64)
    known = np.isfinite(turn).all(-1)
    if not known.any():
        return np.full(len(turn), np.nan)
    return np.asarray(np.linalg.norm(turn - turn[known].mean(0), axis=-1))


def pose_speed(turn: NDArray[np.floating], rate: float) -> F64:
    """How fast the head turns (n,), in the unit of its angles (n, 3) a second; its first is NaN. As the
    truth's."""
    steps = np.diff(np.asarray(turn, np.float64), axis=0, prepend=np.full((1, turn.shape[1]), np.nan))
    return np.asarray(rate * np.linalg.norm(steps, axis=-1))
