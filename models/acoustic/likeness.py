"""How much a sound of speech looks and sounds like each symbol, so that the outputs are even in the mouth.

Every phone is a point: how far the lips part, where the tongue is, what is done with the air. A symbol lies
amid the phones that it stands for. Shares that fall with the squared distance have logarithms that are linear
in the point, so a linear look at the outputs finds the mouth again; shares of letters alone saturate.
Called by `tasks.acoustic.training`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.acoustic.symbols import NOISE, PAUSE, PHONES, lip_gap_of, symbols_of

__all__ = ["shares_by_likeness"]

Array = NDArray[np.float64]

# What a consonant's place and manner are worth, axis by axis.
_PLACES = (
    ("bilabial",),
    ("labiodental",),
    ("dental", "alveolar"),
    ("postalveolar", "palatal"),
    ("velar", "uvular", "glottal"),
)
_MANNERS = ("nasal", "stop", "fricative")
_ROUNDED = {"labiovelar": 1.0, "labiopalatal": 1.0, "postalveolar": 0.5}
# Lips are what it is all for: their axis is stretched.
_GAP = 2.0**0.5


def shares_by_likeness(sharpness: float) -> Array:
    """(phones, 29), rows adding up to one; the sharper, the more the nearest symbol gets."""
    points = np.array([_point(phone) for phone in range(len(PHONES))])
    spelt = np.array([symbols_of(phone) for phone in range(len(PHONES))])
    symbols = (spelt.T @ points) / spelt.sum(0)[:, None]
    apart = ((points[:, None] - symbols[None]) ** 2).sum(-1)
    shares = np.exp(-sharpness * (apart - apart.min(1, keepdims=True)))
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float64)


def _point(phone: int) -> tuple[float, ...]:
    """Gap; vowel, backness, rounding, voice; silence, noise; places; manners."""
    gap = _GAP * lip_gap_of(phone)
    none = (0.0,) * (len(_PLACES) + len(_MANNERS))
    if phone in (NOISE, PAUSE):
        return gap, 0.0, 0.0, 0.0, 0.0, 1.0, float(phone == NOISE), *none
    first, second, third, *rest = PHONES[phone].split("/")
    if first == "vowel":
        return gap, 1.0, float(third) - 0.5, float(rest == ["rounded"]), 1.0, 0.0, 0.0, *none
    places = (float(first in some) for some in _PLACES)
    manners = (float(second == one) for one in _MANNERS)
    voiced = float(third == "voiced")
    return gap, 0.0, 0.0, _ROUNDED.get(first, 0.0), voiced, 0.0, 0.0, *places, *manners
