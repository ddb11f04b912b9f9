"""The MFCC that DeepSpeech 0.9.3 was trained on: TensorFlow's audio operators, window by window.

16 kHz; 512 samples (32 ms) every 320 (20 ms), periodic Hann window, no pre-emphasis; 40 triangles from 20 to
8000 Hz over magnitudes (not powers); logarithm floored at 1e-12; 26 cosines, the first included, not
liftered.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.audio.framing import RATE, SPEECH_HOP, Grid, Stream, windows

__all__ = ["COEFFICIENTS", "WINDOW", "mfcc", "mfcc_rows"]

COEFFICIENTS = 26
WINDOW = 512
_BANDS, _LOWEST, _HIGHEST, _FLOOR = 40, 20.0, 8000.0, 1e-12
_GRID = Grid(SPEECH_HOP, 0, WINDOW)


def mfcc() -> Stream:
    """Row k is of the samples from 320 k on; there are as many rows as DeepSpeech's client makes.

    That is one for each whole window and one for what is left, filled up with silence.
    """
    return Stream(_GRID, lambda tile: mfcc_rows(windows(tile, _GRID)), mfcc_count, (COEFFICIENTS,))


def mfcc_count(samples: int) -> int:
    return 1 if samples < WINDOW else 2 + (samples - WINDOW) // SPEECH_HOP


def mfcc_rows(sound: NDArray[Any]) -> NDArray[Any]:
    """(n, 512) samples to (n, 26)."""
    magnitude = np.abs(np.fft.rfft(sound * _hann(), axis=-1)).astype(np.float32)
    bands = np.maximum(magnitude.astype(np.float64) @ _triangles(), _FLOOR)
    return np.log(bands) @ _cosines()


@cache
def _hann() -> NDArray[Any]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


@cache
def _triangles() -> NDArray[Any]:
    """(257, 40): evenly spaced on the mel scale, not normalised; TensorFlow leaves out bins at the edges."""
    mel = _mel(np.arange(WINDOW // 2 + 1) * RATE / WINDOW)
    edges = np.linspace(_mel(_LOWEST), _mel(_HIGHEST), _BANDS + 2)
    rising = (mel[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - mel[:, None]) / np.diff(edges)[1:]
    triangles = np.maximum(np.minimum(rising, falling), 0)
    bin_hz = RATE / WINDOW
    triangles[: int(1.5 + _LOWEST / bin_hz)] = 0
    return triangles


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


@cache
def _cosines() -> NDArray[Any]:
    """(40, 26): the orthogonal DCT but for its first row, which TensorFlow scales like the others."""
    at = np.arange(_BANDS) + 0.5
    return np.sqrt(2 / _BANDS) * np.cos(np.pi / _BANDS * at[:, None] * np.arange(COEFFICIENTS))
