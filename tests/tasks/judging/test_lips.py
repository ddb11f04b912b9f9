"""Lips with known answers: the truth itself, late, frozen, trembling, moved as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from models.morphable.builtin import builtin
from models.track.subset68 import subset68
from tasks.judging.figures import (
    jitter,
    leakage,
    leakage_share,
    lmd,
    lmd_centred,
    opening,
    opening_by_window,
    shake,
    twenty,
)
from tasks.judging.intervals import paired, summary, windows_of
from tasks.watching import correlation

FRAMES, RATE, EYES = 200, 25.0, 80.0
SCALE = np.full(FRAMES, EYES)


def gaps(seed: int = 0) -> np.ndarray:
    """How far lips are open, a share of the eyes' distance."""
    curve = np.convolve(np.random.default_rng(seed).standard_normal(FRAMES), np.hanning(9) / 4, "same")
    return 0.1 + 0.03 * curve


def lips(opened: np.ndarray) -> np.ndarray:
    """20 points (n, 20, 2) on an ellipse, pixels."""
    round_ = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    x = np.tile(0.3 * EYES * np.cos(round_), (len(opened), 1))
    return np.stack([100 + x, 120 + EYES * opened[:, None] * np.sin(round_)], -1)


TRUE = lips(gaps())


def test_nothing_is_better_than_the_truth() -> None:
    np.testing.assert_array_equal(lmd(TRUE, TRUE, SCALE), 0)
    np.testing.assert_array_equal(lmd_centred(TRUE, TRUE, SCALE), 0)
    assert np.nanmean(jitter(TRUE, TRUE, SCALE, RATE)) == pytest.approx(1)
    np.testing.assert_allclose(opening(gaps(), gaps()), 1)
    for made in (np.roll(TRUE, 3, 0), np.repeat(TRUE[:1], FRAMES, 0), lips(gaps(1))):
        assert lmd(made, TRUE, SCALE).mean() > 0.5
        assert lmd_centred(made, TRUE, SCALE).mean() > 0.5


def test_a_mouth_that_is_moved_is_as_far_as_it_was_moved() -> None:
    made = TRUE + np.array([3.0, 4.0])
    np.testing.assert_allclose(lmd(made, TRUE, SCALE), 100 * 5 / EYES)
    np.testing.assert_allclose(lmd_centred(made, TRUE, SCALE), 0, atol=1e-9)


def test_lengths_are_of_the_eyes_distance() -> None:
    made = lips(gaps(1))
    for figure in (lmd, lmd_centred):
        np.testing.assert_allclose(figure(3 * made, 3 * TRUE, 3 * SCALE), figure(made, TRUE, SCALE))


def test_dlibs_twenty_points_are_found_among_the_meshes_forty() -> None:
    mesh = np.random.default_rng(0).uniform(0, 200, (5, 478, 3)).astype(np.float32)
    watched = mesh[:, builtin().mouth, :2].astype(np.float64)
    np.testing.assert_array_equal(twenty(watched), subset68(mesh)[:, 48:])


def test_what_is_not_known_of_a_frame_is_not_told() -> None:
    made = TRUE.copy()
    made[7, 3] = np.nan
    size = SCALE.copy()
    size[11], size[12] = np.nan, 0
    assert np.flatnonzero(np.isnan(lmd(made, TRUE, size))).tolist() == [7, 11, 12]
    told = np.isnan(jitter(made, TRUE, size, RATE))
    assert np.flatnonzero(told).tolist() == [0, 6, 7, 8, 11, 12, FRAMES - 1]


# Jitter ---------------------------------------------------------------------------------------------------


def test_shaking_is_the_second_difference() -> None:
    t = np.arange(FRAMES) / RATE
    bent = np.zeros((FRAMES, 20, 2))
    bent[..., 0] = 0.5 * 40 * t[:, None] ** 2
    found = shake(bent, SCALE, RATE)
    assert np.isnan(found[[0, -1]]).all()
    np.testing.assert_allclose(found[1:-1], 100 * 40 / EYES, rtol=1e-6)
    steady = np.zeros((FRAMES, 20, 2)) + t[:, None, None]
    np.testing.assert_allclose(shake(steady, SCALE, RATE)[1:-1], 0, atol=1e-8)
    assert np.isnan(shake(bent[:2], SCALE[:2], RATE)).all()


def test_trembling_lies_above_the_truth_and_what_is_frozen_or_smoothed_below() -> None:
    rng = np.random.default_rng(3)
    said = [
        np.nanmean(jitter(TRUE + spread * rng.standard_normal(TRUE.shape), TRUE, SCALE, RATE))
        for spread in (0.1, 0.4, 1.6)
    ]
    assert 1 < said[0] < said[1] < said[2]
    calm = np.apply_along_axis(lambda x: np.convolve(x, np.ones(5) / 5, "same"), 0, TRUE - TRUE.mean(0))
    assert np.nanmean(jitter(calm, TRUE, SCALE, RATE)[5:-5]) < 0.8
    assert np.nanmax(jitter(np.repeat(TRUE[:1], FRAMES, 0), TRUE, SCALE, RATE)) == 0
    assert np.isnan(jitter(TRUE, np.repeat(TRUE[:1], FRAMES, 0), SCALE, RATE)).all()


