"""Figures that should be near 1 can be tested: the truth is nearest; nothing is found where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from tasks.judging.figures import jitter, sharpness
from tasks.judging.intervals import _p, windows_of
from tasks.judging.nearness import off
from tasks.judging.resampling import blocks_of
from tasks.judging.told import Take, pairs
from tests.tasks.judging.films import blurred, film, noisy

RATE = 25.0
NAMES = ("jitter", "sharpness")


def ratios(seed: int, frames: int, mean: float, name: str = "jitter") -> np.ndarray:
    """As they come: skewed, frames beside each other alike. Jitter swings from 0, sharpness little."""
    rng = np.random.default_rng(seed)
    slow = lfilter([1], [1, -0.7], rng.standard_normal(frames + 50))[50:] * 0.7
    swing = 0.8 if name == "jitter" else 0.1
    return mean * np.exp(swing * slow - swing**2 / 2)


@pytest.mark.parametrize("name", NAMES)
def test_half_and_twice_are_as_far_and_the_truth_is_not_far_at_all(name: str) -> None:
    assert off(name, np.ones(9)).tolist() == [0] * 9
    for value in (0.5, 2.0):
        np.testing.assert_allclose(off(name, np.full(9, value)), np.log(2))
    still = off(name, np.zeros(9))
    assert np.isfinite(still).all()
    assert (still > off(name, np.full(9, 0.1))).all()
    assert np.isnan(off(name, np.full(3, np.nan))).all()


def test_jitter_is_told_of_the_mean_and_frames_have_its_influence() -> None:
    values = ratios(0, 500, 1.6)
    values[40:60] = np.nan
    found = off("jitter", values)
    assert np.isnan(found).sum() == 20
    assert np.nanmean(found) == pytest.approx(np.log(np.nanmean(values)))
    below = 1 / 1.6**2 * values
    assert np.nanmean(off("jitter", below)) == pytest.approx(-np.log(np.nanmean(below)))
    # Left out, a frame changes the distance by what it has of it.
    others = np.delete(values[60:], 7)
    change = np.log(values[60:].mean()) - np.log(others.mean())
    own = off("jitter", values[60:])
    assert change == pytest.approx((own[7] - own.mean()) / len(own), rel=0.05)


def test_lips_that_move_evenly_are_not_nearest() -> None:
    """By frames they would be: none of theirs is off, and the truth's all are."""
    rng = np.random.default_rng(1)
    true = np.cumsum(rng.standard_normal((500, 20, 2)) * rng.gamma(0.3, size=(500, 1, 1)), 0)
    scale = np.full(500, 80.0)
    own = jitter(true, true, scale, RATE)
    assert np.nanmean(np.abs(own - 1)) > 0.5
    assert np.nanmean(off("jitter", own)) == pytest.approx(0, abs=1e-9)


def test_a_frame_too_sharp_makes_none_better_that_is_blurred() -> None:
    true = film()
    mixed = np.where(np.arange(len(true))[:, None, None, None] % 2, blurred(true, 1.0), noisy(true, 14))
    slightly = noisy(true, 3)
    said = [sharpness(made, true) for made in (mixed, slightly)]
    assert abs(said[0].mean() - 1) < abs(said[1].mean() - 1) + 0.35
    assert off("sharpness", said[0]).mean() > 3 * off("sharpness", said[1]).mean()


@pytest.mark.parametrize(
    ("name", "means"),
    [("jitter", (1.4, 1.4)), ("jitter", (0.6, 1 / 0.6)), ("jitter", (1, 1)), ("sharpness", (0.7, 0.7))],
)
def test_nothing_is_found_where_both_are_as_far(name: str, means: tuple[float, float]) -> None:
    """Where both are right it is found more seldom than one time in twenty: a distance has no other side."""
    cells, p = windows_of(1000, RATE), []
    for seed in range(300):
        a, b = (off(name, ratios(2 * seed + k, 1000, mean, name)) for k, mean in enumerate(means))
        p.append(_p(blocks_of(a - b, cells, np.zeros(1000)).sums, seed))
    assert np.mean(np.array(p) < 0.05) < 0.09
    if means != (1, 1):
        assert kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_the_nearer_is_found(name: str) -> None:
    """On either side of 1; and the difference is below 0 where the first is nearer."""
    for near, far in ((1.1, 1.9), (0.9, 0.4), (1.1, 0.4)):
        takes = [[Take({name: ratios(k, 1000, mean, name)}, RATE)] for k, mean in enumerate((near, far))]
        (found,) = pairs({"near": takes[0], "far": takes[1]})
        assert found["figure"] == name
        assert found["p"] < 0.05
        assert found["low"] < found["difference"] < 0
