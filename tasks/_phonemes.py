"""espeak-ng's events become phonemes whose times agree with the sound. Only `tasks.speech` may call this.

What the events leave to find out: a stop's event comes at its release, so the silence before it is its
closure; unlabelled events are pauses or a sound's second half; marks of a changed language are no sound.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.puppet.phonetics import SILENCE, Phoneme, letters

__all__ = ["phonemes_from_events"]

_WORD, _SENTENCE, _PHONEME = 1, 2, 7
_STRESS = {"\u02c8": 2, "\u02cc": 1}
_HUSH = 10 ** (-58 / 20)
_PAUSE_RMS = 10 ** (-48 / 20)
_LONGEST_CLOSURE_S = 0.11
_CLOSURE_AFTER_PAUSE_S = 0.06
_CLOSURE_UNHEARD_S = 0.045  # some voices have an echo that fills their closures


def phonemes_from_events(
    events: Sequence[Sequence[Any]], sound: np.ndarray, rate: int
) -> tuple[Phoneme, ...]:
    """Rows of (type, sample, text position, label) and the sound become phonemes without gaps."""
    level = _Level(sound, rate)
    merged = _merged(_labelled(events, len(sound), rate), level)
    return tuple(_weighed(_with_closures(merged, level), level))


class _Level:
    """How loud the sound is between any two times."""

    def __init__(self, sound: np.ndarray, rate: int) -> None:
        self.sound, self.rate = sound, rate
        self._power = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])

    def between(self, start_s: float, end_s: float) -> float:
        first, last = (min(len(self.sound), max(0, round(t * self.rate))) for t in (start_s, end_s))
        return float(np.sqrt((self._power[last] - self._power[first]) / max(1, last - first)))

    def hush_before(self, time_s: float) -> float:
        """Seconds of silence that end at `time_s`."""
        last = round(time_s * self.rate)
        first = max(0, last - round(_LONGEST_CLOSURE_S * self.rate))
        heard = np.flatnonzero(np.abs(self.sound[first:last]) > _HUSH)
        return (last - first - (int(heard[-1]) + 1 if len(heard) else 0)) / self.rate


@dataclass
class _Place:
    word: int = -1
    sentence: int = -1
    new_word: bool = False
    new_sentence: bool = False


def _labelled(events: Sequence[Sequence[Any]], length: int, rate: int) -> Iterable[Phoneme]:
    """Every phoneme event until the next one; unlabelled stretches have the empty symbol."""
    place = _Place()
    starts = [event[1] for event in events if event[0] == _PHONEME] + [length]
    following = iter(starts[1:])
    for kind, sample, _, label in events:
        if kind == _WORD:
            place.word, place.new_word = place.word + 1, True
        elif kind == _SENTENCE:
            place.sentence, place.new_sentence = place.sentence + 1, True
        elif kind == _PHONEME:
            end = min(next(following), length)
            if end > sample:
                yield _phoneme(label, sample / rate, end / rate, place)


def _phoneme(label: str, start_s: float, end_s: float, place: _Place) -> Phoneme:
    stress = max((_STRESS.get(c, 0) for c in label), default=0)
    symbol = "" if label.startswith("(") else label.strip("\u02c8\u02cc ")
    found = Phoneme(start_s, end_s, symbol, stress, place.word, max(0, place.sentence))
    if symbol:
        found = replace(found, word_start=place.new_word, sentence_start=place.new_sentence)
        place.new_word = place.new_sentence = False
    return found


def _merged(phonemes: Iterable[Phoneme], level: _Level) -> list[Phoneme]:
    """Unlabelled stretches become pauses where nothing sounds, else the end of the phoneme before."""
    out: list[Phoneme] = []
    for phoneme in phonemes:
        now = phoneme
        if out and not out[-1].silent and now.symbol and not _has_letter(now.symbol):
            out[-1] = replace(out[-1], end_s=now.end_s, symbol=out[-1].symbol + now.symbol)
            continue
        if not now.symbol:
            heard = level.between(now.start_s, now.end_s) > _PAUSE_RMS and now.end_s - now.start_s < 0.12
            if out and (heard or out[-1].silent):
                out[-1] = replace(out[-1], end_s=now.end_s)
                continue
            now = replace(now, symbol=SILENCE, word=-1)
        out.append(now)
    return _covering(out)


def _has_letter(symbol: str) -> bool:
    return any(unicodedata.category(c) in ("Ll", "Lu", "Lo") or c == "?" for c in symbol)


def _covering(phonemes: list[Phoneme]) -> list[Phoneme]:
    if phonemes and phonemes[0].start_s > 0.0:
        if phonemes[0].silent:
            phonemes[0] = replace(phonemes[0], start_s=0.0)
        else:
            phonemes.insert(0, Phoneme(0.0, phonemes[0].start_s, SILENCE))
    return phonemes


def _with_closures(phonemes: list[Phoneme], level: _Level) -> list[Phoneme]:
    out: list[Phoneme] = []
    for phoneme in phonemes:
        now = phoneme
        if out and not now.silent:
            closure = _closure(out[-1], now, level)
            if closure > 0.0:
                edge = now.start_s - closure
                out[-1], now = replace(out[-1], end_s=edge), replace(now, start_s=edge)
                if out[-1].end_s - out[-1].start_s < 1e-4:
                    out.pop()
        out.append(now)
    return out


def _closure(before: Phoneme, now: Phoneme, level: _Level) -> float:
    first = letters(now.symbol)[0]
    if first.kind != "consonant":
        return 0.0
    length = before.end_s - before.start_s
    if before.silent:
        return min(length, _CLOSURE_AFTER_PAUSE_S) if first.manner == "stop" else 0.0
    hush = level.hush_before(now.start_s)
    if hush < 0.006 and first.manner == "stop" and not first.voiced:
        hush = min(_CLOSURE_UNHEARD_S, 0.35 * length)
    return min(hush, 0.6 * length)


def _weighed(phonemes: list[Phoneme], level: _Level) -> Iterable[Phoneme]:
    """Loudness against the text's typical vowel: what is said louder is said with a wider mouth."""
    levels = [level.between(p.start_s, p.end_s) for p in phonemes]
    vowels = [
        loud
        for p, loud in zip(phonemes, levels, strict=True)
        if not p.silent and letters(p.symbol)[0].kind == "vowel"
    ]
    typical = float(np.median(vowels)) if vowels else 1.0
    for phoneme, loud in zip(phonemes, levels, strict=True):
        yield replace(phoneme, loudness=0.0 if phoneme.silent else round(loud / max(typical, 1e-6), 4))
