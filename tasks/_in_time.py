"""What is heard, and how the face moves, at the frames of a clip: arrays for bundles of canvases.

All are in step with the picture, whatever the sound's own offset. Private to `tasks`.

Shape legend: T frames of a clip.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.methods import AROUND_S
from tasks.audio import frames_from_speech
from tasks.material import Material

__all__ = ["MEL_STEPS", "around", "rows_in_time", "sound"]

F16 = NDArray[np.float16]
MEL_STEPS, _MEL_RATE = 16, 80.0


def rows_in_time(one: Material, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    """Those arrays (T, ...) of the wanted ones that are known without looking at pictures."""
    known: dict[str, Callable[[Material], NDArray[Any]]]
    known = {"around": around, "sound": sound, "symbols": symbols, "mels": mels, "sharp": sharp}
    return {name: of(one) for name, of in known.items() if name in wanted}


def around(one: Material) -> F16:
    """(T, 5, 64): the expression before, at and after each frame; runs hold on beyond their ends."""
    expression, frames = np.nan_to_num(one.fit("expression")), np.arange(len(one.seen))
    low, high = _bounds(one)
    out = np.zeros((len(frames), len(AROUND_S), expression.shape[1]), np.float16)
    for k, seconds in enumerate(AROUND_S):
        at = np.clip(frames + seconds * one.rate, low, high)
        below = np.floor(at + 1e-6).astype(int)
        part = (at - below)[:, None]
        out[:, k] = expression[below] * (1 - part) + expression[np.minimum(below + 1, high)] * part
    return out


def _bounds(one: Material) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last frame of the run that each frame is in."""
    number = np.where(one.seen, one.shot, -1)
    edge = np.flatnonzero(np.diff(number)) + 1
    starts, stops = np.r_[0, edge], np.r_[edge, len(number)]
    lengths = stops - starts
    return np.repeat(starts, lengths), np.repeat(stops - 1, lengths)


def sound(one: Material) -> F16:
    """(T, 2, 111): symbols, loudness, voice and log-mel in either half of each frame's time."""
    count, rate, late = len(one.seen), one.rate, one.sound_late_s

    def heard(name: str, *, log_probabilities: bool = False) -> NDArray[np.float32]:
        rows = one.group.read(f"audio/{name}")
        read = frames_from_speech(rows, 2 * count, 2 * rate, late, log_probabilities=log_probabilities)
        return read.reshape(2 * count, -1)

    symbols = heard("deepspeech", log_probabilities=True)
    bands = _mel_at(one, (np.arange(2 * count) + 0.5) / (2 * rate))
    told = np.concatenate([symbols, heard("loudness"), heard("voice"), bands], 1)
    return np.asarray(told.reshape(count, 2, -1), np.float16)


def symbols(one: Material) -> F16:
    """(T, 5, 29): what is said before, at and after each frame, whatever the frames' rate."""
    rows, count = one.group.read("audio/deepspeech"), len(one.seen)
    lates = [one.sound_late_s + seconds for seconds in AROUND_S]
    read = [frames_from_speech(rows, count, one.rate, late, log_probabilities=True) for late in lates]
    return np.asarray(np.stack(read, 1), np.float16)


def mels(one: Material) -> F16:
    """(T, 16, 80): log-mel at 80 a second, a fifth of a second around each frame's middle."""
    middle = (np.arange(len(one.seen)) + 0.5) / one.rate
    steps = (np.arange(MEL_STEPS) - (MEL_STEPS - 1) / 2) / _MEL_RATE
    return np.asarray(
        _mel_at(one, (middle[:, None] + steps).ravel()).reshape(len(middle), MEL_STEPS, -1), np.float16
    )


def _mel_at(one: Material, seconds: NDArray[Any]) -> NDArray[np.float32]:
    """Log-mel at these times of the picture; row i of 80 a second is centred on i / 80 s."""
    rows = one.group.read("audio/mel")
    at = np.clip((seconds + one.sound_late_s) * _MEL_RATE, 0, len(rows) - 1)
    low = np.minimum(at.astype(int), max(len(rows) - 2, 0))
    part = (at - low)[:, None]
    read = rows[low] * (1 - part) + rows[np.minimum(low + 1, len(rows) - 1)] * part
    return np.asarray(read, np.float32)


def sharp(one: Material) -> NDArray[np.float32]:
    """(T,) how sharp the face is."""
    return np.asarray(np.nan_to_num(one.group.read("track/sharpness")), np.float32)
