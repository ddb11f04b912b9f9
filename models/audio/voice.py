"""Voice activity, 0 to 1, 50 a second: is somebody speaking? Silence must be known, since mouths must close.

Two steps. `voice_cues` streams: energies in bands and how periodic the sound is, a few numbers a row.
`activity` then looks at all rows of a clip: how far each stands out of the noise around it and how near it
comes to the clip's loud moments, weighed by a logistic map, with short gaps closed and lone clicks dropped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.audio.framing import RATE, SPEECH_HOP, Grid, Stream, speech_rows, windows

__all__ = ["CUES", "activity", "evidence", "voice_cues"]

_BANDS = 16
CUES = _BANDS + 1
_WINDOW, _SPECTRUM = 640, 2048
_LOWEST, _HIGHEST = 100.0, 6000.0
_PITCH = (40, 200)  # lags of 400 to 80 Hz
_QUIETEST_DB = -90.0
_DEAD_DB = -75.0
_RANGE_DB = 35.0
_GRID = Grid(SPEECH_HOP, (_WINDOW - SPEECH_HOP) // 2, _WINDOW, rows=200)
_SEGMENT, _REACH = 25, 8  # half a second; floors are looked for in four seconds to each side
_STRETCH, _HALO = 15_000, 500  # rows; the halo is a whole number of segments, and they reach less far
_GAP, _CLICK = 9, 5  # rows: shorter gaps are closed, shorter sounds dropped


def voice_cues() -> Stream:
    """(T50, CUES): dB in bands, then periodicity; row k is centred on the 20 ms from k / 50 s on."""
    return Stream(_GRID, lambda tile: _cues(windows(tile, _GRID)), speech_rows, (CUES,))


def _cues(sound: NDArray[Any]) -> NDArray[Any]:
    power = np.abs(np.fft.rfft(sound * np.hanning(_WINDOW), _SPECTRUM)) ** 2
    bands = 10 * np.log10(power @ _bands() + 10 ** (_QUIETEST_DB / 10))
    echo = np.fft.irfft(power)[:, : _PITCH[1]] / _window_echo()
    periodic = echo[:, _PITCH[0] :].max(-1) / np.maximum(echo[:, 0], 1e-12)
    return np.concatenate([bands, np.clip(periodic, 0, 1)[:, None]], -1)


@cache
def _bands() -> NDArray[Any]:
    """Bands of equal width on the mel scale; a sine of full scale has about 0 dB in its own."""
    hertz = np.fft.rfftfreq(_SPECTRUM, 1 / RATE)
    edges = np.linspace(np.log1p(_LOWEST / 700), np.log1p(_HIGHEST / 700), _BANDS + 1)
    which = np.digitize(np.log1p(hertz / 700), edges) - 1
    return (which[:, None] == np.arange(_BANDS)) / (np.hanning(_WINDOW).sum() * _SPECTRUM / 8)


@cache
def _window_echo() -> NDArray[Any]:
    echo = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(_WINDOW), _SPECTRUM)) ** 2)[: _PITCH[1]]
    return np.maximum(echo / echo[0], 0.05)


def evidence(cues: NDArray[Any]) -> NDArray[Any]:
    """(T50, n): what the map below weighs."""
    power, periodic = 10 ** (np.asarray(cues[:, :_BANDS], float) / 10), np.asarray(cues[:, _BANDS], float)
    loud = _around(10 * np.log10(power.sum(-1, keepdims=True)), 95, 80)
    # However clean a recording, rooms and voices fade slowly: what is far below the loud is silence. The
    # same noise under every recording also makes the answer independent of its level.
    noise = 10 ** ((loud - _RANGE_DB) / 10)
    periodic *= power.sum(-1) / (power.sum(-1) + noise[:, 0])
    power += noise / _BANDS
    bands, level = 10 * np.log10(power), 10 * np.log10(power.sum(-1))
    smooth = _mean(bands, 1)
    above = np.clip(smooth - _around(smooth, 10, 15), 0, 30) / 10
    below_loud = np.clip(_mean(level[:, None], 1)[:, 0] - loud[:, 0], -40, 0) / 10
    flatness = (bands.mean(-1) - 10 * np.log10(power.mean(-1))) / 10
    wobble = (
        np.sqrt(np.maximum(_mean(level[:, None] ** 2, 12) - _mean(level[:, None], 12) ** 2, 0))[:, 0] / 10
    )
    single = np.stack([above.mean(-1), above[:, 1:9].max(-1), below_loud, periodic, flatness, wobble], -1)
    return np.concatenate([single, _mean(single[:, :4], 4), _mean(single[:, :4], 15)], -1)


def _mean(values: NDArray[Any], reach: int) -> NDArray[Any]:
    """The mean over `reach` rows to each side, as far as there are rows."""
    total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, 0)])
    at = np.arange(len(values))
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    return (total[high] - total[low]) / (high - low)[:, None]


def _around(values: NDArray[Any], percent: float, among: float) -> NDArray[Any]:
    """A percentile of the rows around each row: of the half seconds, then among their neighbours."""
    segments = max(1, len(values) // _SEGMENT)
    parts = np.split(values, np.arange(1, segments) * _SEGMENT)
    own = (
        np.pad(
            np.stack([np.percentile(part, percent, 0) for part in parts]),
            ((_REACH, _REACH), (0, 0)),
            mode="reflect",
        )
        if segments > _REACH
        else np.tile(np.percentile(values, percent, 0), (segments + 2 * _REACH, 1))
    )
    near = np.lib.stride_tricks.sliding_window_view(own, 2 * _REACH + 1, axis=0)
    told = np.percentile(near, among, -1)
    centres = np.cumsum([len(part) for part in parts]) - np.array([len(part) for part in parts]) / 2
    at = np.arange(len(values)) + 0.5
    return np.stack([np.interp(at, centres, told[:, band]) for band in range(values.shape[1])], -1)


# Fitted by logistic regression on synthesised speech in noise: `python -m tests.bench.audio` says how well
# it does.
_WEIGHTS = (
    -1.549,
    -0.237,
    2.325,
    0.486,
    1.368,
    7.315,
    2.165,
    0.134,
    1.91,
    -0.528,
    -3.097,
    2.722,
    -2.18,
    3.981,
)
_BIAS = -3.724


def activity(cues: NDArray[Any]) -> NDArray[np.float32]:
    """(T50,) from all rows of `voice_cues`: 0 where nobody speaks."""
    if not len(cues):
        return np.zeros(0, np.float32)
    parts = [_speaking(cues, start) for start in range(0, len(cues), _STRETCH)]
    speaking = np.concatenate(parts)
    speaking[cues[:, :_BANDS].max(-1) < _DEAD_DB] = 0
    closed = _lowest(_highest(speaking, _GAP), _GAP)
    return _highest(_lowest(closed, _CLICK), _CLICK).astype(np.float32)


def _speaking(cues: NDArray[Any], start: int) -> NDArray[Any]:
    """One stretch, seen with what lies around it: long sounds need no memory for all their evidence."""
    before = min(start, _HALO)
    known = evidence(cues[start - before : start + _STRETCH + _HALO])[before : before + _STRETCH]
    return 1 / (1 + np.exp(-(known @ np.array(_WEIGHTS) + _BIAS)))


def _highest(values: NDArray[Any], rows: int) -> NDArray[Any]:
    padded = np.pad(values, rows // 2, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, rows).max(-1)


def _lowest(values: NDArray[Any], rows: int) -> NDArray[Any]:
    return -_highest(-values, rows)
