"""What the acoustic network knows of lips in languages and voices it never heard, and what it says to noise.

A linear probe on 5 frames of features, fitted on English by trained-on timbres, finds closed lips (p, b, m)
and open vowels in other languages by timbres and voices held out of training. Called by
`tests.bench.acoustic`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from models.acoustic.symbols import BLANK, NOISE, PAUSE, PHONES, SPACE
from tasks.acoustic.takes import plain_take
from tasks.acoustic.voices import HELD_OUT, HELD_OUT_TIMBRES, speakers

__all__ = ["NOISES", "languages", "share_silent"]

Array = NDArray[np.float64]
Features = Callable[[NDArray[np.float32]], NDArray[np.float32]]
_CLOSED = np.array([name.startswith(("bilabial/stop", "bilabial/nasal")) for name in PHONES])
_OPEN = np.array([name.startswith(("vowel/0.85", "vowel/1/")) for name in PHONES])
_REACH = 2
_RATE = 16_000


def languages(
    features: dict[str, Features], seeds: int = 3
) -> Iterator[tuple[str, dict[str, tuple[float, float]]]]:
    """(what was heard, features -> areas under the curve for closed lips and for open vowels)."""
    english = [
        _take("en-us", timbre, 900 + i) for i, timbre in enumerate(("m1", "f1", "m3", "f2", "m5", "f3"))
    ]
    probes = {name: _probe(one, english) for name, one in features.items()}
    for told, heard in _strangers(seeds):
        yield (
            told,
            {name: _tested(features[name], probe, heard) for name, probe in probes.items()},
        )


Take = tuple[NDArray[np.float32], NDArray[np.uint8]]


def _strangers(seeds: int) -> Iterator[tuple[str, list[Take]]]:
    for code, name in (("fr-fr", "French"), ("de", "German"), ("cmn", "Chinese")):
        timbres = [HELD_OUT_TIMBRES[i % len(HELD_OUT_TIMBRES)] for i in range(seeds)]
        yield f"{name}, espeak-ng, new timbres", [_take(code, t, 50 + i) for i, t in enumerate(timbres)]
    for voice in speakers():
        if voice.voice in HELD_OUT:
            yield (
                f"{voice.language}, {voice.engine}, {voice.voice}",
                [plain_take(voice, i) for i in range(seeds)],
            )


def _take(language: str, timbre: str, seed: int) -> Take:
    voice = next(one for one in speakers(("espeak",)) if one.voice == language)
    return plain_take(voice, seed, timbre)


def _windows(features: NDArray[np.float32], frames: int) -> Array:
    values = np.asarray(features, np.float64)[:frames]
    values = (values - values.mean(0)) / (values.std(0) + 1e-6)
    padded = np.pad(values, ((_REACH, _REACH), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + len(values)] for i in range(2 * _REACH + 1)], 1)


def _probe(features: Features, takes: list[Take]) -> Array:
    x = np.concatenate([_windows(features(sound), len(phones)) for sound, phones in takes])
    phones = np.concatenate([phones for _, phones in takes])
    y = np.stack([_CLOSED[phones], _OPEN[phones]], 1).astype(np.float64)
    return np.linalg.solve(x.T @ x + 100 * np.eye(x.shape[1]), x.T @ (y - y.mean(0)))


def _tested(features: Features, probe: Array, takes: list[Take]) -> tuple[float, float]:
    scores = np.concatenate([_windows(features(sound), len(phones)) @ probe for sound, phones in takes])
    phones = np.concatenate([phones for _, phones in takes])
    spoken = (phones != NOISE) & (phones != PAUSE)
    closed, opened = (
        _area(scores[spoken, i], wanted[phones[spoken]]) for i, wanted in enumerate((_CLOSED, _OPEN))
    )
    return closed, opened


def _area(scores: Array, wanted: NDArray[np.bool_]) -> float:
    """How often a wanted frame scores above an unwanted one."""
    ranks = np.empty(len(scores))
    ranks[scores.argsort()] = np.arange(1, len(scores) + 1)
    yes = int(wanted.sum())
    return float((ranks[wanted].sum() - yes * (yes + 1) / 2) / (yes * (len(scores) - yes)))


def share_silent(symbols: NDArray[np.float32]) -> float:
    """The share of frames whose likeliest symbol is the space or the blank."""
    best = symbols.argmax(1)
    return float(((best == SPACE) | (best == BLANK)).mean())


def _pink(size: int, draw: np.random.Generator) -> Array:
    spectrum = np.fft.rfft(draw.standard_normal(size))
    return np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), size)


def _chords(size: int, draw: np.random.Generator) -> Array:
    at = np.arange(size) / _RATE
    beats = np.exp(-4 * (at % 0.5))
    notes = draw.choice([196, 220, 262, 294, 330, 392], size=(int(at[-1] / 0.5) + 1, 3))
    hertz = notes[(at / 0.5).astype(int)]
    return sum(beats * np.sin(2 * np.pi * hertz[:, i] * k * at) / k for i in range(3) for k in range(1, 5))


NOISES: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "digital silence": lambda size, draw: np.zeros(size),
    "white noise": lambda size, draw: draw.standard_normal(size),
    "pink noise": _pink,
    "faint hiss, 16 bit": lambda size, draw: np.round(1.5 * draw.standard_normal(size)) / 32768,
    "mains hum": lambda size, draw: sum(
        np.sin(np.pi * 100 * k * np.arange(size) / _RATE) / k for k in range(1, 6)
    ),
    "gusts": lambda size, draw: (
        _pink(size, draw) * np.interp(np.arange(size), np.linspace(0, size, 60), draw.uniform(0, 1, 60))
    ),
    "chords": _chords,
}
