"""Phonemes with times become curves of the mouth: targets by features, blended by dominance.

Every articulation pulls the controls it cares about towards its target and leaves the others to its
neighbours (Cohen and Massaro's dominance functions); lips that must touch (p b m) and lip on teeth (f v)
are laid over the blend as gates that always reach the end, however fast the speech. Curves live on a
fixed grid of `GRID_RATE` a second, so that any frame rate reads the same motion. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.puppet.articulation import GROUPS, JAW, PART, PAUSE, SHAPE, TONGUE, Pull, pull_of
from models.puppet.expression import CONTROLS, INDEX
from models.puppet.phonetics import SILENCE, Phoneme, letters

__all__ = ["GRID_RATE", "SILENCE", "Phoneme", "aperture", "mouth_curves", "sample", "viseme"]

GRID_RATE = 200
LEAD_S = 0.03  # lips are ahead of the sound they shape
_SHORTEST_HOLD_S = 0.052  # longer than a frame at 24 a second: no closure falls between two frames
_CLOSE_S, _OPEN_S, _FASTEST_S = 0.045, 0.05, 0.02
_CLOSED_AHEAD_S = 0.25
_UNHURRIED_S = 0.075  # faster phonemes than this reach less far into each other's time
_REACH = 3.5  # in widths; beyond it a dominance is nothing
_SMOOTHING_S = 0.014

_SPEED_PER_S = {JAW: 7.0, SHAPE: 9.0, PART: 9.0, TONGUE: 14.0}


@dataclass(frozen=True)
class _Piece:
    start_s: float
    end_s: float
    pull: Pull
    scale: float
    reach: float  # 1 in unhurried speech, less in fast speech

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


def _pieces(phonemes: Sequence[Phoneme]) -> Iterator[_Piece]:
    lengths = [p.end_s - p.start_s for p in phonemes if not p.silent]
    reach = float(np.clip(np.median(lengths) / _UNHURRIED_S, 0.5, 1.0)) if lengths else 1.0
    for phoneme in phonemes:
        start = phoneme.start_s
        for letter in letters(phoneme.symbol):
            end = start + letter.share * (phoneme.end_s - phoneme.start_s)
            effort = 0.72 + 0.28 * float(np.clip(phoneme.loudness, 0.2, 1.6))
            stress = (0.84, 0.95, 1.06)[phoneme.stress] if letter.kind == "vowel" else 1.0
            yield _Piece(
                start, end, pull_of(letter), stress * effort if letter.kind == "vowel" else 1.0, reach
            )
            start = end


def _core(piece: _Piece) -> tuple[float, float]:
    length = piece.length_s
    if piece.pull is PAUSE:
        edges = (piece.start_s + min(0.1, length / 2), piece.end_s - min(0.08, length / 2))
        return edges if edges[0] < edges[1] else (sum(edges) / 2,) * 2
    return piece.start_s + 0.28 * length, piece.end_s - 0.28 * length


def _add(piece: _Piece, wanted: np.ndarray, weight: np.ndarray) -> None:
    first, last = (edge - LEAD_S for edge in _core(piece))
    ahead, behind = piece.pull.ahead_s * piece.reach, piece.pull.behind_s * piece.reach
    begin = max(0, int((first - _REACH * ahead) * GRID_RATE))
    end = min(len(weight), int((last + _REACH * behind) * GRID_RATE) + 2)
    if end <= begin:
        return
    t = np.arange(begin, end) / GRID_RATE
    away = np.maximum((first - t) / ahead, (t - last) / behind)
    dominance = np.exp(-(np.maximum(away, 0.0) ** 1.5))
    for group, names in GROUPS.items():
        force = piece.pull.strength[group] * dominance
        for name in names:
            scale = piece.scale if group in (JAW, PART) else min(1.0, piece.scale)
            wanted[begin:end, INDEX[name]] += force * scale * piece.pull.targets.get(name, 0.0)
            weight[begin:end, INDEX[name]] += force


def _gate(pieces: Sequence[_Piece], kind: str, count: int) -> np.ndarray:
    """1 while the lips are held, with smooth flanks; the strongest of overlapping holds counts."""
    gate = np.zeros(count)
    for before, piece, after in zip(pieces, pieces[1:], pieces[2:], strict=False):
        if piece.pull.gate != kind:
            continue
        held = max(_SHORTEST_HOLD_S, piece.pull.hold * piece.length_s)
        first = piece.start_s + min(0.0, (piece.pull.hold * piece.length_s - held) / 2)
        if before.pull is PAUSE:
            # Lips at rest are closed: they do not part first in order to close.
            begin_s = max(before.start_s + 0.1, first - _CLOSED_AHEAD_S)
            first, held = min(first, begin_s), held + max(0.0, first - begin_s)
        # A short vowel between two closures must open all the same: flanks take half of it at most.
        close_s = float(np.clip(_flank_share(before) * before.length_s, _FASTEST_S, _CLOSE_S))
        open_s = float(np.clip(_flank_share(after) * after.length_s, _FASTEST_S, _OPEN_S))
        begin = max(0, int((first - close_s) * GRID_RATE))
        end = min(count, int((first + held + open_s) * GRID_RATE) + 2)
        t = np.arange(begin, end) / GRID_RATE
        away = np.maximum((first - t) / close_s, (t - first - held) / open_s)
        flank = 0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0.0, 1.0))
        gate[begin:end] = np.maximum(gate[begin:end], flank)
    return gate


def _flank_share(neighbour: _Piece) -> float:
    return 0.25 if neighbour.pull.gate else 0.5


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
    pieces = list(_pieces(list(_with_silence_around(phonemes, duration_s))))
    wanted, weight = np.zeros((count, len(CONTROLS))), np.full((count, len(CONTROLS)), 0.02)
    for piece in pieces:
        _add(piece, wanted, weight)
    curves = _smoothed(wanted / weight)
    step = np.full(len(CONTROLS), np.inf)
    for group, names in GROUPS.items():
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
    pull = pull_of(longest)
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
    apart = apart + 0.15 * e[..., INDEX["lips_round"]] + 0.24 * e[..., INDEX["lips_funnel"]]
    return apart * (1.0 - e[..., INDEX["lips_close"]]) * (1.0 - 0.6 * e[..., INDEX["lower_tuck"]])
