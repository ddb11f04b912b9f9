"""What motion is made of: random streams, noise that never repeats, smooth steps, the speech's rhythm.

Called by `motion`; everything here is a function of time in seconds on the grid of `visemes`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.puppet.phonetics import Phoneme
from models.puppet.visemes import GRID_RATE

__all__ = ["accents", "bump", "phrases", "speaking", "step", "stream", "wander"]

_PAUSE_S = 0.12


def phrases(phonemes: Sequence[Phoneme]) -> list[tuple[float, float]]:
    """Stretches of speech between pauses that can be heard as such."""
    found: list[tuple[float, float]] = []
    for phoneme in phonemes:
        if phoneme.silent:
            continue
        if found and phoneme.start_s - found[-1][1] < _PAUSE_S:
            found[-1] = (found[-1][0], phoneme.end_s)
        else:
            found.append((phoneme.start_s, phoneme.end_s))
    return found


def accents(phonemes: Sequence[Phoneme]) -> list[tuple[float, float]]:
    """(time, loudness) of the stressed syllables."""
    return [
        ((p.start_s + p.end_s) / 2, float(np.clip(p.loudness, 0.5, 1.5))) for p in phonemes if p.stress == 2
    ]


def stream(seed: int, channel: str) -> np.random.Generator:
    """The random numbers of one channel, whatever the other channels draw."""
    return np.random.default_rng([seed & 0xFFFFFFFF, *channel.encode()])


def wander(t: np.ndarray, scale_s: float, seed: int, channel: str) -> np.ndarray:
    """Smooth noise of unit strength that changes its mind about every `scale_s`; it never repeats."""
    knots = stream(seed, channel).standard_normal(int(t[-1] / scale_s * 2) + 8)
    knots = np.convolve(knots, [0.25, 0.5, 0.25], mode="valid") / np.sqrt(0.375)
    at = t / scale_s * 2 + 1
    i = at.astype(np.int64)
    x = at - i
    before, here, after, beyond = (knots[i + k] for k in (-1, 0, 1, 2))
    slope, bend = 0.5 * (after - before), 0.5 * (beyond - here)
    rise = after - here
    return np.asarray(here + x * (slope + x * (3 * rise - 2 * slope - bend + x * (slope + bend - 2 * rise))))


def step(x: np.ndarray) -> np.ndarray:
    """Minimum jerk from 0 to 1."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x**3 * (10.0 - 15.0 * x + 6.0 * x**2))


def bump(
    curve: np.ndarray, at_s: float, size: float, rise_s: float, fall_s: float, hold_s: float = 0.0
) -> None:
    """Add a smooth rise to `size` at `at_s`, held, and the way back."""
    first = max(0, int((at_s - rise_s) * GRID_RATE))
    last = min(len(curve), int((at_s + hold_s + fall_s) * GRID_RATE) + 2)
    t = np.arange(first, last) / GRID_RATE
    shape = np.minimum(step((t - at_s + rise_s) / rise_s), step((at_s + hold_s + fall_s - t) / fall_s))
    curve[first:last] += size * shape


def speaking(t: np.ndarray, phonemes: Sequence[Phoneme]) -> np.ndarray:
    """0 in silence, 1 in speech, with slow edges: a head settles when its owner stops."""
    out = np.zeros(len(t))
    for start, end in phrases(phonemes):
        out = np.maximum(out, np.minimum(step((t - start + 0.4) / 0.6), step((end + 0.7 - t) / 0.8)))
    # Short pauses would leave dents with sharp corners.
    width = GRID_RATE // 2
    sums = np.cumsum(np.pad(out, (width, width), mode="edge"))
    mean = (sums[2 * width :] - sums[: -2 * width]) / (2 * width)
    return np.asarray(mean[: len(t)])
