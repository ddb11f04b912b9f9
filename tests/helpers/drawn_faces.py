"""Films of drawn faces that talk: what pages show, where nobody was filmed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from storage.media import MediaWriter

__all__ = ["RATE", "beside", "face", "lips_of", "spoken"]

RATE, SOUND = 25, 16_000
_SKINS = ((214, 178, 150), (205, 186, 168), (196, 170, 158), (222, 190, 170))


def spoken(frames: int, seed: int = 0) -> np.ndarray:
    """How far lips are open (frames,): syllables with pauses between."""
    at = np.arange(frames) / RATE
    rng = np.random.default_rng(seed)
    talks = (np.sin(2 * np.pi * at / 3.1 + 0.4) > -0.55).astype(float)
    wave = np.abs(np.sin(2 * np.pi * 2.1 * at)) * (0.6 + 0.4 * np.sin(1.7 * at))
    return np.asarray(0.03 + 0.26 * talks * wave + 0.008 * rng.random(frames))


def lips_of(truth: np.ndarray, late: int, share: float, seed: int) -> np.ndarray:
    """What a method makes of it: later, smaller, less sure."""
    noise = np.random.default_rng(seed).normal(0, 0.012, len(truth))
    return np.clip(share * np.roll(truth, late) + noise, 0.01, None)


def face(path: Path, lips: Sequence[float], *, size: int = 96, skin: int = 0) -> Path:
    """A film of a drawn face whose lips do this, humming as far as they are open."""
    at = np.arange(round(len(lips) / RATE * SOUND)) / SOUND
    loud = np.interp(at, np.arange(len(lips)) / RATE, lips)
    sound = (loud * np.sin(2 * np.pi * (150 + 20 * skin) * at)).astype(np.float32)
    with MediaWriter(path, (size, size), Fraction(RATE), SOUND, crf=26, preset="ultrafast") as out:
        out.write_sound(sound)
        for number, gap in enumerate(lips):
            out.write_frame(_drawn(size, float(gap), _SKINS[skin % len(_SKINS)], number))
    return path


def _drawn(size: int, gap: float, skin: tuple[int, int, int], number: int) -> np.ndarray:
    picture = np.full((size, size, 3), (52, 66, 84), np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * size + 0.01 * size * np.sin(number / 19)), round(y * size)

    def long(x: float, y: float) -> tuple[int, int]:
        return max(1, round(x * size)), max(1, round(y * size))

    cv2.ellipse(picture, at(0.5, 0.5), long(0.3, 0.4), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for x in (0.39, 0.61):
        cv2.ellipse(picture, at(x, 0.4), long(0.05, 0.03), 0, 0, 360, (245, 245, 245), -1, cv2.LINE_AA)
        cv2.circle(picture, at(x, 0.4), long(0.02, 0)[0], (40, 40, 40), -1, cv2.LINE_AA)
    cv2.ellipse(
        picture, at(0.5, 0.68), long(0.12, 0.03 + 0.25 * gap), 0, 0, 360, (150, 62, 66), -1, cv2.LINE_AA
    )
    cv2.ellipse(picture, at(0.5, 0.68), long(0.09, 0.25 * gap), 0, 0, 360, (60, 18, 24), -1, cv2.LINE_AA)
    return picture


def beside(gaps: Sequence[float], frame: int, size: int = 160) -> bytes:
    """Faces next to each other whose lips are so far open, as a JPEG."""
    drawn = [_drawn(size, float(gap), _SKINS[k % len(_SKINS)], frame) for k, gap in enumerate(gaps)]
    return bytes(cv2.imencode(".jpg", np.hstack(drawn)[..., ::-1])[1].tobytes())
