"""Log-mel as SyncTalkFace and Wav2Lip take it: 80 bands, 80 rows a second, from -4 to 4.

16 kHz, pre-emphasis 0.97, FFT and Hann window of 800 samples, hop 200, 55 to 7600 Hz on Slaney's scale with
triangles of equal area, magnitudes (not powers) in dB less 20, -100 to 0 dB spread over -4 to 4 and clipped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.audio.framing import RATE, Grid, Stream, windows

__all__ = ["BANDS", "MEL_RATE", "log_mel"]

MEL_RATE = 80.0
BANDS = 80
_HOP, _SIZE = 200, 800
_EMPHASIS, _REFERENCE_DB, _RANGE_DB, _LIMIT = 0.97, 20.0, 100.0, 4.0
_LOWEST, _HIGHEST = 55.0, 7600.0
_GRID = Grid(_HOP, _SIZE // 2, _SIZE)


def log_mel() -> Stream:
    """Row j is centred on sample 200 j, that is j / 80 s; 1 + samples // 200 rows."""
    return _Emphasised(_GRID, _rows, lambda samples: 1 + samples // _HOP, (BANDS,))


class _Emphasised(Stream):
    """Pre-emphasis comes before the silence at the ends: the last sample leaves no echo there."""

    _last = 0.0

    def push(self, block: NDArray[Any]) -> NDArray[np.float32]:
        if not len(block):
            return super().push(block)
        before = np.concatenate([[self._last], block[:-1]])
        self._last = float(block[-1])
        return super().push(block - _EMPHASIS * before)


def _rows(tile: NDArray[Any]) -> NDArray[Any]:
    bands = np.abs(np.fft.rfft(windows(tile, _GRID) * _hann(), axis=-1)) @ mel_matrix()
    decibels = 20 * np.log10(np.maximum(bands, 10 ** (-_RANGE_DB / 20))) - _REFERENCE_DB
    spread = 2 * _LIMIT * (decibels + _RANGE_DB) / _RANGE_DB - _LIMIT
    return np.clip(spread, -_LIMIT, _LIMIT)


@cache
def _hann() -> NDArray[Any]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_SIZE) / _SIZE)


@cache
def mel_matrix() -> NDArray[Any]:
    """(401, 80)."""
    hertz = np.arange(_SIZE // 2 + 1) * RATE / _SIZE
    edges = _hertz(np.linspace(_mel(_LOWEST), _mel(_HIGHEST), BANDS + 2))
    rising = (hertz[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hertz[:, None]) / np.diff(edges)[1:]
    return np.maximum(np.minimum(rising, falling), 0) * 2 / (edges[2:] - edges[:-2])


def _mel(hertz: float) -> float:
    """Slaney's scale: straight up to 1 kHz, logarithmic above."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + float(np.log(hertz / 1000)) * 27 / float(np.log(6.4))


def _hertz(mel: NDArray[Any]) -> NDArray[Any]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
