"""Sound as the public SyncNet hears it: 13 MFCC, 100 times a second. Private to `models.sync.public`.

16 kHz in 16 bits; pre-emphasis .97; windows of 400 samples every 160, unshaped; power of an FFT of 512 over
512; 26 triangles between 0 and 8000 Hz whose corners are whole bins; orthonormal cosines, liftered by 22; the
first is replaced by the logarithm of the energy. The last window is filled up with silence.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["public_mfcc"]

F64 = NDArray[np.float64]
_WINDOW, _HOP, _SIZE, _RATE = 400, 160, 512, 16_000
_BANDS, _KEPT, _LIFTER = 26, 13, 22
_LEAST = np.finfo(float).eps


def public_mfcc(sound: NDArray[Any]) -> F64:
    """(samples,) -1 to 1, to (M, 13)."""
    samples = np.round(np.clip(np.asarray(sound, np.float64), -1, 1) * 32767)
    sharp = np.concatenate([samples[:1], samples[1:] - 0.97 * samples[:-1]])
    count = 1 + max(0, -(-(len(sharp) - _WINDOW) // _HOP))
    padded = np.pad(sharp, (0, max(0, (count - 1) * _HOP + _WINDOW - len(sharp))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:count]
    power = np.abs(np.fft.rfft(windows, _SIZE)) ** 2 / _SIZE
    bands, energy = power @ _triangles(), power.sum(1)
    cepstra = np.log(np.where(bands == 0, _LEAST, bands)) @ _cosines()
    cepstra *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(_KEPT) / _LIFTER)
    cepstra[:, 0] = np.log(np.where(energy == 0, _LEAST, energy))
    return np.asarray(cepstra)


@cache
def _triangles() -> F64:
    """(257, 26)."""
    top = 2595 * np.log10(1 + _RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    corners = np.floor((_SIZE + 1) * hertz / _RATE)
    at = np.arange(_SIZE // 2 + 1)[:, None]
    low, middle, high = (corners[k : _BANDS + k] for k in range(3))
    rising, falling = (at - low) / (middle - low), (high - at) / (high - middle)
    return np.asarray(np.where(at < middle, np.maximum(rising, 0), np.maximum(falling, 0)))


@cache
def _cosines() -> F64:
    """(26, 13)."""
    at = (np.arange(_BANDS) + 0.5)[:, None]
    waves = np.cos(np.pi / _BANDS * at * np.arange(_KEPT)) * np.sqrt(2 / _BANDS)
    waves[:, 0] /= np.sqrt(2)
    return np.asarray(waves)
