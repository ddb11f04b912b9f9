"""What each articulation wants of the mouth, by its features: targets, and how strongly they are wanted.

A consonant claims the controls that make it and leaves the others to its neighbours: the numbers of
`strength` say how much. Called by `visemes`, which blends the claims into curves.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.puppet.phonetics import Letter

__all__ = ["GROUPS", "JAW", "PART", "PAUSE", "SHAPE", "TONGUE", "Pull", "pull_of"]

JAW, SHAPE, PART, TONGUE = "jaw", "shape", "part", "tongue"
GROUPS: dict[str, tuple[str, ...]] = {
    JAW: ("jaw_open",),
    SHAPE: ("lips_round", "lips_funnel", "lips_wide"),
    PART: ("lower_drop", "upper_raise"),
    TONGUE: ("tongue_up", "tongue_out"),
}


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
    return {JAW: jaw, SHAPE: shape, PART: part, TONGUE: tongue}


def _vowel(letter: Letter) -> Pull:
    openness, front = letter.openness, 1.0 - letter.backness
    if letter.rounded:
        targets = {
            "jaw_open": 0.10 + 0.42 * openness,
            "lips_round": 0.98 - 0.55 * openness,
            "lower_drop": 0.06 + 0.2 * openness,
            "upper_raise": 0.04 + 0.1 * openness,
        }
        return Pull(targets, _strengths(1.0, 1.5, 1.0), ahead_s=0.1, behind_s=0.06)
    targets = {
        "jaw_open": 0.11 + 0.59 * openness**1.15,
        "lips_wide": front * (0.68 - 0.4 * openness) + 0.06 * openness,
        "lower_drop": 0.20 + 0.18 * openness,
        "upper_raise": 0.10 + 0.14 * openness,
    }
    return Pull(targets, _strengths(1.0, 0.9 + 0.9 * front * (1.0 - openness), 1.0))


_LABIAL = Pull({"jaw_open": 0.12}, _strengths(0.5, 0.04, 0.15), ahead_s=0.05, behind_s=0.04, gate="close")
_TEETH_ON_LIP = Pull(
    {"jaw_open": 0.12, "upper_raise": 0.28, "lips_wide": 0.12}, _strengths(0.9, 0.3, 0.4), gate="tuck"
)
_ROUND_GLIDE = Pull(
    {"jaw_open": 0.09, "lips_round": 1.0, "lower_drop": 0.04}, _strengths(0.9, 2.4, 1.0), 0.1, 0.05
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
PAUSE = Pull({}, _strengths(1.2, 1.8, 1.4, 0.6), ahead_s=0.07, behind_s=0.1)


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
    strength = {**pull.strength, SHAPE: max(pull.strength[SHAPE], 0.8)} if extra else pull.strength
    return Pull({**pull.targets, **extra}, strength, pull.ahead_s, pull.behind_s, pull.gate, hold)


def pull_of(letter: Letter) -> Pull:
    """What a letter of the phonetic alphabet wants of the mouth."""
    if letter.kind == "silence":
        return PAUSE
    return _vowel(letter) if letter.kind == "vowel" else _consonant(letter)
