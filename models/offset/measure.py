"""By how much the sound is late against the picture, and how sure that is. Pure numpy.

Lips that were read from the sound are held against lips that were seen, at every lag. What is common to both
shows as a peak; how high it would rise by chance follows from how slowly the two curves change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONFIDENT", "SPEECH_RATE", "Offset", "estimate", "smoothed_away"]

F64 = NDArray[np.float64]

SPEECH_RATE = 50.0
CONFIDENT = 0.5
FURTHEST = 25.0  # frames
# Lips run ahead of the voice by a little more in one person than in another: some of a small offset, and next
# to nothing of a large one, is taken for that.
_SLACK, _SLACK_REACH = 0.45, 2.5
_STEP = 0.5
_SLOW_S = 2.0  # slower changes are posture and mood, not speech
_SEGMENT_S = 2.0
_NEAR = 2.0  # frames around the peak that count as the same answer
_FEWEST_S = 2.0
_RESAMPLES = 200
_IN_STEP, _USUAL = 2.0, 0.8  # frames within which this share of recordings is in step
_DOUBT = 3.5  # as much evidence as two unrelated curves may show at any one lag


@dataclass(frozen=True)
class Offset:
    """`frames` > 0: the sound is late. Without confidence `frames` is the best guess and no more.

    A small one is less than the peak by what people differ in how far their lips run ahead.
    `spread` is the standard deviation of the answer over parts of the clip, in frames; `curve` is the
    evidence at each of `lags`.
    """

    frames: float
    seconds: float
    confidence: float
    spread: float
    lags: F64
    curve: F64
    reason: str = ""

    @property
    def confident(self) -> bool:
        return self.confidence >= CONFIDENT


def estimate(
    heard: NDArray[Any],
    seen: NDArray[Any],
    fps: float,
    shots: NDArray[Any] | None = None,
    placing: Sequence[float] | None = None,
) -> Offset:
    """`heard` (T50, n), 50 a second, centred on (k + .5) / 50 s, against `seen` (T, n), NaN where no lips
    are.

    Frame i is the instant i / fps. Curves of `seen` are compared within a shot.
    `placing` weighs the curves where the peak's place is read off.
    """
    lags = np.arange(-FURTHEST, FURTHEST + _STEP / 2, _STEP)
    seen = smoothed_away(seen, fps, shots)
    there = np.isfinite(seen).all(-1)
    if there.sum() < _FEWEST_S * fps:
        return _nothing(lags, fps, "lips are hardly seen")
    heard = smoothed_away(heard, SPEECH_RATE)
    if not len(heard) or (heard.std(0) < 1e-6).any():
        return _nothing(lags, fps, "nothing is said")
    if (seen[there].std(0) < 1e-6).any():
        return _nothing(lags, fps, "the lips do not move")
    sums = _sums(heard, np.where(there[:, None], seen, 0), there, fps, lags)
    effective = _effective(heard, seen, there, fps)
    weights = np.ones_like(effective) if placing is None else np.asarray(placing, np.float64)
    return _peak(lags, sums, effective, weights, fps)


def _nothing(lags: F64, fps: float, reason: str) -> Offset:
    return Offset(0.0, 0.0, 0.0, float("inf"), lags, np.zeros(len(lags)), reason)


def smoothed_away(values: NDArray[Any], rate: float, shots: NDArray[Any] | None = None) -> F64:
    """Less the mean of the two seconds around, of the same shot; what is missing stays missing."""
    values = np.asarray(values, np.float64)
    reach, shots = max(1, round(_SLOW_S * rate / 2)), np.zeros(len(values)) if shots is None else shots
    result = np.full_like(values, np.nan)
    borders = [0, *(np.flatnonzero(np.diff(shots)) + 1).tolist(), len(values)]
    for start, stop in pairwise(borders):
        part = values[start:stop]
        have = np.isfinite(part).all(-1, keepdims=True)
        total = _around(np.where(have, part, 0), reach)
        result[start:stop] = part - total / np.maximum(_around(have.astype(float), reach), 1)
    return result


def _around(values: F64, reach: int) -> F64:
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, 0)])
    at = np.arange(len(values))
    return sums[np.minimum(at + reach + 1, len(values))] - sums[np.maximum(at - reach, 0)]


def _sums(heard: F64, seen: F64, there: NDArray[np.bool_], fps: float, lags: F64) -> F64:
    """(segments, lags, n, 4): products, squares of what is heard and of what is seen, frames."""
    size = max(1, round(_SEGMENT_S * fps))
    starts = np.arange(0, len(seen), size)
    rows = np.empty((len(starts), len(lags), seen.shape[1], 4))
    for i, lag in enumerate(lags):
        at = (np.arange(len(seen)) + lag) / fps * SPEECH_RATE - 0.5
        inside = ((at > -1) & (at < len(heard)) & there)[:, None]
        read = _read(heard, at) * inside
        looked = seen * inside
        for k, product in enumerate((read * looked, read**2, looked**2, np.broadcast_to(inside, seen.shape))):
            rows[:, i, :, k] = np.add.reduceat(product, starts)
    return rows


def _read(rows: F64, at: F64) -> F64:
    at = np.clip(at, 0, len(rows) - 1)
    low = np.minimum(at.astype(int), max(len(rows) - 2, 0))
    part = (at - low)[:, None]
    return rows[low] * (1 - part) + rows[np.minimum(low + 1, len(rows) - 1)] * part


def _effective(heard: F64, seen: F64, there: NDArray[np.bool_], fps: float) -> F64:
    """(n,): independent observations in one frame; slow curves agree by chance more easily (Bartlett)."""
    at = np.arange(len(seen)) / fps * SPEECH_RATE - 0.5
    both = (there & (at > -1) & (at < len(heard)))[:, None]
    read, known = _read(heard, at) * both, np.where(both, seen, 0)
    reach = min(round(fps), len(seen) - 1)
    shared = sum((1 if lag == 0 else 2) * _echo(read, lag) * _echo(known, lag) for lag in range(reach + 1))
    return np.asarray(1 / np.maximum(shared, 1.0))


def _echo(values: F64, lag: int) -> F64:
    square = np.maximum((values**2).sum(0), 1e-30)
    return np.asarray((values[lag:] * values[: len(values) - lag]).sum(0) / square)


def _evidence(sums: F64, effective: F64) -> F64:
    """(..., lags): the logarithm of how much better a common course explains both than chance does."""
    r = sums[..., 0] / np.sqrt(np.maximum(sums[..., 1] * sums[..., 2], 1e-30))
    return np.asarray(-0.5 * (effective * sums[..., 3] * np.log(1 - np.clip(r, 0, 0.999) ** 2)).sum(-1))


def _peak(lags: F64, sums: F64, effective: F64, placing: F64, fps: float) -> Offset:
    curve = _evidence(sums.sum(0), effective)
    # Which peak it is, all curves say; where its top is, those that are alike in all people.
    near = np.abs(lags - lags[curve.argmax()]) <= _NEAR
    fine = _evidence(sums.sum(0), effective * placing)
    best = int(np.where(near, fine, -1).argmax())
    peak = float(lags[best]) + _STEP * _parabola(fine, best)
    again = _resampled(sums, effective)
    answers = lags[again.argmax(-1)]
    alike = np.abs(answers - peak) <= _NEAR
    spread = float(np.sqrt(np.mean((answers[alike] - peak) ** 2))) if alike.any() else float("inf")
    confidence = _share(lags, curve, peak) * float(alike.mean())
    slack = _SLACK / (1 + (peak / _SLACK_REACH) ** 2)
    frames = float(np.sign(peak)) * max(abs(peak) - slack, 0.0)
    return Offset(frames, frames / fps, confidence, spread, lags, curve)


def _parabola(curve: F64, best: int) -> float:
    if not 0 < best < len(curve) - 1:
        return 0.0
    left, middle, right = curve[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float(0.5 * (left - right) / bend) if bend < 0 else 0.0


def _share(lags: F64, curve: F64, frames: float) -> float:
    """Of all that may be: the lags near the peak, the others, and that there is nothing in common.

    Most recordings are in step, or nearly: far answers need stronger evidence to be as sure.
    """
    likely = np.exp(-0.5 * (lags / _IN_STEP) ** 2)
    prior = _USUAL * likely / likely.mean() + 1 - _USUAL
    weight = prior * np.exp(curve - curve.max())
    nothing = len(lags) * np.exp(_DOUBT - curve.max())
    return float(weight[np.abs(lags - frames) <= _NEAR].sum() / (weight.sum() + nothing))


def _resampled(sums: F64, effective: F64) -> F64:
    """(resamples, lags): the evidence of as many segments, drawn again with repetition."""
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), _RESAMPLES)
    mixed = np.tensordot(drawn.astype(float), sums, (1, 0))
    return _evidence(mixed, effective)
