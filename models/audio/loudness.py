"""Momentary loudness after ITU-R BS.1770: K-weighted power over 400 ms, 50 values a second.

Row k is centred on the 20 ms from k / 50 s on; at the ends of the sound the window holds what there is. The
weighting is BS.1770's analogue shelf and high-pass, made digital for 16 kHz; above 8 kHz there is nothing
to weigh. It is applied by convolution with its first 256 ms, which leaves out less than -140 dB.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.audio.framing import RATE, SPEECH_HOP, Grid, Stream, speech_rows

__all__ = ["SILENCE", "loudness"]

SILENCE = -100.0
_TAPS = 4096
_HALF = 10  # speech hops to each side of the centre: 400 ms in all
_SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196)
_HIGH_PASS = (38.13547087602444, 0.5003270373238773)
_BEFORE = _TAPS + (_HALF - 1) * SPEECH_HOP + SPEECH_HOP // 2
_GRID = Grid(SPEECH_HOP, _BEFORE, _BEFORE + (_HALF + 1) * SPEECH_HOP, rows=250)


def loudness() -> Stream:
    """LUFS of a mono sound, never below SILENCE."""
    return _Momentary(_GRID, _rows, speech_rows)


class _Momentary(Stream):
    """Knows how much of each window lies inside the sound, which a tile alone cannot say."""

    def push(self, block: NDArray[Any]) -> NDArray[np.float32]:
        first = self._rows
        return _decibels(super().push(block), first, None)

    def finish(self) -> NDArray[np.float32]:
        first = self._rows
        return _decibels(super().finish(), first, self._samples)


def _decibels(energy: NDArray[Any], first: int, samples: int | None) -> NDArray[np.float32]:
    centre = (np.arange(first, first + len(energy)) + 0.5) * SPEECH_HOP
    start = np.maximum(centre - _HALF * SPEECH_HOP, 0)
    stop = centre + _HALF * SPEECH_HOP
    if samples is not None:
        stop = np.minimum(stop, samples)
    power = energy / np.maximum(stop - start, 1)
    return np.maximum(-0.691 + 10 * np.log10(np.maximum(power, 1e-30)), SILENCE).astype(np.float32)


def _rows(tile: NDArray[Any]) -> NDArray[Any]:
    """K-weighted energy of each row's 400 ms."""
    size = 1 << (len(tile) + _TAPS - 1).bit_length()
    weighted = np.fft.irfft(np.fft.rfft(tile, size) * _response(size), size)[_TAPS : len(tile)]
    halves = (weighted**2).reshape(-1, SPEECH_HOP // 2).sum(-1)
    # Windows start and end in the middle of a hop: energies are summed by half hops.
    return np.lib.stride_tricks.sliding_window_view(halves, 4 * _HALF)[::2].sum(-1)


@cache
def _response(size: int) -> NDArray[Any]:
    impulse = np.zeros(_TAPS)
    impulse[0] = 1
    for b, a in weighting():
        impulse = _biquad(impulse, b, a)
    return np.fft.rfft(impulse, size)


def _biquad(x: NDArray[Any], b: tuple[float, ...], a: tuple[float, ...]) -> NDArray[Any]:
    y = np.zeros(len(x) + 2)
    x = np.concatenate([[0, 0], x])
    for n in range(2, len(x)):
        y[n] = b[0] * x[n] + b[1] * x[n - 1] + b[2] * x[n - 2] - a[0] * y[n - 1] - a[1] * y[n - 2]
    return y[2:]


def weighting(rate: int = RATE) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """The two biquads of K-weighting as (b0, b1, b2), (a1, a2); for 48 kHz those that BS.1770 prints."""
    hertz, gain_db, q = _SHELF
    k, high = np.tan(np.pi * hertz / rate), 10 ** (gain_db / 20)
    band, total = high**0.4996667741545416, 1 + k / q + k * k
    shelf = (high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k)
    poles = (2 * (k * k - 1) / total, (1 - k / q + k * k) / total)
    first = (tuple(b / total for b in shelf), poles)
    hertz, q = _HIGH_PASS
    k = np.tan(np.pi * hertz / rate)
    total = 1 + k / q + k * k
    second = ((1.0, -2.0, 1.0), (2 * (k * k - 1) / total, (1 - k / q + k * k) / total))
    return [first, second]
