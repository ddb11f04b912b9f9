"""An evaluation's page says what its figures allow, and no more; its folder holds all that it needs."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from flows.evaluation_page import evaluation_page, write
from flows.players import own_colour
from flows.scores import cards, scores_table
from tests.flows.test_pages import Balanced
from tests.helpers.evaluations import evaluated

Files = dict[str, bytes | Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Files]:
    return evaluated(tmp_path_factory.mktemp("films"), seconds=0.6, methods=("memface", "nearest"))


@pytest.fixture
def told(made: tuple[dict[str, Any], Files]) -> dict[str, Any]:
    return copy.deepcopy(made[0])


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
    assert {"1-truth.mp4", "1-memface.mp4", "1-nearest.mp4", "evaluation.json"} < named
    assert all((page.parent / name).is_file() for name in named)
    assert json.loads((page.parent / "evaluation.json").read_text())["id"] == told["id"]
    assert len(text) < 3e6


def test_names_cannot_become_markup(told: dict[str, Any]) -> None:
    wild = "</script><s>"
    page = evaluation_page(
        json.loads(json.dumps(told).replace("nearest", wild)), {"1-truth.mp4", f"1-{wild}.mp4"}
    )
    assert "<s>" not in page
    assert "&lt;s&gt;" in page
    assert page.count("</script>") == page.count("<script")


def test_not_the_same_data_stands_at_every_published_figure(told: dict[str, Any]) -> None:
    told["published"] *= 3
    page = evaluation_page(told, set())
    assert page.count("not the same data</span>") == 3
    assert "0.9425" in page, "a published figure is shown as it was printed"


def test_what_speaks_against_a_verdict_stands_beside_it(told: dict[str, Any]) -> None:
    told["notes"] = ["dinet was not trained on anna"]
    page = evaluation_page(told, set())
    assert page.index("In short") < page.index(told["notes"][0]) < page.index("See and hear")


def test_what_is_not_kept_is_not_linked(told: dict[str, Any]) -> None:
    page = evaluation_page(told, {"1-truth.mp4"})
    assert "memface.mp4" not in page
    assert "No film was kept of: memface, nearest." in page
    assert "worst-" not in page


def test_the_truth_stands_above_the_methods_in_what_a_film_has_by_itself(told: dict[str, Any]) -> None:
    colours = {name: own_colour(number) for number, name in enumerate(told["methods"])}
    offset, lmd = (cards({**told, "figures": [figure(told, name)]}, colours) for name in ("offset", "lmd"))
    assert offset.index("the truth") < offset.index("memface")
    assert "best near the truth" in offset
    assert "the truth" not in lmd
    assert "the truth" not in scores_table(told), "it is no method to be ranked"


def test_takes_have_blocks_of_their_own(tmp_path: Path) -> None:
    told, files = evaluated(tmp_path / "films", seconds=0.6, methods=("memface", "nearest"), takes=2)
    text = write(tmp_path / "page", told, files).read_text()
    first, second = text.split('<div class="take"')[1:]
    for name, take in (("1", first), ("2", second)):
        films = {f"{name}-{who}.mp4" for who in ("truth", "memface", "nearest")}
        assert take.startswith(f' data-name="{name}"')
        assert set(re.findall(r'<video src="([^"]+)"', take)) == films
        assert set(re.findall(r'data-take="([^"]+)"', take)) == {name}
        assert take.count('class="near"') == 1
    assert "<h3>clip-71579ce1f71fa5ad2601, 0.5 s</h3>" in second
    assert text.count("Where it goes wrong") == 2
    assert text.count("plays and stops") == 1, "keys are told of once"
    assert "Each method dubs 2 clips of anna" in text
    assert 'preload="auto"' in first
    assert 'preload="auto"' not in second, "a page of many films loads those that are near"


def test_driven_ones_have_no_truth_and_say_so(tmp_path: Path) -> None:
    told, files = evaluated(
        tmp_path / "films", seconds=0.6, methods=("memface", "nearest"), takes=2, driven=True
    )
    text = write(tmp_path / "page", told, files).read_text()
    assert "Each method lets anna say french.wav and german.wav, 1.1 s in all." in text
    assert "there is no truth to hold it against" in text
    assert "nothing here says how right a mouth looks" in text
    assert "<h1>anna: memface, nearest, driven by french.wav and german.wav</h1>" in text
    assert "<h3>german.wav over clip-71579ce1f71fa5ad2601, 0.5 s</h3>" in text
    assert text.count('class="near"') == 2
    for trace in ("truth.mp4", '"name":"the truth"', 'aria-label="the truth"'):
        assert trace not in text


def test_a_page_without_numbers_stands(told: dict[str, Any]) -> None:
    for method in told["methods"].values():
        method["figures"] = {}
    told.update(pairs=[], published=[], notes=[], truth={"figures": {}})
    told["takes"][0].update(worst=[], curves={}, notes=[])
    page = evaluation_page(told, {"1-truth.mp4", "1-memface.mp4", "1-nearest.mp4"})
    assert "No two methods were tested" in page
    assert "<canvas" not in page
    assert "Published figures" not in page


def test_nan_is_no_number(tmp_path: Path, told: dict[str, Any]) -> None:
    told["methods"]["nearest"]["figures"]["ssim"]["mean"] = float("nan")
    told["takes"][0]["curves"]["nearest"][3] = float("nan")
    page = write(tmp_path, told, {})
    kept = json.loads((tmp_path / "evaluation.json").read_text())
    assert kept["takes"][0]["curves"]["nearest"][3] is None
    assert "nan" not in re.sub(r"[a-z]+nan|nan[a-z]+", "", page.read_text().lower().replace("finance", ""))


@pytest.mark.parametrize("name", ["../x.mp4", "/x.mp4", "a/b.mp4", "", "..", "index.html", "evaluation.json"])
def test_files_stay_beside_the_page(tmp_path: Path, told: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        write(tmp_path / "page", told, {name: b"x"})
    assert not (tmp_path / "page" / "index.html").exists()
