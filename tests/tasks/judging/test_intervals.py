"""Bounds hold as often as they say, tests find what is there and nothing else: seeded repetitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from tasks.judging.intervals import Paired, Summary, holm, paired, summary, windows_of

RATE, MEAN = 25.0, 3.0


def takes(seed: int, clips: int, frames: int, apart: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Figures (n,) whose frames remember the last quarter of a second, and the clip (n,) that each is of.

    So do figures of real dubs: of their differences two thirds are left after a frame, a fifth after three
    and nothing after six. They are skewed, as distances are; clips differ by `apart` deviations of what
    frames do.
    """
    rng = np.random.default_rng(seed)
    noise = lfilter([1], [1, -0.67], rng.gamma(1.0, size=(clips, frames + 50)) - 1)[:, 50:] * 0.74
    own = apart * rng.standard_normal((clips, 1))
    return (MEAN + noise + own).ravel(), np.repeat(np.arange(clips), frames)


def windows(clips: int, frames: int) -> np.ndarray:
    return np.tile(windows_of(frames, RATE), clips)


def covered(clips: int, frames: int, apart: float, repetitions: int = 300) -> float:
    """How often the bounds hold the mean."""
    cells, held = windows(clips, frames), 0
    for seed in range(repetitions):
        values, clip = takes(seed, clips, frames, apart)
        found = summary(values, cells, clip)
        assert found.low < found.mean < found.high
        held += found.low <= MEAN <= found.high
    return held / repetitions


@pytest.mark.parametrize(
    ("clips", "seconds", "apart", "most"),
    [
        (1, 12, 0.0, 0.98),
        (1, 40, 0.0, 0.98),
        (6, 8, 0.0, 0.98),
        (4, 12, 0.3, 0.98),
        (12, 8, 1.0, 0.98),
        # A few clips cannot tell how they differ: better too wide than too narrow.
        (2, 12, 0.1, 1.0),
        (3, 12, 0.0, 1.0),
    ],
)
def test_bounds_hold_the_mean_in_nineteen_of_twenty(
    clips: int, seconds: int, apart: float, most: float
) -> None:
    assert 0.9 <= covered(clips, int(seconds * RATE), apart) <= most


def test_two_clips_that_differ_are_known_to_be_held_too_narrow() -> None:
    assert 0.78 <= covered(2, 300, apart=0.4, repetitions=150) <= 0.9


def test_frames_taken_for_windows_would_be_too_sure() -> None:
    held = 0
    for seed in range(60):
        found = summary(takes(seed, 1, 250)[0], np.arange(250))
        held += found.low <= MEAN <= found.high
    assert held / 60 < 0.75


def test_longer_films_are_surer() -> None:
    widths = []
    for seconds in (10, 40, 160):
        frames = int(seconds * RATE)
        found = [summary(takes(seed, 1, frames)[0], windows(1, frames)) for seed in range(20)]
        widths.append(np.mean([one.high - one.low for one in found]))
    assert widths[0] > 1.6 * widths[1] > 2.5 * widths[2]


def test_what_is_not_known_does_not_count() -> None:
    values = np.array([1.0, np.nan, 3.0, np.nan, 8.0, np.nan])
    found = summary(values, np.array([0, 0, 1, 1, 2, 2]))
    assert (found.mean, found.count) == (4.0, 3)
    assert 1 >= found.low > -30
    assert summary(values, np.array([5, 6, 5, 6, 5, 6]))[3] == 3
    one_window = summary(values, np.zeros(6))
    assert (one_window.mean, one_window.count) == (4.0, 3)
    assert math.isnan(one_window.low)
    assert math.isnan(one_window.high)
    nothing = summary(np.full(6, np.nan), np.arange(6))
    assert np.isnan(nothing[:3]).all()
    assert nothing.count == 0
    assert summary(np.zeros(0), np.zeros(0)).count == 0


def test_what_is_always_the_same_is_sure() -> None:
    assert summary(np.full(100, 7.0), windows_of(100, RATE, 1.0)) == Summary(7.0, 7.0, 7.0, 100)


def test_names_may_be_any_and_answers_are_repeated() -> None:
    values, clip = takes(0, 3, 250)
    cells = windows(3, 250)
    found = summary(values, cells, clip)
    assert found == summary(values, cells, clip)
    assert found != summary(values, cells, clip, seed=1)
    assert found == summary(values, np.char.add("w", cells.astype(str)), np.array(["a", "b", "c"])[clip])
    moved = summary(10 * values + 5, cells, clip)
    np.testing.assert_allclose(moved[:3], 10 * np.array(found[:3]) + 5)
    half = summary(values, cells, clip, level=0.5)
    assert found.low < half.low < half.high < found.high


def test_windows_of_two_clips_are_two() -> None:
    values, clip = takes(4, 5, 100)
    cells = windows(5, 100)
    assert summary(values, cells, clip) == summary(values, cells + 10 * clip, clip)


def test_a_short_clip_has_as_few_windows_when_it_is_drawn() -> None:
    """Of one window of 10 and a clip with three of 0, half of all draws have both: 2.5, never 5."""
    found = summary(np.array([10.0, 0, 0, 0]), np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), level=0.3)
    assert found[:3] == (2.5, 2.5, 2.5)


