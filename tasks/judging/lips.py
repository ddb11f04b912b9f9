"""How near the lips of a made film come to the true ones, and how they move: from landmarks alone.

    lmd(made, true, scale)                    # landmarks in pixels, `scale` the distance between the eyes
    opening(gaps, true_gaps).mean()           # the correlation

Lengths are percent of the distance between the true eyes' outer corners, so that sizes of films do not
matter. What is not known of a frame is NaN, and so is what depends on it. Called by `tasks.judging.figures`.

Shape legend: n frames, K landmarks (dlib's 20 of `twenty`, or any other), W windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from models.morphable.builtin import builtin
from models.track.subset68 import DLIB_IN_MESH

__all__ = [
    "jitter",
    "leakage",
    "leakage_share",
    "lmd",
    "lmd_centred",
    "opening",
    "opening_by_window",
    "shake",
    "speed_within",
    "twenty",
]

F64 = NDArray[np.float64]

_DLIB_LIPS = slice(48, 68)
_CLOSING_S = 0.2  # lips open before the sound, and close after it
_STILL = 0.01  # deviation of an opening: speech has .03 to .07 in any two seconds, a tracker's noise less


def twenty(lips: F64) -> F64:
    """dlib's 20 points of the mouth, by which others tell LMD, out of the mesh's (n, 40, 2)."""
    where = {int(vertex): at for at, vertex in enumerate(builtin().mouth)}
    return lips[:, [where[int(vertex)] for vertex in DLIB_IN_MESH[_DLIB_LIPS]]]


def lmd(made: F64, true: F64, scale: F64) -> F64:
    """Mean distance of landmarks (n, K, 2), percent of `scale` (n,); less is better."""
    return _percent(np.linalg.norm(made - true, axis=-1).mean(-1), scale)


def lmd_centred(made: F64, true: F64, scale: F64) -> F64:
    """The same of mouths that lie over each other: their shape, wherever the head is. Less is better."""
    return lmd(made - made.mean(1, keepdims=True), true - true.mean(1, keepdims=True), scale)


def shake(points: F64, scale: F64, rate: float) -> F64:
    """Mean second difference of landmarks (n, K, 2), percent of `scale` (n,) / s squared; as the truth's.

    Its ends are NaN: a second difference needs both neighbours.
    """
    found = np.full(len(points), np.nan)
    if len(points) > 2:
        bend = points[2:] - 2 * points[1:-1] + points[:-2]
        found[1:-1] = _percent(np.linalg.norm(bend, axis=-1).mean(-1), scale[1:-1]) * rate**2
    return found


def jitter(made: F64, true: F64, scale: F64, rate: float) -> F64:
    """Each frame's `shake` over the truth's mean one (n,), so that its mean is their ratio; near 1 is better.

    Trembling lies above 1; lips that move too little, or too smoothly, below. A watcher's own noise is in
    both and draws it to 1.
    """
    one, other = shake(made, scale, rate), shake(true, scale, rate)
    known = np.isfinite(one) & np.isfinite(other)
    usual = float(other[known].mean()) if known.any() else 0.0
    return np.where(known, one / usual, np.nan) if usual > 0 else np.full(len(one), np.nan)


def leakage(gaps: F64, speaks: NDArray[np.bool_], rate: float) -> F64:
    """How fast lips move where nobody speaks (n,), percent of the eyes' distance a second; as the truth's.

    `gaps` (n,) are shares of that distance, `speaks` (n,) whether somebody does. NaN where somebody
    speaks, and for .2 s around it. People at rest move too, and lips that scarcely move when they speak
    have little here as well: less is not better.
    """
    around = 2 * round(_CLOSING_S * rate) + 1
    return speed_within(~maximum_filter1d(np.asarray(speaks, bool), around, mode="constant"), gaps, rate)


def leakage_share(gaps: F64, speaks: NDArray[np.bool_], rate: float) -> F64:
    """Each frame's `leakage` over the same lips' mean speed while somebody speaks (n,); less is better.

    Lips that do not know speech from silence have 1, however little they move. That mean counts as known:
    it is of more frames than there are silent ones. NaN where lips never move in speech, too.
    """
    said = speed_within(np.asarray(speaks, bool), gaps, rate)
    known = np.isfinite(said)
    usual = float(said[known].mean()) if known.any() else 0.0
    return leakage(gaps, speaks, rate) / usual if usual > 0 else np.full(len(gaps), np.nan)


def speed_within(chosen: NDArray[np.bool_], gaps: F64, rate: float) -> F64:
    """How fast lips open or close from one chosen frame to the next; NaN elsewhere."""
    step = 100 * rate * np.abs(np.diff(gaps, prepend=np.nan))
    return np.where(chosen & np.r_[False, chosen[:-1]], step, np.nan)


def opening(made: F64, true: F64) -> F64:
    """How far lips are open (n,) each: of every frame what it adds (n,), so that the mean is the correlation,
    -1 to 1; more is better.

    Lips that stand still while the true ones move have nothing of them: 0. NaN where the truth does not move.
    """
    found = np.full(len(true), np.nan)
    known = np.isfinite(made) & np.isfinite(true)
    if known.sum() > 2 and true[known].std() > _STILL:
        found[known] = _shares(made[known], true[known])
    return found


def _shares(a: F64, b: F64) -> F64:
    """A correlation and its influence: resampled, their mean varies as the correlation itself would."""
    if np.ptp(a) == 0:
        return np.zeros(len(a))
    a, b = ((x - x.mean()) / x.std() for x in (a, b))
    r = (a * b).mean()
    return np.asarray(r + a * b - r / 2 * (a**2 + b**2))


def opening_by_window(made: F64, true: F64, windows: NDArray[Any]) -> F64:
    """The correlation of each window by itself (W,), in the order of their names; more is better.

    The mean of these is not the whole's correlation: what differs between windows does not help it.
    """
    parts = [opening(made[windows == one], true[windows == one]) for one in np.unique(windows)]
    return np.array([part[known].mean() if (known := np.isfinite(part)).any() else np.nan for part in parts])


def _percent(length: F64, scale: F64) -> F64:
    return np.asarray(np.divide(100 * length, scale, out=np.full(len(length), np.nan), where=scale > 0))
