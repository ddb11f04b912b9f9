"""What the network says: 29 symbols a frame, and the articulations that it is trained to tell apart.

A symbol is no spelling: each sound of any language is shared out over the letters whose mouths it resembles,
so that a linear look at the 29 outputs finds lips and jaw in languages that nobody spelt for it. Called by
`tasks.acoustic`, which labels speech with it.
"""

from __future__ import annotations

import math
from functools import cache

from models.puppet.phonetics import Letter, letters

__all__ = ["BLANK", "NOISE", "PAUSE", "PHONES", "SPACE", "SYMBOLS", "lip_gap_of", "phones_of", "symbols_of"]

SYMBOLS = (" ", *"abcdefghijklmnopqrstuvwxyz", "'", "<blank>")
SPACE, BLANK = 0, 28

# Where a vowel letter stands: openness, backness, rounding, as in `models.puppet.phonetics`.
_ANCHORS = {
    "a": (1.0, 0.5, 0.0),
    "e": (0.5, 0.0, 0.0),
    "i": (0.0, 0.0, 0.0),
    "o": (0.5, 1.0, 1.0),
    "u": (0.0, 1.0, 1.0),
    "y": (0.2, 0.0, 1.0),
    "'": (0.5, 0.5, 0.0),
}
_REACH = 0.3

# place -> manner -> voiceless and voiced letters, each with equal shares.
_LETTERS: dict[str, dict[str, tuple[str, str]]] = {
    "bilabial": {"stop": ("p", "b"), "nasal": ("m", "m"), "fricative": ("pf", "bv")},
    "labiodental": {"nasal": ("m", "mv"), "fricative": ("f", "v"), "approximant": ("v", "vw")},
    "dental": {"fricative": ("th", "dh")},
    "alveolar": {
        "stop": ("t", "d"),
        "nasal": ("n", "n"),
        "trill": ("r", "r"),
        "fricative": ("s", "z"),
        "approximant": ("r", "r"),
        "lateral": ("l", "l"),
    },
    "postalveolar": {
        "stop": ("t", "d"),
        "nasal": ("n", "n"),
        "trill": ("r", "r"),
        "fricative": ("cs", "jz"),
        "approximant": ("r", "r"),
        "lateral": ("l", "l"),
    },
    "palatal": {
        "stop": ("k", "g"),
        "nasal": ("n", "nj"),
        "fricative": ("cx", "j"),
        "approximant": ("ij", "ij"),
        "lateral": ("l", "l"),
    },
    "velar": {
        "stop": ("k", "g"),
        "nasal": ("ng", "ng"),
        "fricative": ("x", "gx"),
        "approximant": ("g", "g"),
        "lateral": ("l", "l"),
    },
    "uvular": {"stop": ("q", "q"), "nasal": ("n", "n"), "trill": ("qr", "qr"), "fricative": ("qx", "qr")},
    "glottal": {"stop": ("'", "'"), "fricative": ("h", "h")},
    "labiovelar": {"approximant": ("w", "w")},
    "labiopalatal": {"approximant": ("wy", "wy")},
}
_PLACES = {"retroflex": "postalveolar", "alveolopalatal": "palatal", "pharyngeal": "uvular"}
_MANNERS = {"implosive": "stop", "click": "stop", "tap": "trill"}

_VOWELS = tuple(
    (openness, backness, rounded)
    for openness in (0.0, 0.2, 0.35, 0.5, 0.65, 0.85, 1.0)
    for backness in (0.0, 0.5, 1.0)
    for rounded in (False, True)
)


def _consonants() -> tuple[tuple[str, str, bool], ...]:
    voicings = {"nasal": (True,), "trill": (True,), "lateral": (True,), "approximant": (True,)}
    return tuple(
        (place, manner, voiced)
        for place, manners in _LETTERS.items()
        for manner in manners
        for voiced in voicings.get(manner, (False, True))
    )


_CONSONANTS = _consonants()
PHONES: tuple[str, ...] = (
    "noise",
    "pause",
    *(
        "/".join((place, manner, "voiced" if voiced else "voiceless"))
        for place, manner, voiced in _CONSONANTS
    ),
    *(f"vowel/{o:g}/{b:g}/{'rounded' if r else 'plain'}" for o, b, r in _VOWELS),
)
NOISE, PAUSE = 0, 1


@cache
def phones_of(symbol: str) -> tuple[tuple[int, float], ...]:
    """An IPA symbol as numbers into PHONES, each with its share of the symbol's time."""
    return tuple((_phone(letter), letter.share) for letter in letters(symbol))


def _phone(letter: Letter) -> int:
    if letter.kind == "silence":
        return PAUSE
    if letter.kind == "vowel":
        where = (letter.openness, letter.backness, float(letter.rounded))
        distances = [_distance(where, (o, b, float(r))) for o, b, r in _VOWELS]
        return 2 + len(_CONSONANTS) + distances.index(min(distances))
    place, manner, voiced = _place(letter)
    voiced = voiced or (place, manner, False) not in _CONSONANTS
    return 2 + _CONSONANTS.index((place, manner, voiced))


def _place(letter: Letter) -> tuple[str, str, bool]:
    """The nearest row of the table: what it lacks is a fricative, or else said at the gums."""
    place = _PLACES.get(letter.place, letter.place)
    manner = _MANNERS.get(letter.manner, letter.manner)
    if manner not in _LETTERS.get(place, {}):
        manner = "fricative" if "fricative" in _LETTERS.get(place, {}) else manner
        place = place if manner in _LETTERS.get(place, {}) else "alveolar"
    return place, manner, letter.voiced


@cache
def symbols_of(phone: int) -> tuple[float, ...]:
    """How one of PHONES is shared out over SYMBOLS; the shares add up to one."""
    shares = dict.fromkeys(SYMBOLS, 0.0)
    if phone in (NOISE, PAUSE):
        shares["<blank>" if phone == NOISE else " "] = 1.0
    elif phone < 2 + len(_CONSONANTS):
        place, manner, voiced = _CONSONANTS[phone - 2]
        said = _LETTERS[place][manner][int(voiced)]
        shares.update(dict.fromkeys(said, 1.0 / len(said)))
    else:
        o, b, r = _VOWELS[phone - 2 - len(_CONSONANTS)]
        near = {k: math.exp(-_distance((o, b, float(r)), at) / _REACH**2) for k, at in _ANCHORS.items()}
        shares.update({key: value / sum(near.values()) for key, value in near.items()})
    return tuple(shares.values())


def _distance(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    """Squared, with the jaw counting most: it is what a camera sees."""
    return (a[0] - b[0]) ** 2 + 0.5 * (a[1] - b[1]) ** 2 + 0.25 * (a[2] - b[2]) ** 2


@cache
def lip_gap_of(phone: int) -> float:
    """About how far the lips part in one of PHONES: 0 closed to 1 wide open."""
    if phone in (NOISE, PAUSE):
        return 0.1
    if phone < 2 + len(_CONSONANTS):
        place, manner, _ = _CONSONANTS[phone - 2]
        if place == "bilabial":
            return 0.05 if manner == "fricative" else 0.0
        return {"labiodental": 0.1, "labiovelar": 0.15, "labiopalatal": 0.15, "glottal": 0.4}.get(place, 0.3)
    openness, _, rounded = _VOWELS[phone - 2 - len(_CONSONANTS)]
    return 0.35 + 0.65 * openness - 0.2 * rounded