def test_windows_are_alike_in_length() -> None:
    for count, rate in ((250, 25), (251, 25), (274, 25), (299, 30), (30, 25), (7, 25)):
        lengths = np.bincount(windows_of(count, rate, 2))
        assert lengths.sum() == count
        assert np.ptp(lengths) <= 1
        assert len(lengths) == 1 or abs(lengths[0] / rate / 2 - 1) < 0.3
    assert len(windows_of(0, 25)) == 0


# Pairs ----------------------------------------------------------------------------------------------------


def test_no_difference_is_found_where_there_is_none() -> None:
    """And each p is nearly as likely as any other."""
    cells = windows(1, 1000)
    found = [
        paired(takes(2 * seed, 1, 1000)[0], takes(2 * seed + 1, 1, 1000)[0], cells).p for seed in range(300)
    ]
    assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) < 0.05) < 0.1


def test_a_difference_is_found_that_is_small_beside_what_both_share() -> None:
    cells, found = windows(1, 1000), []
    for seed in range(60):
        shared = takes(seed, 1, 1000)[0]
        own = 0.05 * takes(1000 + seed, 1, 1000)[0]
        a, b = shared + own, shared + 0.05 * MEAN - 0.03
        one, other = summary(a, cells), summary(b, cells)
        assert one.low < other.high
        assert other.low < one.high, "bounds of each alone would have told them apart"
        found.append(paired(a, b, cells))
    assert np.mean([one.p < 0.05 for one in found]) > 0.9
    assert np.mean([one.difference for one in found]) == pytest.approx(0.03, abs=0.005)
    assert np.mean([one.low <= 0.03 <= one.high for one in found]) > 0.85


def test_few_blocks_are_counted_out() -> None:
    """Of sums 1, 2, 4 and eight ways to swap them two are as large as 7: all, and none."""
    a, b = np.array([1.0, 2.0, 4.0]), np.zeros(3)
    assert paired(a, b, np.arange(3)).p == 2 / 8
    # 1 + 2 - 4 = -1 and its mirror are as far as nothing else is less far.
    assert paired(np.array([1.0, 2.0, -4.0]), b, np.arange(3)).p == 1
    assert paired(a, b, np.zeros(3)).p == 1
    assert paired(np.ones(10), np.zeros(10), np.arange(10)).p == 2 / 2**10
    assert paired(a, a, np.arange(3)) == Paired(0, 0, 0, 1, 2 / 8)


def test_turning_a_pair_round_turns_the_difference() -> None:
    a, b = takes(0, 1, 1000)[0], takes(1, 1, 1000)[0] + 0.4
    cells = windows(1, 1000)
    one, other = paired(a, b, cells), paired(b, a, cells)
    assert one.difference < 0 < other.difference == -one.difference
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), rel=0.1)


def test_many_blocks_never_make_a_p_of_nothing() -> None:
    cells = np.arange(40)
    found = paired(np.ones(40), np.zeros(40), cells)
    assert 0 < found.p == found.least < 0.001


@pytest.mark.parametrize("blocks", [1, 3, 10, 14, 15])
def test_the_least_is_what_the_largest_difference_gives(blocks: int) -> None:
    found = paired(np.arange(1.0, blocks + 1), np.zeros(blocks), np.arange(blocks))
    assert found.p == pytest.approx(found.least, rel=1.1), "one or none of those drawn is as far"
    if blocks < 15:
        assert found.p == found.least


def test_frames_that_one_of_both_lacks_count_for_none() -> None:
    a, b = takes(0, 1, 500)[0], takes(1, 1, 500)[0]
    cells = windows(1, 500)
    lacking = a.copy()
    lacking[100:150] = np.nan
    known = np.isfinite(lacking)
    assert paired(lacking, b, cells) == paired(a[known], b[known], cells[known])
    nothing = paired(np.full(500, np.nan), b, cells)
    assert np.isnan(nothing).all()


def test_windows_of_two_clips_are_swapped_each_by_itself() -> None:
    a, clip = takes(0, 2, 250)
    b = takes(1, 2, 250)[0]
    cells = windows(2, 250)
    assert paired(a, b, cells, clip).p == paired(a, b, cells + 10 * clip).p
    assert paired(a, b, cells, clip).p != paired(a, b, cells).p


# Many questions -------------------------------------------------------------------------------------------


def test_holms_correction_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9, 0.001]) == pytest.approx([1.0, 1.0, 0.003])
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
    told = holm([0.02, math.nan, 0.03])
    assert told[::2] == pytest.approx([0.04, 0.04])
    assert math.isnan(told[1])


def test_of_many_questions_about_nothing_none_is_answered() -> None:
    rng = np.random.default_rng(0)
    lists = rng.uniform(size=(400, 15))
    assert np.mean([min(holm(list(one))) < 0.05 for one in lists]) == pytest.approx(0.05, abs=0.025)
    assert np.mean(lists.min(1) < 0.05) > 0.4, "without a correction half the lists would have one"
