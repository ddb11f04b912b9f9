"""What an IPA symbol says about the mouth: place, manner, height, backness, rounding, letter by letter.

Symbols are taken apart letter by letter, so that diphthongs, affricates, length, tone and diacritics of
any language come out right without a list of phonemes. Called by `visemes`; knows no curve and no head.
"""

# ruff: noqa: RUF001 - the letters of the phonetic alphabet look like others on purpose
from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace

__all__ = ["SILENCE", "Letter", "Phoneme", "letters"]

SILENCE = "_"


@dataclass(frozen=True)
class Phoneme:
    """A stretch of speech: times in seconds, the IPA symbol (`SILENCE` for a pause) and its weight."""

    start_s: float
    end_s: float
    symbol: str
    stress: int = 0  # 0 none, 1 secondary, 2 primary
    word: int = -1  # which word of the text; -1 in pauses
    sentence: int = 0
    word_start: bool = False
    sentence_start: bool = False
    loudness: float = 1.0  # about 1 for the text's typical vowel

    @property
    def silent(self) -> bool:
        """Whether this is a pause."""
        return self.symbol == SILENCE


@dataclass(frozen=True)
class Letter:
    """One articulation inside a symbol; `share` is its part of the symbol's time."""

    kind: str  # vowel, consonant, silence
    place: str = ""
    manner: str = ""
    voiced: bool = True
    openness: float = 0.0  # vowels: 0 close (i, u) to 1 open (a)
    backness: float = 0.5  # vowels: 0 front to 1 back
    rounded: bool = False
    palatalised: bool = False
    share: float = 1.0


# place -> manner -> letters as (voiceless, voiced) pairs; "-" where a letter does not exist.
_CONSONANTS: dict[str, dict[str, str]] = {
    "bilabial": {
        "stop": "pb",
        "nasal": "-m",
        "trill": "-ʙ",
        "fricative": "ɸβ",
        "implosive": "-ɓ",
        "click": "ʘ-",
    },
    "labiodental": {"nasal": "-ɱ", "fricative": "fv", "approximant": "-ʋ", "tap": "-ⱱ"},
    "dental": {"fricative": "θð", "click": "ǀ-"},
    "alveolar": {
        "stop": "td",
        "nasal": "-n",
        "trill": "-r",
        "tap": "-ɾ-ɺ",
        "fricative": "sz",
        "approximant": "-ɹ",
        "lateral": "-lɬɮ-ɫ",
        "implosive": "-ɗ",
        "click": "ǃ-ǁ-",
    },
    "postalveolar": {"fricative": "ʃʒɧ-", "click": "ǂ-"},
    "alveolopalatal": {"fricative": "ɕʑ"},
    "retroflex": {
        "stop": "ʈɖ",
        "nasal": "-ɳ",
        "tap": "-ɽ",
        "fricative": "ʂʐ",
        "approximant": "-ɻ",
        "lateral": "-ɭ",
    },
    "palatal": {
        "stop": "cɟ",
        "nasal": "-ɲ",
        "fricative": "çʝ",
        "approximant": "-j",
        "lateral": "-ʎ",
        "implosive": "-ʄ",
    },
    "velar": {
        "stop": "kɡ-g",
        "nasal": "-ŋ",
        "fricative": "xɣ",
        "approximant": "-ɰ",
        "lateral": "-ʟ",
        "implosive": "-ɠ",
    },
    "uvular": {"stop": "qɢ", "nasal": "-ɴ", "trill": "-ʀ", "fricative": "χʁ", "implosive": "-ʛ"},
    "pharyngeal": {"fricative": "ħʕʜʢ", "stop": "ʡ-"},
    "glottal": {"stop": "ʔ-", "fricative": "hɦ"},
    "labiovelar": {"approximant": "ʍw"},
    "labiopalatal": {"approximant": "-ɥ"},
}

