"""Offsets between curves whose truth is known: every lag and rate, gaps, cuts, silence, strangers."""

from __future__ import annotations

import numpy as np
import pytest

from models.offset import CONFIDENT, FURTHEST, estimate, lip_motion, read_lips
from models.offset.measure import smoothed_away

RATE = 50.0


def curves(seconds: float, seed: int = 0) -> np.ndarray:
    """(n, 2) at 400 a second: two things that lips might do, some five changes a second."""
    rng = np.random.default_rng(seed)
    raw = rng.standard_normal((round(seconds * 400), 2))
    bell = np.exp(-0.5 * (np.arange(-120, 121) / 32) ** 2)
    return np.stack([np.convolve(column, bell, "same") for column in raw.T], -1)


def pair(late: float, *, fps: float = 25.0, seconds: float = 20.0, noise: float = 1.5, seed: int = 0):
    """What is heard and what is seen, the sound late by so many frames, with as much noise as truth."""
    truth, rng = curves(seconds + 8, seed), np.random.default_rng(seed + 1)

    def read(times: np.ndarray) -> np.ndarray:
        at = (times + 4) * 400
        return np.stack([np.interp(at, np.arange(len(truth)), column) for column in truth.T], -1)

    heard = read((np.arange(round(seconds * RATE)) + 0.5) / RATE - late / fps)
    seen = read(np.arange(round(seconds * fps)) / fps)
    bell = np.exp(-0.5 * (np.arange(-2, 3) / 1.0) ** 2)
    wrong = np.stack([np.convolve(c, bell, "same") for c in rng.standard_normal(seen.shape).T], -1)
    return heard, 0.4 * seen / seen.std(0) + 0.4 * noise * wrong / wrong.std(0) + 3.0


@pytest.mark.parametrize("late", [-20.0, -15, -7.3, -1, 0, 0.5, 2, 6, 12.7, 15, 20])
def test_every_lag_is_found(late):
    found = estimate(*pair(late), 25.0)
    assert found.frames == pytest.approx(late, abs=0.6)
    assert found.seconds == pytest.approx(found.frames / 25)
    assert found.confident
    assert found.spread < 1


@pytest.mark.parametrize("fps", [24.0, 30000 / 1001, 50.0, 60.0])
def test_every_rate(fps):
    found = estimate(*pair(5, fps=fps), fps)
    assert found.frames == pytest.approx(5, abs=1.0)
    assert found.confident


@pytest.mark.parametrize("seed", range(12))
def test_strangers_give_no_confidence(seed):
    heard, _ = pair(0, seed=seed)
    _, seen = pair(0, seed=seed + 100)
    assert estimate(heard, seen, 25.0).confidence < CONFIDENT


def test_beyond_the_window_gives_no_confidence():
    for late in (FURTHEST + 12, -FURTHEST - 30):
        assert not estimate(*pair(late), 25.0).confident


def test_missing_frames_change_little():
    heard, seen = pair(6)
    rng = np.random.default_rng(0)
    seen[rng.random(len(seen)) < 0.1] = np.nan
    seen[100:180] = np.nan
    found = estimate(heard, seen, 25.0)
    assert found.frames == pytest.approx(6, abs=0.7)
    assert found.confident


def test_cuts_between_shots_do_not_count():
    """Another shot shows the mouth larger: its step must not be taken for a movement."""
    heard, seen = pair(-4)
    shots = np.repeat(np.arange(10), 50)
    found = estimate(heard, seen + 20 * (shots % 2)[:, None], 25.0, shots)
    assert found.frames == pytest.approx(-4, abs=0.7)
    assert found.confident


@pytest.mark.parametrize(
    ("heard", "seen", "said"),
    [
        (np.zeros((0, 2)), pair(0)[1], "nothing is said"),
        (np.zeros((1000, 2)), pair(0)[1], "nothing is said"),
        (pair(0)[0], np.full((500, 2), np.nan), "hardly seen"),
        (pair(0)[0], np.full((500, 2), 0.3), "do not move"),
        (pair(0)[0], pair(0)[1][:30], "hardly seen"),
    ],
)
def test_nothing_to_go_by_is_said(heard, seen, said):
    found = estimate(heard, seen, 25.0)
    assert (found.frames, found.confidence) == (0, 0)
    assert said in found.reason


def test_a_short_clip_is_less_sure():
    sure = [estimate(*pair(3, seconds=s, noise=3.0, seed=4), 25.0).confidence for s in (4.0, 40.0)]
    assert sure[0] < sure[1]
    assert sure[1] > 0.9


def test_the_same_twice():
    first, second = (estimate(*pair(3), 25.0) for _ in range(2))
    assert (first.frames, first.confidence) == (second.frames, second.confidence)


def test_slow_changes_are_taken_off_and_gaps_stay():
    values = np.linspace(0, 50, 500)[:, None] + np.zeros(2)
    values[200] = np.nan
    quick = smoothed_away(values, 25.0)
    assert np.isnan(quick[200]).all()
    assert np.nanmax(np.abs(quick[50:150])) < 1e-9
    assert np.nanmax(np.abs(quick[178:223])) < 0.2


def test_lip_motion_of_a_drawn_mouth():
    points = np.zeros((3, 478, 3))
    points[:, [33, 133], 0], points[:, [263, 362], 0] = -30, 30
    points[:, 61, 0], points[:, 291, 0] = -15, 15
    for lower in (14, 87, 317):
        points[:, lower, 1] = [0, 4.8, 12]
    points[2] *= 2  # a nearer face moves no further
    motion = lip_motion(points)
    np.testing.assert_allclose(motion[:, 1], 0.5)
    np.testing.assert_allclose(motion[:, 0], [0, 0.5, 0.2 / 0.28])
    assert np.isnan(lip_motion(np.full((2, 478, 3), np.nan))).all()


def test_reading_lips_knows_letters():
    """Long o rounds the mouth, long i widens it; a opens it further than m."""
    symbols = " abcdefghijklmnopqrstuvwxyz'"

    def said(letter: str) -> np.ndarray:
        rows = np.full((40, 29), np.log(0.01 / 28))
        rows[:, symbols.index(letter)] = np.log(0.99)
        return read_lips(rows)[20]

    assert said("i")[1] > said("o")[1]
    assert said("e")[1] > said("u")[1]
    assert said("a")[0] > said("m")[0]
    assert said("a")[0] > said("b")[0]
    assert read_lips(np.zeros((0, 29))).shape == (0, 2)
