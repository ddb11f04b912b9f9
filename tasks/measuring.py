"""How near a dub comes to the film that it was made over, and the sounds that it is asked to say for that.

    watched = watch(dub), watch(truth)
    score = held(dub, watched[0], truth, watched[1])

A dub over its own footage shows the same frames as the footage, so that mouths are compared one by one, as
anybody who watches both would. Called by `tasks.evaluating`, and by benchmarks.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.media import VideoReader
from tasks.watching import Watched, best_shift, correlation

__all__ = ["RATE", "Score", "earlier", "held", "in_step", "write_sound"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

RATE = 16_000  # of the sounds, samples a second
# Less is the coder's rounding, or the same picture.
_LEAST_ERROR = 1e-9


class Score(NamedTuple):
    """One film against the true one; NaN where it cannot be told."""

    opening: float  # correlation of the lips' gap with the true film's
    late: int | None  # frames by which that is highest; None where lips stand still
    lips: float  # mean distance of 40 landmarks of the lips over that of the eyes' corners, percent
    psnr: float  # of a box around the true mouth, dB
    seen: float  # share of the frames with a face in both


def held(video: Path, made: Watched, truth: Path, true: Watched) -> Score:
    """The frames that were watched of both, from the same one on."""
    count = min(len(made.gaps), len(true.gaps))
    apart = np.linalg.norm(made.lips[:count] - true.lips[:count], axis=-1).mean(-1) / true.mouths[:count, 2]
    opening = correlation(made.gaps, true.gaps)
    return Score(
        opening,
        best_shift(made.gaps, true.gaps) if np.isfinite(opening) else None,
        100 * _mean(apart),
        _psnr(video, truth, true, count),
        float(np.isfinite(apart).mean()),
    )


def _psnr(video: Path, truth: Path, true: Watched, count: int) -> float:
    """Of a box that is .8 by .6 of the eyes' distance."""
    found = []
    films = (VideoReader(path).read(true.first, true.first + count) for path in (video, truth))
    for (one, other), (x, y, size) in zip(zip(*films, strict=True), true.mouths[:count], strict=True):
        if np.isfinite(size):
            rows = slice(max(round(y - 0.3 * size), 0), round(y + 0.3 * size))
            columns = slice(max(round(x - 0.4 * size), 0), round(x + 0.4 * size))
            off = one[rows, columns].astype(np.float64) - other[rows, columns]
            found.append(10 * np.log10(255**2 / max((off**2).mean(), _LEAST_ERROR)))
    return _mean(np.asarray(found))


def _mean(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def in_step(sound: F32, late_s: float, seconds: float) -> F32:
    """A film's sound as long as its pictures and in step with them; `late_s` is by how much it comes late."""
    first, count = round(late_s * RATE), int(seconds * RATE)
    placed = np.concatenate([np.zeros(max(-first, 0), np.float32), sound[max(first, 0) :]])[:count]
    return np.pad(placed, (0, count - len(placed)))


def earlier(sound: F32, seconds: float) -> F32:
    """The sound of so many seconds ago: what falls off the end begins it. At most half of it is moved."""
    return np.roll(sound, min(round(seconds * RATE), len(sound) // 2))


def write_sound(path: Path, sound: F32) -> Path:
    """A WAV file of it."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "none"))
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return path
