"""Blinks and heads with known answers, and as those tell them who train on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.facial.columns import BLINK, BLINK_MOST, COLUMNS, TURN
from models.facial.config_performer import RATE
from models.facial.manner import measured
from tasks.judging.figures import blink_length, blink_rate, pose_speed, pose_spread

FRAMES = 750
BLINKS = ((40, 4), (200, 6), (333, 5), (600, 8), (746, 4))  # where, and how many frames


def shut() -> np.ndarray:
    found = np.full(FRAMES, 0.1, np.float32)
    for start, length in BLINKS:
        found[start : start + length] = 0.9
    return found


def turn() -> np.ndarray:
    steps = np.random.default_rng(2).standard_normal((FRAMES, 3))
    return np.cumsum(steps, 0) * 0.3


def test_blinks_are_counted_and_timed() -> None:
    rates, lengths = blink_rate(shut(), 25), blink_length(shut(), 25)
    assert rates.mean() == pytest.approx(len(BLINKS) / (FRAMES / 25 / 60))
    assert np.flatnonzero(rates).tolist() == [start for start, _ in BLINKS]
    assert lengths[np.isfinite(lengths)].tolist() == [frames / 25 for _, frames in BLINKS]


def test_eyes_that_never_shut_or_stay_shut_do_not_blink() -> None:
    for eyes in (np.full(FRAMES, 0.1), np.full(FRAMES, 0.9)):
        np.testing.assert_array_equal(blink_rate(eyes, 25), 0)
        assert np.isnan(blink_length(eyes, 25)).all()


def test_seconds_without_a_face_are_not_seconds_without_a_blink() -> None:
    eyes = shut()
    eyes[400:550] = np.nan
    found = blink_rate(eyes, 25)
    assert np.isnan(found).sum() == 150
    assert np.nanmean(found) == pytest.approx(len(BLINKS) / ((FRAMES - 150) / 25 / 60))


def test_they_are_told_as_performers_are_told_them() -> None:
    rows = torch.zeros(FRAMES, COLUMNS)
    rows[:, BLINK] = BLINK_MOST * torch.from_numpy(shut())
    rows[:, TURN] = torch.from_numpy(turn()).float()
    known = measured([rows])
    assert blink_rate(shut(), RATE).mean() == pytest.approx(known.blinks, rel=1e-5)
    assert np.nanmean(blink_length(shut(), RATE)) == pytest.approx(known.blink_s, rel=1e-5)
    spread = np.sqrt(np.square(pose_spread(turn())).mean())
    assert spread == pytest.approx(float(known.spread[TURN].norm()), rel=1e-4)
    speed = np.sqrt(np.nanmean(np.square(pose_speed(turn(), RATE))))
    assert speed == pytest.approx(float(known.speed[TURN].norm()), rel=1e-4)


def test_a_still_head_neither_turns_nor_spreads() -> None:
    still = np.tile([3.0, -4.0, 1.0], (FRAMES, 1))
    np.testing.assert_array_equal(pose_spread(still), 0)
    np.testing.assert_array_equal(pose_speed(still, 25)[1:], 0)
    nodding = still + np.array([1.0, 0, 0]) * np.where(np.arange(FRAMES) % 2, 2.0, -2.0)[:, None]
    np.testing.assert_allclose(pose_spread(nodding), 2)
    np.testing.assert_allclose(pose_speed(nodding, 25)[1:], 4 * 25)


def test_a_head_that_is_not_seen_is_not_told() -> None:
    unseen = turn()
    unseen[10] = np.nan
    assert np.flatnonzero(np.isnan(pose_spread(unseen))).tolist() == [10]
    assert np.flatnonzero(np.isnan(pose_speed(unseen, 25))).tolist() == [0, 10, 11]
    assert np.isnan(pose_spread(np.full((4, 3), np.nan))).all()
