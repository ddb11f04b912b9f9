"""A clip's offset between sound and picture, from its track and its sound. Called by the stage `features`.

The sign: `frames` > 0, and the sound is late: what lips do in frame i is heard `seconds` later. Speakers
differ by about a frame in how far their lips run ahead of their voice, and no better than that is what this
tells.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.offset import CONFIDENT, PLACING, Offset, estimate, lip_motion, read_lips
from storage.clips import ClipGroup
from tasks.audio import AudioBackend, EmbeddedBackend, sound_of

__all__ = [
    "CONFIDENT",
    "IN_STEP_FRAMES",
    "Offset",
    "clip_offset",
    "correction_s",
    "described",
    "measure_offset",
    "seen_lips",
]

_ROWS = 2048

# Speakers differ by as much in how far their lips run ahead of their voice: nearer than this is in step.
IN_STEP_FRAMES = 1.5


def clip_offset(
    track: ClipGroup,
    audio: ClipGroup | None,
    fps: float | Fraction,
    *,
    video: Path | None = None,
    backend: AudioBackend | None = None,
) -> Offset:
    """The offset of a clip whose groups are these.

    Lips are read with the embedded network: from `audio`, if its attribute `speech` says that it was
    heard by that one, else `backend` listens to `video` again.
    """
    if audio is not None and audio.attrs.get("speech") == EmbeddedBackend.name:
        symbols = audio.read("audio/deepspeech")
    elif backend is not None and video is not None:
        symbols = np.concatenate([np.zeros((0, 29), np.float32), *backend.stream(sound_of(video))])
    else:
        raise ValueError("neither symbols of the embedded network nor a video for it to listen to")
    motion, shots = seen_lips(track)
    return measure_offset(motion, symbols, fps, shots)


def seen_lips(track: ClipGroup) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """(T, 2) motion of the lips, NaN where no face is, and (T,) shots; read in stretches."""
    frames = track.array("track/landmarks").shape[0]
    parts = []
    for start in range(0, frames, _ROWS):
        stop = min(start + _ROWS, frames)
        motion = lip_motion(track.read("track/landmarks", start, stop))
        motion[track.read("track/confidence", start, stop) <= 0] = np.nan
        parts.append(motion)
    shots = track.read("track/shot") if "track/shot" in track.names else np.zeros(frames, np.int32)
    return np.concatenate(parts), shots


def measure_offset(
    motion: NDArray[Any],
    symbols: NDArray[Any],
    fps: float | Fraction,
    shots: NDArray[Any] | None = None,
) -> Offset:
    """From (T, 2) motion of lips and (T50, 29) log-probabilities of the embedded network."""
    return estimate(read_lips(symbols), motion, float(fps), shots, PLACING)


def correction_s(offset: Offset) -> float:
    """Seconds by which to read the sound later: nothing is moved on a guess, or where it is in step."""
    return offset.seconds if offset.confident and abs(offset.frames) >= IN_STEP_FRAMES else 0.0


def described(offset: Offset) -> str:
    """One line for people."""
    if offset.reason:
        return f"whether sound and picture are in step cannot be told: {offset.reason}"
    side = "late" if offset.frames >= 0 else "early"
    told = f"the sound is {side} by {abs(offset.frames):.1f} frames ({abs(offset.seconds) * 1000:.0f} ms)"
    if not offset.confident:
        return f"whether sound and picture are in step cannot be told; at best, {told}"
    return told if abs(offset.frames) >= IN_STEP_FRAMES else f"sound and picture are in step ({told})"
