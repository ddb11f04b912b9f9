from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.media import STANDARD_RATES, Timeline, choose_rate

TICKS = [Fraction(1, 1000), Fraction(1, 12800), Fraction(1, 90000), Fraction(1, 1_000_000)]


def rounded(frames: int, rate: Fraction, tick: Fraction, start: int = 0) -> np.ndarray:
    """Timestamps as a muxer writes them: each rounded to the container's clock by itself."""
    return np.array([start + round(i / rate / tick) for i in range(frames)], np.int64)


def sources(line: Timeline) -> list[int]:
    return [line.source(slot) for slot in range(len(line))]


@given(
    rate=st.sampled_from(STANDARD_RATES),
    tick=st.sampled_from(TICKS),
    frames=st.integers(2, 400),
    start=st.integers(-5000, 10**9),
)
def test_constant_rates_map_one_to_one_however_rounded(rate, tick, frames, start):
    times = rounded(frames, rate, tick, start)
    line = Timeline(times, tick, round(1 / rate / tick), rate)
    assert sources(line) == list(range(frames))


@pytest.mark.parametrize("rate", STANDARD_RATES)
@pytest.mark.parametrize("tick", TICKS)
def test_the_rate_of_a_minute_is_recognised(rate, tick):
    times = rounded(int(60 * rate), rate, tick)
    assert choose_rate(times, tick) == (rate, False)


def test_ten_hours_of_ntsc_in_milliseconds_do_not_drift():
    rate, tick = Fraction(30000, 1001), Fraction(1, 1000)
    times = rounded(10 * 3600 * 30, rate, tick)
    line = Timeline(times, tick, 33, rate)
    assert choose_rate(times, tick) == (rate, False)
    assert len(line) == len(times)
    assert all(line.source(i) == i for i in range(0, len(times), 997))


def test_an_unusual_constant_rate_is_kept():
    rate = Fraction(59, 4)
    assert choose_rate(rounded(300, rate, Fraction(1, 59000)), Fraction(1, 59000)) == (rate, False)


def test_a_phone_that_drops_frames_keeps_its_nominal_rate():
    rng = np.random.default_rng(0)
    kept = np.sort(rng.choice(600, 540, replace=False))
    times = rounded(600, Fraction(30), Fraction(1, 600))[kept]
    assert choose_rate(times, Fraction(1, 600)) == (Fraction(30), True)


def test_a_gap_repeats_the_frame_before_it():
    line = Timeline(np.array([0, 1, 2, 6, 7]), Fraction(1, 25), 1, Fraction(25))
    assert sources(line) == [0, 1, 2, 2, 2, 2, 3, 4]


def test_halving_the_rate_takes_every_other_frame_whatever_the_clock():
    for tick in TICKS:
        line = Timeline(rounded(120, Fraction(60), tick), tick, round(Fraction(1, 60) / tick), Fraction(30))
        assert sources(line) == list(range(0, 120, 2))


def test_doubling_the_rate_shows_each_frame_twice():
    line = Timeline(rounded(50, Fraction(25), Fraction(1, 12800)), Fraction(1, 12800), 512, Fraction(50))
    assert sorted(sources(line)) == sorted([*range(50), *range(50)])


@given(st.lists(st.integers(5, 200), min_size=5, max_size=200), st.sampled_from([24, 25, 30, 60]))
def test_varying_timestamps_are_within_half_a_slot_of_the_nearest(gaps, rate):
    times = np.concatenate([[0], np.cumsum(gaps)]).astype(np.int64)
    line = Timeline(times, Fraction(1, 1000), gaps[-1], Fraction(rate))
    chosen = sources(line)
    assert chosen == sorted(chosen)
    for slot, source in enumerate(chosen):
        due = slot * 1000 / rate
        later = times[source + 1] if source + 1 < len(times) else np.inf
        # Never early by more than half a slot, and the next frame is not due yet.
        assert times[source] < due + 500 / rate
        assert later >= due + 500 / rate - 1 - 1e-6


def test_one_frame_is_one_slot_and_none_is_none():
    assert len(Timeline(np.array([7]), Fraction(1, 25), 1, Fraction(25))) == 1
    assert len(Timeline(np.empty(0, np.int64), Fraction(1, 25), 1, Fraction(25))) == 0
    assert choose_rate(np.array([7]), Fraction(1, 25)) == (Fraction(25), False)
