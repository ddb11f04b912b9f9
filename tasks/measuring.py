"""The sounds that a dub is asked to say so that it can be held against the film it was made over.

    own = in_step(sound, material.sound_late_s, seconds)      # what is heard with each frame
    write_sound(path, earlier(own, 2))                        # a wrong one

Called by `tasks.trials`, by `tasks.in_sync` and by benchmarks.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "earlier", "in_step", "write_sound"]

F32 = NDArray[np.float32]

RATE = 16_000  # of the sounds, samples a second


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