# openness, backness, letters unrounded, letters rounded
_VOWELS: tuple[tuple[float, float, str, str], ...] = (
    (0.00, 0.0, "i", "y"),
    (0.00, 0.5, "ɨ", "ʉ"),
    (0.00, 1.0, "ɯ", "u"),
    (0.18, 0.2, "ɪ", "ʏ"),
    (0.20, 0.5, "ᵻ", "ᵿ"),
    (0.20, 0.8, "", "ʊ"),
    (0.33, 0.0, "e", "ø"),
    (0.33, 0.5, "ɘ", "ɵ"),
    (0.35, 1.0, "ɤ", "o"),
    (0.45, 0.5, "əɚ", ""),
    (0.58, 0.5, "ɜɝ", "ɞ"),
    (0.60, 0.0, "ɛ", "œ"),
    (0.65, 0.9, "ʌ", "ɔ"),
    (0.75, 0.5, "ɐ", ""),
    (0.85, 0.1, "æ", ""),
    (1.00, 0.3, "a", "ɶ"),
    (0.92, 1.0, "ɑ", "ɒ"),
)

_RESPELT = {
    "ʦ": "ts",
    "ʣ": "dz",
    "ʧ": "tʃ",
    "ʤ": "dʒ",
    "ʨ": "tɕ",
    "ʥ": "dʑ",
    "@": "ə",
    "ı": "i",
    "?": "ʔ",
    "ε": "ɛ",
    "Φ": "ɸ",
}
_SAME_MOUTH = {
    "A": "ɑ",
    "E": "ɛ",
    "I": "ɪ",
    "O": "ɔ",
    "U": "ʊ",
    "V": "ʌ",
    "N": "ŋ",
    "S": "ʃ",
    "Z": "ʒ",
    "R": "ʁ",
}


def _table() -> dict[str, Letter]:
    found: dict[str, Letter] = {}
    for place, manners in _CONSONANTS.items():
        for manner, row in manners.items():
            for i, letter in enumerate(row):
                found[letter] = Letter("consonant", place, manner, voiced=i % 2 == 1)
    found.pop("-")
    for openness, backness, plain, rounded in _VOWELS:
        for letter in plain + rounded:
            found[letter] = Letter("vowel", openness=openness, backness=backness, rounded=letter in rounded)
    return found


_LETTERS = _table()
# A mark of no known letter still takes time: a mouth in its middle position is the least wrong.
_UNKNOWN = Letter("vowel", openness=0.4)


def _known(character: str) -> Letter | None:
    if character in _LETTERS:
        return _LETTERS[character]
    if not unicodedata.category(character).startswith(("Ll", "Lu", "Lo")):
        return None
    base = unicodedata.normalize("NFKD", character)[0]
    return _LETTERS.get(_SAME_MOUTH.get(base, base)) or _LETTERS.get(base.lower()) or _UNKNOWN


def _marked(last: Letter, mark: str) -> Letter:
    """The letter changed by a diacritic; most of them (tone, nasality, length) leave lips and jaw alone."""
    if mark in "ʷ\u0339\u032b":
        return replace(last, rounded=True)
    if mark == "\u031c":
        return replace(last, rounded=False)
    if mark == "ʲ":
        return replace(last, palatalised=True)
    if mark == "." and last.kind == "consonant" and last.place == "alveolar":
        return replace(last, place="retroflex")
    if mark in "\u031e\u0320" and last.kind == "vowel":
        return replace(last, openness=min(1.0, last.openness + 0.1 * (mark == "\u031e")))
    if mark == "\u031d" and last.kind == "vowel":
        return replace(last, openness=max(0.0, last.openness - 0.1))
    return last


def _shared(found: list[Letter]) -> tuple[Letter, ...]:
    # The first part of a diphthong is the long one; the stop of an affricate the short one.
    weights = [1.0] * len(found)
    for i in range(len(found) - 1):
        if found[i].kind == found[i + 1].kind:
            weights[i] = 1.4 if found[i].kind == "vowel" else 0.8
    total = sum(weights)
    return tuple(replace(letter, share=weight / total) for letter, weight in zip(found, weights, strict=True))


def letters(symbol: str) -> tuple[Letter, ...]:
    """The articulations of a symbol in order; never empty, and never an error for an unknown mark."""
    spelling = "".join(_RESPELT.get(c, c) for c in unicodedata.normalize("NFC", symbol))
    found: list[Letter] = []
    for character in "" if symbol == SILENCE else spelling:
        letter = _known(character)
        aspiration = character == "h" and found and found[-1].kind == "consonant"
        if letter is None or aspiration:
            if found:
                found[-1] = _marked(found[-1], character)
        else:
            found.append(letter)
    if not found:
        return (Letter("silence" if symbol in ("", SILENCE) else "vowel", openness=0.4),)
    return _shared(found)
