"""Methods are called better where a test says so, and where no test could say it, that is said."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from flows.evaluation_page import evaluation_page
from flows.in_short import in_short
from flows.pairings import pairs_table
from flows.scores import scores_table
from flows.verdicts import leading, number, signed
from tests.helpers.evaluations import evaluated


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return evaluated(tmp_path_factory.mktemp("films"), seconds=0.6, methods=("memface", "nearest"))[0]


@pytest.fixture
def told(made: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(made)


def paired(told: dict[str, Any], figure: str, **changes: float | None) -> None:
    next(pair for pair in told["pairs"] if pair["figure"] == figure).update(changes)


def figure(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in told["figures"] if one["name"] == name)


def test_only_what_a_test_tells_is_called_better(told: dict[str, Any]) -> None:
    for pair in told["pairs"]:
        pair["p"] = 0.5
    paired(told, "lmd", p=0.01, difference=-0.7)
    paired(told, "psnr", p=0.01, difference=-1.0)
    paired(told, "offset", p=0.001, difference=3.0)
    said = re.sub(r"<[^>]+>", "", in_short(told))
    assert "memface is better than nearest in 1 (lip landmarks)" in said
    assert "nearest is better than memface in 1 (PSNR)" in said
    assert "of 5 figures 3 cannot be told apart" in said, "an offset is no better or worse"


def test_many_methods_are_held_against_each_other_in_a_table(told: dict[str, Any]) -> None:
    told["methods"] = dict.fromkeys("abcd", told["methods"]["memface"])
    tests = [("a", "b", 0.01, 1.0), ("a", "c", 0.01, -1.0), ("a", "d", 0.9, 1.0), ("b", "c", 0.01, -1.0)]
    told["pairs"] = [
        {"figure": "psnr", "a": a, "b": b, "difference": gap, "low": 0, "high": 0, "p": p}
        for a, b, p, gap in tests
    ]
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in in_short(told).split("<tr>")[2:]]
    assert [row[0] for row in rows] == ["c", "a", "d", "b"], "the best on top"
    counted = {row[0]: " ".join(row[1:]) for row in rows}
    assert counted["a"] == "1:1 of 3 0:1 of 1 0:0 of 1 1:0 of 1", "in all, then against c, d and b"
    assert counted["b"].startswith("0:2 of 2 0:1 of 1 0:1 of 1 ")


def test_one_alone_is_called_better_most_often(told: dict[str, Any]) -> None:
    told["methods"] = dict.fromkeys("abcd", told["methods"]["memface"])
    both = [(a, b) for a in "abcd" for b in "abcd" if a < b]
    told["pairs"] = [
        {"figure": "psnr", "a": a, "b": b, "difference": 1.0, "low": 0, "high": 0, "p": 0.01} for a, b in both
    ]
    assert "<b>a</b>, in 3 of its 3 tests against the others, and worse in 0" in in_short(told)
    for pair in told["pairs"]:
        pair["p"] = 0.4
    assert "No method is better more often than all others." in in_short(told)


def test_where_no_test_could_tell_that_is_said_once(told: dict[str, Any]) -> None:
    for pair in told["pairs"]:
        pair.update(p=1.0, least=0.2)
    page = evaluation_page(told, set())
    assert page.count("too few for any test to tell") == 1
    assert "0.6 s are too few for any test to tell" in page
    assert "cannot be told apart" not in page
    assert "not told apart" not in page
    assert leading(told, figure(told, "psnr")) == set(), "the best of those that no test could tell"


def test_figures_in_which_no_test_could_tell_are_left_out(told: dict[str, Any]) -> None:
    paired(told, "lmd", p=0.3, least=0.06)
    said = re.sub(r"<[^>]+>", "", in_short(told))
    assert "of 4 figures" in said
    assert "too few for any test to tell in, and are not counted here: lip landmarks." in said
    assert leading(told, figure(told, "lmd")) == set()
    assert leading(told, figure(told, "psnr")) == {"memface"}
    (row,) = (row for row in re.findall(r"<tr>(.*?)</tr>", pairs_table(told)) if "lip landmarks" in row)
    assert row.endswith('class="left">\u2013</td>')


def test_what_training_saw_is_said_first(told: dict[str, Any]) -> None:
    assert "Training saw" not in in_short(told)
    told["split"] = "all"
    assert in_short(told).startswith("<p><b>Training saw these seconds too.</b>")


def test_nearer_to_one_is_better_from_either_side(told: dict[str, Any]) -> None:
    told["methods"]["memface"]["figures"]["sharpness"].update(mean=1.3)
    told["methods"]["nearest"]["figures"]["sharpness"].update(mean=0.9)
    paired(told, "sharpness", p=0.001, difference=0.4)
    assert leading(told, figure(told, "sharpness")) == {"nearest"}
    assert "nearest</b> is better than memface in 1 (sharpness)" in in_short(told)


def test_the_best_is_bold_with_those_that_are_not_told_apart_from_it(told: dict[str, Any]) -> None:
    paired(told, "psnr", p=0.001)
    paired(told, "ssim", p=0.3)
    assert leading(told, figure(told, "psnr")) == {"memface"}
    assert leading(told, figure(told, "ssim")) == {"memface", "nearest"}
    assert leading(told, figure(told, "lmd")) == {"memface"}, "of these, less is better"
    assert leading(told, figure(told, "offset")) == set()


def test_what_is_not_known_sorts_last_and_is_a_dash(told: dict[str, Any]) -> None:
    told["methods"]["nearest"]["figures"]["ssim"] = {"mean": None, "low": None, "high": None, "count": 0}
    assert '<td data-value="">\u2013<small>no interval</small></td>' in scores_table(told)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.12345, "0.123"),
        (-1.5, "\u22121.50"),
        (23.456, "23.5"),
        (1234.5, "1234"),
        (None, "\u2013"),
        (0.0, "0.000"),
    ],
)
def test_numbers_have_three_digits_or_so(value: float | None, words: str) -> None:
    assert number(value) == words
    assert signed(2.0) == "+2.00"