# Openings -------------------------------------------------------------------------------------------------


def test_late_lips_are_less_alike_and_frozen_ones_not_at_all() -> None:
    true = gaps()
    said = [opening(np.roll(true, late), true).mean() for late in (0, 1, 3, 8)]
    assert said[:3] == sorted(said[:3], reverse=True)
    assert max(said[2:]) < 0.5
    np.testing.assert_array_equal(opening(np.full(FRAMES, 0.1), true), 0)
    np.testing.assert_allclose(opening(0.2 - true, true).mean(), -1)
    assert np.isnan(opening(true, np.full(FRAMES, 0.1))).all()
    assert np.isnan(opening(np.full(FRAMES, np.nan), true)).all()


def test_its_mean_is_the_correlation_of_the_frames_that_are_known() -> None:
    for seed in range(5):
        made = gaps(seed) + gaps(0)
        made[20:30] = np.nan
        found = opening(made, gaps())
        assert np.isnan(found).sum() == 10
        assert np.nanmean(found) == pytest.approx(correlation(made, gaps()))


def test_bounds_of_a_correlation_hold_it() -> None:
    """Curves at random that share half: nineteen of twenty bounds hold .5, and no two of them differ."""
    held, p = 0, []
    cells = windows_of(1500, RATE)
    for seed in range(150):
        drawn = np.random.default_rng(seed).standard_normal((3, 1500))
        shared, one, other = lfilter([1], [1, -0.7], drawn)
        true, made = 0.1 * shared, 0.1 * (0.5 * shared + np.sqrt(0.75) * one)
        found = summary(opening(made, true), cells)
        held += found.low <= 0.5 <= found.high
        alike = 0.1 * (0.5 * shared + np.sqrt(0.75) * other)
        p.append(paired(opening(made, true), opening(alike, true), cells).p)
    assert 0.9 <= held / 150 <= 0.99
    assert kstest(p, "uniform").pvalue > 0.01


def test_windows_tell_where_lips_are_lost() -> None:
    true, windows = gaps(), np.arange(FRAMES) // 50
    made = true.copy()
    made[50:100] = 0.08
    made[100:150] = gaps(9)[100:150]
    true[150:] = 0.1
    said = opening_by_window(made, true, windows)
    assert said[0] == pytest.approx(1)
    assert said[1] == 0
    assert abs(said[2]) < 0.6
    assert np.isnan(said[3]), "where the true lips rest there is nothing to follow"


# Silence --------------------------------------------------------------------------------------------------


def test_lips_that_move_in_silence_leak() -> None:
    speaks = np.zeros(FRAMES, bool)
    speaks[60:120] = True
    shut = np.where(speaks, gaps(), 0.02)
    assert np.nanmax(leakage(shut, speaks, RATE)) == pytest.approx(0, abs=1e-9)
    chattering = leakage(gaps(), speaks, RATE)
    assert np.nanmean(chattering) > 5
    still = np.isnan(chattering)
    # Five frames to each side belong to the words; a step needs the frame before it.
    assert np.flatnonzero(still).tolist() == [0, *range(55, 126)]


def test_leakage_is_a_speed() -> None:
    quiet = np.zeros(FRAMES, bool)
    for rate in (25.0, 50.0):
        opening_ = 0.04 * np.arange(FRAMES) / rate
        np.testing.assert_allclose(leakage(opening_, quiet, rate)[1:], 4)
    assert np.isnan(leakage(gaps(), ~quiet, RATE)).all()
    assert len(leakage(gaps()[:1], quiet[:1], RATE)) == 1


def test_lips_that_scarcely_move_gain_nothing_by_it_in_silence() -> None:
    """By speed alone they would be the best of all."""
    speaks = np.zeros(FRAMES, bool)
    speaks[60:120] = True
    lively = np.where(speaks, gaps(), 0.2 * gaps())
    numb = 0.1 * gaps()
    speeds = [float(np.nanmean(leakage(lips, speaks, RATE))) for lips in (lively, numb)]
    assert speeds[0] == pytest.approx(2 * speeds[1])
    shares = [float(np.nanmean(leakage_share(lips, speaks, RATE))) for lips in (lively, numb)]
    assert shares[0] == pytest.approx(shares[1] / 5)
    assert shares[1] == pytest.approx(1, abs=0.25), "it moves in silence as in speech"


def test_a_share_is_known_where_lips_move_in_speech_and_somebody_is_silent() -> None:
    speaks = np.zeros(FRAMES, bool)
    assert np.isnan(leakage_share(gaps(), speaks, RATE)).all()
    assert np.isnan(leakage_share(gaps(), ~speaks, RATE)).all()
    speaks[60:120] = True
    assert np.isnan(leakage_share(np.full(FRAMES, 0.03), speaks, RATE)).all(), "frozen lips tell nothing"
    known = np.isfinite(leakage_share(gaps(), speaks, RATE))
    np.testing.assert_array_equal(known, np.isfinite(leakage(gaps(), speaks, RATE)))


def test_a_frame_without_a_face_tells_no_motion() -> None:
    unseen = gaps()
    unseen[30] = np.nan
    found = leakage(unseen, np.zeros(FRAMES, bool), RATE)
    assert np.flatnonzero(np.isnan(found)).tolist() == [0, 30, 31]
