"""Several clips are told as one, window by window, and none of them reaches into the next."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.judging.figures import FIGURES
from tasks.judging.intervals import paired, summary, windows_of
from tasks.judging.told import Take, pairs, summaries, worst_frames

RATE = 25.0


def frames(seed: int, seconds: float, rate: float = RATE, off: float = 0.0) -> Take:
    """PSNR and LMD of a clip."""
    rng = np.random.default_rng(seed)
    shape = round(seconds * rate)
    return Take({"psnr": 30 + off + rng.standard_normal(shape), "lmd": rng.gamma(2.0, size=shape)}, rate)


def test_one_clip_is_told_as_it_is_measured() -> None:
    one = frames(0, 10)
    values = one.frames["psnr"]
    found = summary(values, windows_of(len(values), RATE))
    assert summaries([one])["psnr"] == found._asdict()
    assert list(summaries([one])) == ["psnr", "lmd"]


def test_bounds_are_values_that_a_figure_can_have() -> None:
    openings = np.r_[np.full(50, 0.2), np.full(50, 1.9)]  # parts of a correlation: only their mean is one
    rare = np.r_[np.zeros(99), 25.0]
    told = summaries([Take({"opening": openings, "blink_rate": rare}, RATE)])
    free = summary(openings, windows_of(100, RATE))
    assert free.high > 1
    assert (told["opening"]["low"], told["opening"]["high"]) == (free.low, 1)
    assert summary(rare, windows_of(100, RATE)).low < 0
    assert told["blink_rate"]["low"] == 0


def test_clips_are_weighed_by_their_frames_and_windows_end_with_them() -> None:
    one, other = frames(0, 9), frames(1, 5.2, rate=50.0, off=4)
    told = summaries([one, other])["psnr"]
    values = np.concatenate([one.frames["psnr"], other.frames["psnr"]])
    assert told["count"] == len(values) == 225 + 260
    assert told["mean"] == pytest.approx(values.mean())
    windows = np.r_[windows_of(225, 25.0), windows_of(260, 50.0)]
    found = summary(values, windows, np.repeat([0, 1], [225, 260]))
    assert (told["low"], told["high"]) == (found.low, found.high)
    assert told["low"] < summary(values, windows_of(485, 25.0)).low, "two clips tell less than one of them"


def test_a_clip_that_lacks_a_figure_is_not_counted_in_it() -> None:
    one, other = frames(0, 10), frames(1, 10)
    less = Take({"psnr": other.frames["psnr"]}, RATE)
    told = summaries([one, less])
    assert told["lmd"] == summaries([one])["lmd"]
    assert told["psnr"] == summaries([one, other])["psnr"]
    found = pairs({"a": [one, less], "b": [frames(2, 10), frames(3, 10)]})
    assert [pair["figure"] for pair in found] == ["psnr", "lmd"]
    alone = pairs({"a": [Take({"lmd": one.frames["lmd"]}, RATE)], "b": [frames(2, 10)]})
    assert alone[0]["difference"] == found[1]["difference"]


def test_pairs_are_of_windows_within_clips() -> None:
    a, b = ([frames(k, 7), frames(k + 1, 6)] for k in (0, 2))
    (psnr,) = pairs({"a": [_only(one, "psnr") for one in a], "b": [_only(one, "psnr") for one in b]})
    values = [np.concatenate([one.frames["psnr"] for one in both]) for both in (a, b)]
    cells = np.r_[windows_of(175, RATE), windows_of(150, RATE)]
    found = paired(*values, cells, np.repeat([0, 1], [175, 150]))
    assert (psnr["difference"], psnr["p"]) == (found.difference, found.p)
    # Seven windows and six; two of 8192 ways are as far as can be.
    assert psnr["least"] == 2 / 2**13
    with pytest.raises(ValueError, match="argument 2"):
        pairs({"a": a, "b": b[:1]})


def _only(take: Take, name: str) -> Take:
    return Take({name: take.frames[name]}, take.rate)


def test_what_few_windows_cannot_tell_is_told() -> None:
    """However far apart: three methods are three tests a figure, of which none falls below."""
    for seconds, blocks in ((2, 2), (5, 5), (10, 10)):
        methods = {name: [_shifted(seconds, 40.0 * k)] for k, name in enumerate("abc")}
        found = pairs(methods)
        assert len(found) == 6
        for pair in found:
            assert pair["p"] == pair["least"] == min(1, 3 * 2.0 ** (1 - blocks))
    assert found[0]["least"] < 0.05


def _shifted(seconds: float, off: float) -> Take:
    return Take({name: values + off for name, values in frames(0, seconds).frames.items()}, RATE)


def test_no_p_is_below_the_least() -> None:
    methods = {name: [frames(k, 12, off=0.2 * k), frames(k + 5, 30)] for k, name in enumerate("abcd")}
    methods["b"][0].frames["psnr"][:280] = np.nan  # fewer blocks, and so less to be found
    found = pairs(methods)
    assert all(pair["p"] >= pair["least"] > 0 for pair in found)
    assert len({pair["least"] for pair in found}) == 1, "drawn, not counted out: all have more than 14"


def test_tests_of_nothing_are_null_and_take_nothing_from_others() -> None:
    gone = Take({"psnr": np.full(250, np.nan), "lmd": frames(0, 10).frames["lmd"]}, RATE)
    psnr, lmd = pairs({"a": [gone], "b": [frames(1, 10)]})
    assert [psnr[name] for name in ("difference", "low", "high", "p", "least")] == [None] * 5
    assert lmd["least"] == 2 / 2**10


def test_tests_come_in_the_order_of_all_lists() -> None:
    one, other = (Take({"lmd": np.arange(99.0), "ssim": np.ones(99), "psnr": np.ones(99)}, RATE),) * 2
    order = [figure.name for figure in FIGURES]
    said = [pair["figure"] for pair in pairs({"a": [one], "b": [other]})]
    assert said == sorted(said, key=order.index)
    assert set(said) == {"psnr", "ssim", "lmd"}


def test_worst_frames_lie_apart() -> None:
    values = np.zeros(100)
    values[[20, 21, 60]] = 5, 6, 4
    values[70] = np.nan
    assert list(worst_frames(values, RATE, 2)) == [21, 60]
