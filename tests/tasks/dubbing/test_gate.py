"""Lips close in silence, and only there."""

from __future__ import annotations

import numpy as np

from models.morphable import builtin
from tasks.dubbing.gate import gate, lip_gap, resting


def voice(*parts: tuple[float, float]) -> np.ndarray:
    return np.concatenate([np.full(round(50 * s), v, np.float32) for v, s in parts])


def test_long_silence_closes_and_short_pauses_do_not() -> None:
    follows = gate(voice((0, 1), (1, 1), (0, 0.2), (1, 1), (0, 1.5)))
    assert (follows[:40] == 0).all()
    assert (follows[55:155] == 1).all()
    assert (follows[180:] == 0).all()


def test_it_never_jumps() -> None:
    follows = gate(voice((0, 1), (1, 0.5), (0, 0.6), (1, 0.1), (0, 1)))
    assert np.abs(np.diff(follows)).max() < 0.25


def test_lips_part_before_they_are_heard() -> None:
    follows = gate(voice((0, 1), (1, 1)))
    assert follows[49] > 0.5


def test_silence_all_through_stays_shut() -> None:
    assert (gate(voice((0, 0.2))) == 0).all()
    assert (gate(voice((0, 60))) == 0).all()
    assert (gate(voice((1, 0.2))) == 1).all()


def test_rest_is_a_shut_mouth() -> None:
    draw = np.random.default_rng(0)
    rows = np.zeros((200, 64), np.float32)
    rows[:, builtin().names.index("jaw_open")] = draw.uniform(0, 1, 200)
    who = np.zeros(80, np.float32)
    rest = resting(who, rows, np.ones(200, np.float32))
    gaps = lip_gap(who, rows)
    assert lip_gap(who, rest[None])[0] < np.quantile(gaps, 0.12)
