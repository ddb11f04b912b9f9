"""An evaluation's page says what its figures allow, and no more; its folder holds all that it needs."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from flows.evaluation_page import evaluation_page, write
from flows.scores import scores_table
from flows.verdicts import in_short, leading, number, signed
from tests.flows.test_pages import Balanced
from tests.helpers.evaluations import evaluated

Files = dict[str, bytes | Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Files]:
    return evaluated(tmp_path_factory.mktemp("films"), seconds=0.6, methods=("memface", "nearest"))


@pytest.fixture
def told(made: tuple[dict[str, Any], Files]) -> dict[str, Any]:
    return copy.deepcopy(made[0])


def paired(told: dict[str, Any], figure: str, **changes: float | None) -> None:
    next(pair for pair in told["pairs"] if pair["figure"] == figure).update(changes)


def figure(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in told["figures"] if one["name"] == name)


def test_the_folder_holds_all_that_the_page_names(
    tmp_path: Path, made: tuple[dict[str, Any], Files], told: dict[str, Any]
) -> None:
    page = write(tmp_path / "page", told, made[1])
    text = page.read_text()
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert not re.search(r"https?://|//[a-z]+\.", re.sub(r"//[ a-z].*", "", text)), "something is fetched"
    named = set(re.findall(r'(?:src|href)="([^"#:]+)"', text))
    assert {"truth.mp4", "memface.mp4", "nearest.mp4", "evaluation.json"} < named
    assert all((page.parent / name).is_file() for name in named)
    assert json.loads((page.parent / "evaluation.json").read_text())["id"] == told["id"]
    assert len(text) < 3e6


def test_names_cannot_become_markup(told: dict[str, Any]) -> None:
    wild = "</script><s>"
    page = evaluation_page(
        json.loads(json.dumps(told).replace("nearest", wild)), {"truth.mp4", f"{wild}.mp4"}
    )
    assert "<s>" not in page
    assert "&lt;s&gt;" in page
    assert page.count("</script>") == page.count("<script")


def test_not_the_same_data_stands_at_every_published_figure(told: dict[str, Any]) -> None:
    told["published"] *= 3
    page = evaluation_page(told, set())
    assert page.count("not the same data</span>") == 3
    assert "0.9425" in page, "a published figure is shown as it was printed"


def test_what_is_not_kept_is_not_linked(told: dict[str, Any]) -> None:
    page = evaluation_page(told, {"truth.mp4"})
    assert "memface.mp4" not in page
    assert "No film was kept of: memface, nearest." in page
    assert "worst-" not in page


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
    tests = [("a", "b", 0.01, 1.0), ("a", "c", 0.01, -1.0), ("a", "d", 0.9, 1.0), ("b", "c", 0.01, 1.0)]
    told["pairs"] = [
        {"figure": "psnr", "a": a, "b": b, "difference": gap, "low": 0, "high": 0, "p": p}
        for a, b, p, gap in tests
    ]
    said = [re.sub(r"<[^>]+>", "|", row) for row in in_short(told).split("<tr>")[2:]]
    assert "better in 1, worse in 0" in said[0].partition("better in 0")[0], "a against b"
    assert "better in 0, worse in 1" in said[0], "a against c"
    assert "better in 0, worse in 0|1 not told apart" in said[0], "a against d"
    assert "better in 0, worse in 1" in said[1], "b against a: the other way round"


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


def test_a_page_without_numbers_stands(told: dict[str, Any]) -> None:
    for method in told["methods"].values():
        method["figures"] = {}
    told.update(pairs=[], worst=[], published=[], curves={}, notes=[])
    page = evaluation_page(told, {"truth.mp4", "memface.mp4", "nearest.mp4"})
    assert "No two methods were tested" in page
    assert "<canvas" not in page
    assert "Published figures" not in page


def test_what_is_not_known_sorts_last_and_is_a_dash(told: dict[str, Any]) -> None:
    told["methods"]["nearest"]["figures"]["ssim"] = {"mean": None, "low": None, "high": None, "count": 0}
    assert '<td data-value="">\u2013<small>no interval</small></td>' in scores_table(told)


def test_nan_is_no_number(tmp_path: Path, told: dict[str, Any]) -> None:
    told["methods"]["nearest"]["figures"]["ssim"]["mean"] = float("nan")
    told["curves"]["nearest"][3] = float("nan")
    page = write(tmp_path, told, {})
    kept = json.loads((tmp_path / "evaluation.json").read_text())
    assert kept["curves"]["nearest"][3] is None
    assert "nan" not in re.sub(r"[a-z]+nan|nan[a-z]+", "", page.read_text().lower().replace("finance", ""))


@pytest.mark.parametrize("name", ["../x.mp4", "/x.mp4", "a/b.mp4", "", "..", "index.html", "evaluation.json"])
def test_files_stay_beside_the_page(tmp_path: Path, told: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        write(tmp_path / "page", told, {name: b"x"})
    assert not (tmp_path / "page" / "index.html").exists()


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
