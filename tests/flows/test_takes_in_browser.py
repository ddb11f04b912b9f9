"""Several blocks of films on a page, in a real browser: each in step, one at a time, and keys find theirs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flows.evaluation_page import write
from tests.helpers.browser import CHROMIUM, Browser, browsing
from tests.helpers.drawn_faces import RATE
from tests.helpers.evaluations import evaluated

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install one to open pages in it")
METHODS = ("nearest", "memface", "synctalkface", "dinet", "facial")
SECONDS = 2
FRAME = 'Number(box.querySelector("input").value)'
TIMES = "films.map((film) => film.currentTime)"
PAUSED = "films.map((film) => film.paused)"
GOING = 'box.querySelector(".going") !== null'
SETTLED = """Promise.all(films.map((film) => film.seeking
  ? new Promise((done) => film.addEventListener("seeked", done, {once: true})) : true))"""
# Until 0.6 s, at each picture of the browser: how far apart films are, and whether they are being mended.
WATCHED = """new Promise((done) => {
  const apart = [];
  const look = () => {
    const at = films.map((film) => film.currentTime);
    apart.push([Math.max(...at) - Math.min(...at), films.some((film) => film.seeking || film.paused)]);
    films[0].currentTime >= 0.6 || films[0].ended ? done(apart) : requestAnimationFrame(look);
  };
  look();
})"""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as one:
        yield one


def written(folder: Path, *, driven: bool) -> Path:
    told, files = evaluated(
        folder / "films", seconds=SECONDS, methods=METHODS, size=64, takes=2, driven=driven
    )
    return write(folder / "page", told, files)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: written(tmp_path_factory.mktemp(name), driven=name == "driven") for name in ("held", "driven")
    }


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path]) -> Browser:
    browser.open(pages["held"])
    return browser


def of(browser: Browser, block: int, script: str) -> Any:
    """What this is in one of the blocks."""
    known = f'const box = document.querySelectorAll(".players")[{block}];'
    return browser.run(
        f'(() => {{ {known} const films = [...box.querySelectorAll("video")]; return {script}; }})()'
    )


def in_step(apart: list[tuple[float, bool]]) -> bool:
    """However busy the machine is: films that are apart are brought together before the next picture."""
    assert len(apart) > 1
    off = [gap > 0.2 and not mended for gap, mended in apart]
    return not any(both for both in map(all, pairwise(off)))


def test_one_block_plays_at_a_time_and_each_is_in_step(opened: Browser) -> None:
    opened.press(" ")
    assert in_step(of(opened, 0, WATCHED))
    assert of(opened, 0, GOING)
    assert of(opened, 1, FRAME) == 0
    assert not of(opened, 1, GOING)
    opened.click('[data-name="2"] [data-do=play]')
    of(opened, 0, SETTLED)
    assert set(of(opened, 0, PAUSED)) == {True}
    stopped = of(opened, 0, TIMES)
    assert len(set(stopped)) == 1, "films of the other block stopped on different frames"
    assert in_step(of(opened, 1, WATCHED))
    assert of(opened, 1, GOING)
    opened.press(" ")
    of(opened, 1, SETTLED)
    (time,) = set(of(opened, 1, TIMES))
    assert int(time * RATE) == of(opened, 1, FRAME)
    assert of(opened, 0, TIMES) == stopped
    assert opened.errors == []


def test_keys_go_to_the_block_last_used_or_the_first_in_view(opened: Browser) -> None:
    def frames() -> tuple[int, int]:
        return of(opened, 0, FRAME), of(opened, 1, FRAME)

    opened.press("ArrowRight")
    assert frames() == (1, 0), "nothing was used: the first"
    opened.run('document.querySelector(".take + .take").scrollIntoView({block: "start"})')
    opened.press("ArrowRight")
    assert frames() == (1, 1), "the first was used, but is out of view"
    opened.run("window.scrollBy(0, -300)")
    opened.press("ArrowRight")
    assert frames() == (1, 2), "both are in view: the one last used"
    opened.click('.take [data-do="on"]')
    assert frames() == (2, 2)
    opened.press("End")
    assert frames() == (SECONDS * RATE - 1, 2)
    keyed = '[...document.querySelectorAll(".players")].map((one) => one.classList.contains("keyed"))'
    assert opened.run(keyed) == [True, False]


def test_each_block_has_its_own_sound(opened: Browser) -> None:
    heard = (
        '[...document.querySelectorAll(".players")].map((one) => '
        '[...one.querySelectorAll("video")].findIndex((film) => !film.muted))'
    )
    assert opened.run(heard) == [0, 0]
    opened.press("3")
    assert opened.run(heard) == [2, 0]
    opened.click('[data-name="2"] .film:nth-child(5) .hear')
    assert opened.run(heard) == [2, 4]
    opened.press("0")
    assert opened.run(heard) == [2, -1]


def test_curves_move_the_films_of_their_own_block(opened: Browser) -> None:
    opened.click('[data-name="2"] .whole .curve', across=0.5, down=0.2)
    assert abs(of(opened, 1, FRAME) - 0.8 * SECONDS * RATE / 2) <= 1
    assert of(opened, 0, FRAME) == 0
    left = '[...document.querySelectorAll(".whole .cursor")].map((one) => parseFloat(one.style.left))'
    first, second = opened.run(left)
    assert first == 0
    assert abs(second - 50) < 3


def test_a_worst_case_leads_to_its_own_block(opened: Browser) -> None:
    wanted = opened.run('Number(document.querySelector(".take + .take .worst button").dataset.frame)')
    assert wanted > 0
    opened.click(".take + .take .worst button")
    assert (of(opened, 0, FRAME), of(opened, 1, FRAME)) == (0, wanted)
    opened.press("ArrowRight")
    assert (of(opened, 0, FRAME), of(opened, 1, FRAME)) == (0, wanted + 1)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["held", "driven"])
def test_five_methods_fit_the_window(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    browser.open(pages[name], width=width, height=740)
    assert browser.run(TOO_WIDE) == 0
    crossed = "one.scrollWidth - one.parentElement.clientWidth"
    scrolled = f'(() => {{ const one = document.querySelector(".crossed"); return {crossed}; }})()'
    assert browser.run(scrolled) <= 0, "who is better than whom has to be scrolled"
    assert browser.run('document.querySelectorAll("video").length') == 2 * (len(METHODS) + (name == "held"))
    assert browser.errors == []
