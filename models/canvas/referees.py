"""Which frames of a person show a network what that person looks like: the choice, without any chance.

Mouths from shut to wide open, sharp, seen from the front. Called by trainees and when somebody is dubbed,
so that both see the same choice.

Shape legend: N frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["chosen"]

_LOW, _HIGH = 0.05, 0.97  # quantiles of the opening between which mouths are looked for
_TYPICAL = 0.25  # the one that is shown alone is nearly shut
_TURN, _BLUR = 1.5, 0.5  # what a radian, and having no sharpness at all, count beside the openings' range
_FRESH = 0.02  # of the range: less is no other mouth


def chosen(opening: ArrayLike, sharp: ArrayLike, turn: ArrayLike, count: int) -> NDArray[np.int64]:
    """Rows (count,) in the order of their openings; rows come twice only where there are fewer.

    `opening` (N,) in any unit, `sharp` (N,) in any unit, `turn` (N, 3) radians. Rows without numbers are
    passed over; ValueError where none is left.
    """
    gap, edge, angles = (np.asarray(one, np.float64) for one in (opening, sharp, turn))
    known = np.flatnonzero(np.isfinite(gap) & np.isfinite(angles).all(1))
    if not len(known):
        raise ValueError("no frame has both a mouth and a pose: there is nobody to be shown")
    gap, cost = gap[known], _faults(edge[known], angles[known])
    low, high = np.quantile(gap, (_LOW, _HIGH))
    wide = max(high - low, 1e-6)
    wanted = [np.quantile(gap, _TYPICAL)] if count == 1 else np.linspace(low, high, count)
    taken = np.zeros(len(known))
    rows: list[int] = []
    for target in wanted:
        away = np.abs(gap - target) / wide
        best = int(np.argmin(away + cost + taken))
        rows.append(best)
        taken[best] += len(known) * 1e3
        # Neighbours in time show the same mouth once more.
        taken += np.where(np.abs(known - known[best]) < 12, _FRESH, 0.0)
    order = np.argsort(gap[rows], kind="stable")
    return np.asarray(known[np.array(rows)[order]], np.int64)


def _faults(edge: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """What speaks against each row: turned away, or less sharp than is usual."""
    finite = np.isfinite(edge)
    usual = float(np.median(edge[finite])) if finite.any() else 1.0
    share = np.where(finite, edge, 0.0) / max(usual, 1e-9) if finite.any() else np.ones(len(edge))
    return np.asarray(_TURN * np.hypot(angles[:, 0], angles[:, 1]) + _BLUR * np.clip(1 - share, 0, 1))
