"""Phonemes with times become curves of the mouth: targets by features, blended by dominance.

Every articulation pulls the controls it cares about towards its target and leaves the others to its
neighbours (Cohen and Massaro's dominance functions); lips that must touch (p b m) and lip on teeth (f v)
are laid over the blend as gates that always reach the end, however fast the speech. Curves live on a
fixed grid of `GRID_RATE` a second, so that any frame rate reads the same motion. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.puppet.expression import CONTROLS, INDEX
from models.puppet.phonetics import SILENCE, Letter, Phoneme, letters

__all__ = ["GRID_RATE", "SILENCE", "Phoneme", "aperture", "mouth_curves", "sample", "viseme"]

GRID_RATE = 200
LEAD_S = 0.02  # lips are ahead of the sound they shape
_SHORTEST_HOLD_S = 0.045  # longer than a frame at 25 a second: no closure falls between two frames
_CLOSE_S, _OPEN_S = 0.055, 0.06
_REACH = 3.5  # in widths; beyond it a dominance is nothing
_SMOOTHING_S = 0.014

_JAW, _SHAPE, _PART, _TONGUE = "jaw", "shape", "part", "tongue"
_GROUPS: dict[str, tuple[str, ...]] = {
    _JAW: ("jaw_open",),
    _SHAPE: ("lips_round", "lips_funnel", "lips_wide"),
    _PART: ("lower_drop", "upper_raise"),
    _TONGUE: ("tongue_up", "tongue_out"),
}
_MOUTH = tuple(INDEX[name] for names in _GROUPS.values() for name in names)
_SPEED_PER_S = {_JAW: 7.0, _SHAPE: 9.0, _PART: 9.0, _TONGUE: 14.0}


@dataclass(frozen=True)
class Pull:
    """What one articulation wants: control targets, and how strongly it wants each group."""

    targets: dict[str, float]
    strength: dict[str, float]
    ahead_s: float = 0.07
    behind_s: float = 0.055
    gate: str = ""  # "close", "tuck" or none
    hold: float = 0.8  # the part of its time for which a gate is held


def _strengths(jaw: float, shape: float, part: float, tongue: float = 0.4) -> dict[str, float]:
    return {_JAW: jaw, _SHAPE: shape, _PART: part, _TONGUE: tongue}


def _vowel(letter: Letter) -> Pull:
    openness, front = letter.openness, 1.0 - letter.backness
    if letter.rounded:
        targets = {
            "jaw_open": 0.10 + 0.42 * openness,
            "lips_round": 0.98 - 0.55 * openness,
            "lower_drop": 0.06 + 0.2 * openness,
            "upper_raise": 0.04 + 0.1 * openness,
        }
        return Pull(targets, _strengths(1.0, 1.6, 1.0), ahead_s=0.13, behind_s=0.07)
    targets = {
        "jaw_open": 0.11 + 0.59 * openness**1.15,
        "lips_wide": front * (0.68 - 0.4 * openness) + 0.06 * openness,
        "lower_drop": 0.20 + 0.18 * openness,
        "upper_raise": 0.10 + 0.14 * openness,
    }
    return Pull(targets, _strengths(1.0, 0.9, 1.0))


_LABIAL = Pull({"jaw_open": 0.12}, _strengths(0.5, 0.04, 0.15), ahead_s=0.05, behind_s=0.04, gate="close")
_TEETH_ON_LIP = Pull(
    {"jaw_open": 0.12, "upper_raise": 0.28, "lips_wide": 0.12}, _strengths(0.9, 0.3, 0.4), gate="tuck"
)
_ROUND_GLIDE = Pull(
    {"jaw_open": 0.09, "lips_round": 1.0, "lower_drop": 0.04}, _strengths(0.9, 2.4, 1.0), 0.12, 0.05
)
_PLACES: dict[str, Pull] = {
    "bilabial": _LABIAL,
    "labiodental": _TEETH_ON_LIP,
    "labiovelar": _ROUND_GLIDE,
    "labiopalatal": _ROUND_GLIDE,
    "dental": Pull(
        {"jaw_open": 0.16, "lower_drop": 0.28, "upper_raise": 0.12, "tongue_out": 0.9},
        _strengths(0.9, 0.12, 0.6, 1.4),
    ),
    "alveolar": Pull(
        {"jaw_open": 0.17, "lower_drop": 0.25, "upper_raise": 0.1, "tongue_up": 0.95},
        _strengths(0.55, 0.06, 0.4, 1.2),
        0.055,
        0.045,
    ),
    "postalveolar": Pull(
        {"jaw_open": 0.1, "lips_funnel": 0.8, "lips_round": 0.25, "lower_drop": 0.3, "upper_raise": 0.22},
        _strengths(1.2, 1.4, 0.9),
        0.09,
    ),
    "alveolopalatal": Pull(
        {"jaw_open": 0.09, "lips_funnel": 0.3, "lips_wide": 0.3, "lower_drop": 0.3, "upper_raise": 0.16},
        _strengths(1.2, 0.7, 0.9),
    ),
    "retroflex": Pull(
        {"jaw_open": 0.14, "lips_funnel": 0.4, "lips_round": 0.15, "lower_drop": 0.25, "tongue_up": 0.8},
        _strengths(0.9, 0.7, 0.6, 1.0),
    ),
    "palatal": Pull(
        {"jaw_open": 0.1, "lips_wide": 0.5, "lower_drop": 0.22, "upper_raise": 0.1, "tongue_up": 0.2},
        _strengths(0.8, 0.6, 0.7),
    ),
    "velar": Pull({"jaw_open": 0.24, "lower_drop": 0.22, "upper_raise": 0.1}, _strengths(0.35, 0.03, 0.2)),
    "uvular": Pull({"jaw_open": 0.28, "lower_drop": 0.22, "upper_raise": 0.1}, _strengths(0.35, 0.03, 0.2)),
    "pharyngeal": Pull({"jaw_open": 0.4, "lower_drop": 0.3, "upper_raise": 0.14}, _strengths(0.4, 0.03, 0.2)),
    "glottal": Pull({"jaw_open": 0.3, "lower_drop": 0.25, "upper_raise": 0.12}, _strengths(0.12, 0.02, 0.12)),
}
_SIBILANT = Pull(
    {"jaw_open": 0.06, "lips_wide": 0.3, "lower_drop": 0.42, "upper_raise": 0.16, "tongue_up": 0.3},
    _strengths(1.5, 0.4, 1.1, 0.8),
)
_ENGLISH_R = Pull(
    {"jaw_open": 0.15, "lips_round": 0.5, "lips_funnel": 0.2, "lower_drop": 0.16, "upper_raise": 0.06},
    _strengths(0.6, 1.0, 0.7),
    0.08,
)
_LATERAL = Pull(
    {"jaw_open": 0.28, "lower_drop": 0.25, "upper_raise": 0.1, "tongue_up": 1.0},
    _strengths(0.35, 0.05, 0.3, 1.3),
)
_PAUSE = Pull({}, _strengths(0.9, 0.45, 0.9, 0.6), ahead_s=0.09, behind_s=0.12)


def _consonant(letter: Letter) -> Pull:
    if letter.place == "alveolar":
        pull = {"fricative": _SIBILANT, "approximant": _ENGLISH_R, "lateral": _LATERAL}.get(
            letter.manner, _PLACES["alveolar"]
        )
    elif letter.place == "bilabial" and letter.manner in ("fricative", "approximant"):
        # Narrow, but open: Spanish b between vowels.
        pull = Pull({"jaw_open": 0.12, "lower_drop": 0.05}, _strengths(1.0, 0.1, 1.4))
    else:
        pull = _PLACES[letter.place]
    return _with_secondary(pull, letter)


def _with_secondary(pull: Pull, letter: Letter) -> Pull:
    hold = {"stop": 0.82 if letter.voiced else 0.62, "nasal": 0.9}.get(letter.manner, 0.75)
    extra: dict[str, float] = {}
    if letter.rounded:
        extra = {"lips_round": 0.8}
    elif letter.palatalised:
        extra = {"lips_wide": 0.35}
    strength = {**pull.strength, _SHAPE: max(pull.strength[_SHAPE], 0.8)} if extra else pull.strength
    return Pull({**pull.targets, **extra}, strength, pull.ahead_s, pull.behind_s, pull.gate, hold)


def _pull(letter: Letter) -> Pull:
    if letter.kind == "silence":
        return _PAUSE
    return _vowel(letter) if letter.kind == "vowel" else _consonant(letter)


@dataclass(frozen=True)
class _Piece:
    start_s: float
    end_s: float
    pull: Pull
    scale: float


def _pieces(phonemes: Iterable[Phoneme]) -> Iterator[_Piece]:
    for phoneme in phonemes:
        start = phoneme.start_s
        for letter in letters(phoneme.symbol):
            end = start + letter.share * (phoneme.end_s - phoneme.start_s)
            effort = 0.72 + 0.28 * float(np.clip(phoneme.loudness, 0.2, 1.6))
            stress = (0.84, 0.95, 1.06)[phoneme.stress] if letter.kind == "vowel" else 1.0
            yield _Piece(start, end, _pull(letter), stress * effort if letter.kind == "vowel" else 1.0)
            start = end


def _core(piece: _Piece) -> tuple[float, float]:
    length = piece.end_s - piece.start_s
    if piece.pull is _PAUSE:
        edges = (piece.start_s + min(0.07, length / 2), piece.end_s - min(0.1, length / 2))
        return edges if edges[0] < edges[1] else (sum(edges) / 2,) * 2
    return piece.start_s + 0.28 * length, piece.end_s - 0.28 * length


def _add(piece: _Piece, wanted: np.ndarray, weight: np.ndarray) -> None:
    first, last = (edge - LEAD_S for edge in _core(piece))
    begin = max(0, int((first - _REACH * piece.pull.ahead_s) * GRID_RATE))
    end = min(len(weight), int((last + _REACH * piece.pull.behind_s) * GRID_RATE) + 2)
    if end <= begin:
        return
    t = np.arange(begin, end) / GRID_RATE
    away = np.maximum((first - t) / piece.pull.ahead_s, (t - last) / piece.pull.behind_s)
    dominance = np.exp(-(np.maximum(away, 0.0) ** 1.5))
    for group, names in _GROUPS.items():
        force = piece.pull.strength[group] * dominance
        for name in names:
            scale = piece.scale if group in (_JAW, _PART) else min(1.0, piece.scale)
            wanted[begin:end, INDEX[name]] += force * scale * piece.pull.targets.get(name, 0.0)
            weight[begin:end, INDEX[name]] += force


def _gate(pieces: Sequence[_Piece], kind: str, count: int) -> np.ndarray:
    """1 while the lips are held, with smooth flanks; the strongest of overlapping holds counts."""
    gate = np.zeros(count)
    for piece in pieces:
        if piece.pull.gate != kind:
            continue
        length = piece.end_s - piece.start_s
        held = max(_SHORTEST_HOLD_S, piece.pull.hold * length)
        first = piece.start_s + min(0.0, (piece.pull.hold * length - held) / 2)
        begin = max(0, int((first - _CLOSE_S) * GRID_RATE))
        end = min(count, int((first + held + _OPEN_S) * GRID_RATE) + 2)
        t = np.arange(begin, end) / GRID_RATE
        away = np.maximum((first - t) / _CLOSE_S, (t - first - held) / _OPEN_S)
        flank = 0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0.0, 1.0))
        gate[begin:end] = np.maximum(gate[begin:end], flank)
    return gate


def _smoothed(curves: np.ndarray) -> np.ndarray:
    reach = int(3 * _SMOOTHING_S * GRID_RATE)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (_SMOOTHING_S * GRID_RATE)) ** 2)
    padded = np.pad(curves, ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T]
    return np.stack(columns, axis=1)


def _speed_limited(curves: np.ndarray, step: np.ndarray) -> np.ndarray:
    # Forwards and backwards, averaged: neither pass alone is free of lag.
    forwards, backwards = curves.copy(), curves.copy()
    for i in range(1, len(curves)):
        forwards[i] = np.clip(curves[i], forwards[i - 1] - step, forwards[i - 1] + step)
        j = len(curves) - 1 - i
        backwards[j] = np.clip(curves[j], backwards[j + 1] - step, backwards[j + 1] + step)
    return (forwards + backwards) / 2


def _with_gates(curves: np.ndarray, close: np.ndarray, tuck: np.ndarray) -> np.ndarray:
    out = curves.copy()
    tuck = tuck * (1.0 - close)
    jaw, drop, lift = INDEX["jaw_open"], INDEX["lower_drop"], INDEX["upper_raise"]
    out[:, jaw] += tuck * (np.minimum(out[:, jaw], 0.14) - out[:, jaw])
    out[:, drop] *= 1.0 - tuck
    out[:, lift] += tuck * (0.3 - out[:, lift])
    out[:, INDEX["lips_round"]] *= 1.0 - 0.7 * tuck
    out[:, INDEX["lips_funnel"]] *= 1.0 - 0.7 * tuck
    out[:, INDEX["lower_tuck"]] = tuck
    out[:, jaw] += close * (np.minimum(out[:, jaw], 0.22) - out[:, jaw])
    for name in ("lower_drop", "upper_raise", "lips_funnel"):
        out[:, INDEX[name]] *= 1.0 - close
    out[:, INDEX["lips_round"]] *= 1.0 - 0.35 * close
    out[:, INDEX["lips_wide"]] *= 1.0 - 0.4 * close
    out[:, INDEX["lips_close"]] = close
    out[:, INDEX["lips_press"]] = 0.4 * close**3
    out[:, INDEX["chin_raise"]] = 0.15 * close
    return out


def mouth_curves(phonemes: Sequence[Phoneme], duration_s: float) -> np.ndarray:
    """(n, controls) at `GRID_RATE` from 0 to `duration_s`; what no phoneme covers is silence."""
    count = int(np.ceil(duration_s * GRID_RATE)) + 2
    pieces = list(_pieces(_with_silence_around(phonemes, duration_s)))
    wanted, weight = np.zeros((count, len(CONTROLS))), np.full((count, len(CONTROLS)), 0.02)
    for piece in pieces:
        _add(piece, wanted, weight)
    curves = _smoothed(wanted / weight)
    step = np.full(len(CONTROLS), np.inf)
    for group, names in _GROUPS.items():
        step[[INDEX[name] for name in names]] = _SPEED_PER_S[group] / GRID_RATE
    curves = _speed_limited(curves, step)
    return np.clip(_with_gates(curves, _gate(pieces, "close", count), _gate(pieces, "tuck", count)), 0.0, 1.0)


def _with_silence_around(phonemes: Sequence[Phoneme], duration_s: float) -> Iterator[Phoneme]:
    # Half a second beyond both ends is silence too, so that the first frame is a face at rest.
    at = -0.5
    for phoneme in sorted(phonemes, key=lambda p: p.start_s):
        if phoneme.start_s > at + 1e-3:
            yield Phoneme(at, phoneme.start_s, SILENCE)
        yield phoneme
        at = max(at, phoneme.end_s)
    if at < duration_s + 0.5:
        yield Phoneme(at, duration_s + 0.5, SILENCE)


def sample(curves: np.ndarray, rate: float, count: int) -> np.ndarray:
    """The curves at frame times i / rate, interpolated between grid points."""
    at = np.arange(count) * (GRID_RATE / float(rate))
    low = np.minimum(at.astype(np.int64), len(curves) - 2)
    part = np.minimum(at - low, 1.0)[:, None]
    return curves[low] * (1.0 - part) + curves[low + 1] * part


def viseme(symbol: str) -> np.ndarray:
    """The target of a symbol's longest articulation as a row of expression, its gate fully held."""
    longest = max(letters(symbol), key=lambda letter: letter.share)
    pull = _pull(longest)
    row = np.zeros((1, len(CONTROLS)))
    for name, value in pull.targets.items():
        row[0, INDEX[name]] = value
    gates = [np.full(1, float(pull.gate == kind)) for kind in ("close", "tuck")]
    return np.clip(_with_gates(row, *gates), 0.0, 1.0)[0].astype(np.float32)


def aperture(expression: np.ndarray) -> np.ndarray:
    """How far the lips are apart, foretold from the controls alone: 0 sealed to about 1 wide open."""
    e = np.asarray(expression)
    apart = e[..., INDEX["jaw_open"]] * (1.0 - 0.35 * e[..., INDEX["lips_round"]])
    apart = apart + 0.25 * e[..., INDEX["lower_drop"]] + 0.2 * e[..., INDEX["upper_raise"]]
    return apart * (1.0 - e[..., INDEX["lips_close"]]) * (1.0 - 0.6 * e[..., INDEX["lower_tuck"]])
