"""Pages in a real browser: films play in step, keys work, nothing complains, a phone is wide enough."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from flows.evaluation_page import write
from flows.lineage_page import lineage_page
from storage.ledger.query import Node
from tests.helpers.browser import CHROMIUM, Browser, browsing
from tests.helpers.drawn_faces import RATE
from tests.helpers.evaluations import evaluated

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install one to open pages in it")
FRAMES = 75
READY = """new Promise((done) => {
  const box = document.querySelector(".players");
  const look = () => box.dataset.ready ? done(true) : requestAnimationFrame(look);
  look();
})"""
# Every frame of the browser: how far apart the films are, and whether they are being brought together.
WATCH = """(() => {
  const films = [...document.querySelectorAll("video")];
  window.apart = [];
  const look = () => {
    const at = films.map((film) => film.currentTime);
    const mended = films.some((film) => film.seeking || film.paused);
    window.apart.push([Math.max(...at) - Math.min(...at), mended]);
    requestAnimationFrame(look);
  };
  look();
})()"""
# Whether all films are going and near each other, before the first one is at its end.
TOGETHER = """new Promise((done) => {
  const films = [...document.querySelectorAll("video")];
  const look = () => {
    const at = films.map((film) => film.currentTime);
    const going = films.every((film) => !film.paused && !film.seeking);
    if (going && Math.max(...at) - Math.min(...at) < 0.1) done(true);
    else if (!document.querySelector(".going")) done(false);
    else requestAnimationFrame(look);
  };
  look();
})"""
UNTIL = """new Promise((done) => {
  const film = document.querySelector("video");
  const look = () => film.currentTime >= %f || film.ended ? done(true) : requestAnimationFrame(look);
  look();
})"""
TIMES = '[...document.querySelectorAll("video")].map((film) => film.currentTime)'
PAUSED = '[...document.querySelectorAll("video")].map((film) => film.paused)'
MUTED = '[...document.querySelectorAll("video")].map((film) => film.muted)'
GOING = 'document.querySelector(".going") !== null'
SETTLED = """Promise.all([...document.querySelectorAll("video")].map((film) => film.seeking
  ? new Promise((done) => film.addEventListener("seeked", done, {once: true})) : true))"""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told, files = evaluated(tmp_path_factory.mktemp("films"), seconds=FRAMES / RATE)
    return write(tmp_path_factory.mktemp("evaluation"), told, files)


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open(page)
    browser.run(READY)
    return browser


def frame(browser: Browser) -> int:
    return int(browser.run('Number(document.querySelector(".players input").value)'))


def test_films_play_in_step_and_stop_on_the_same_frame(opened: Browser) -> None:
    opened.run(WATCH)
    opened.press(" ")
    opened.run(UNTIL % 1.5)
    assert opened.run(GOING)
    opened.press(" ")
    opened.run(SETTLED)
    # However busy the machine is: films that are apart are brought together before the next picture.
    apart = [gap > 0.2 and not mended for gap, mended in opened.run("window.apart")]
    assert len(apart) > 2
    assert not any(both for both in map(all, pairwise(apart))), "films drifted apart"
    assert opened.run(PAUSED) == [True] * 4
    times = opened.run(TIMES)
    assert len(set(times)) == 1
    assert int(times[0] * RATE) == frame(opened)
    assert opened.errors == []


def test_a_film_that_falls_behind_is_brought_back(opened: Browser) -> None:
    opened.press(" ")
    opened.run(UNTIL % 0.4)
    opened.run('document.querySelectorAll("video")[2].currentTime = 0')
    assert opened.run(TOGETHER)
    opened.run('document.querySelectorAll("video")[3].pause()')
    assert opened.run(TOGETHER)


def test_keys_move_by_frames_and_seconds_and_to_the_ends(opened: Browser) -> None:
    for key, shift, at in (
        ("ArrowRight", False, 1),
        ("ArrowRight", True, 26),
        ("ArrowLeft", False, 25),
        ("ArrowLeft", True, 0),
        ("ArrowLeft", False, 0),
        ("End", False, FRAMES - 1),
        ("ArrowRight", False, FRAMES - 1),
        ("Home", False, 0),
    ):
        opened.press(key, shift=shift)
        assert frame(opened) == at, (key, shift)
        opened.run(SETTLED)
        assert {int(time * RATE) for time in opened.run(TIMES)} == {at}


def test_one_is_heard_and_numbers_choose_which(opened: Browser) -> None:
    assert opened.run(MUTED) == [False, True, True, True]
    opened.press("3")
    assert opened.run(MUTED) == [True, True, False, True]
    assert (
        opened.run('document.querySelectorAll(".hear[aria-pressed=true] .name")[0].textContent') == "nearest"
    )
    opened.press("0")
    assert opened.run(MUTED) == [True] * 4
    opened.click(".film:nth-child(2) .hear")
    assert opened.run(MUTED) == [True, False, True, True]


def test_a_film_that_ends_is_played_again_from_its_beginning(opened: Browser) -> None:
    opened.press("End")
    opened.run(SETTLED)
    opened.press(" ")
    opened.run(SETTLED)
    assert frame(opened) < FRAMES - 1
    assert opened.run(GOING)
    opened.run(UNTIL % ((FRAMES - 1) / RATE))
    opened.run(
        "new Promise((done) => { const look = () => document.querySelector('.going') "
        "? requestAnimationFrame(look) : done(true); look(); })"
    )
    assert frame(opened) == FRAMES - 1


def test_the_cursor_follows_and_a_click_into_the_curves_moves_the_films(opened: Browser) -> None:
    opened.press("ArrowRight", shift=True)
    assert opened.run('document.querySelector(".whole .cursor").style.left').startswith("33.33")
    opened.click(".whole .curve", across=0.5, down=0.2)
    assert abs(frame(opened) - FRAMES // 2) <= 1
    assert opened.run('document.querySelector(".names output").textContent') != ""
    drawn = opened.run(
        '(() => { const one = document.querySelector(".near"); return one.getContext("2d")'
        ".getImageData(0, 0, one.width, one.height).data.some((value) => value > 0); })()"
    )
    assert drawn


def test_a_worst_case_leads_to_its_moment(opened: Browser) -> None:
    wanted = int(opened.run('document.querySelector(".worst button").dataset.frame'))
    opened.click(".worst button")
    assert frame(opened) == wanted


def test_a_head_sorts_its_table_both_ways_with_the_unknown_last(opened: Browser) -> None:
    head = '[...document.querySelectorAll(".held th button")].find((one) => one.textContent === "SSIM")'
    names = '[...document.querySelectorAll(".held tbody tr")].map((row) => row.cells[0].textContent)'
    for way, order in (
        ("descending", ["memface", "nearest", "dinet"]),
        ("ascending", ["nearest", "memface", "dinet"]),
    ):
        opened.run(f"{head}.click()")
        assert opened.run(f"{head}.parentElement.ariaSort") == way
        assert opened.run(names) == order


def test_keys_in_the_controls_are_theirs(opened: Browser) -> None:
    opened.run('document.querySelector(".bar select").focus()')
    opened.press("ArrowRight")
    assert frame(opened) == 0
    opened.run('document.querySelector("[data-do=on]").focus()')
    opened.press(" ")
    assert frame(opened) == 1
    assert opened.run(PAUSED) == [True] * 4


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_wider_than_the_window(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, height=740, dark=dark)
    browser.run(READY)
    assert browser.run(TOO_WIDE) == 0
    assert (
        browser.run(
            "Math.min(...[...document.querySelectorAll('.bar button, .hear')].map((one) => "
            "one.getBoundingClientRect()).filter((one) => one.width).map((one) => one.height))"
        )
        >= 36
    )
    assert browser.errors == []


@pytest.fixture(scope="module")
def lineage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dub of a clip and a memory, each of a raw file; the memory of two."""
    raws = [
        Node(f"sha256:{letter * 20}", "raw file", "footage", {"name": f"{letter}.mp4"}) for letter in "abc"
    ]
    clip, memory = made("clip", raws[:1]), made("memory", raws[1:])
    path = tmp_path_factory.mktemp("lineage") / "page.html"
    path.write_text(lineage_page(made("dub", [clip, memory])))
    return path


def made(kind: str, children: list[Node]) -> Node:
    row = {"stage": kind, "stage_version": 1, "started": dt.datetime(2026, 1, 2), "identity": "anna"}
    return Node(f"{kind}-0123", kind, "", row, children)


SHOWN = """[...document.querySelectorAll("[data-node]")].filter((one) => one.getBoundingClientRect().width)
  .map((one) => one.querySelector("text").textContent)"""


def test_a_lineage_folds_by_mouse_and_by_keyboard(browser: Browser, lineage: Path) -> None:
    browser.open(lineage)
    everything = browser.run(SHOWN)
    assert everything == ["dub-0123", "clip-0123", "a.mp4", "memory-0123", "b.mp4", "c.mp4"]
    high = browser.run('document.querySelector(".graph svg").getBoundingClientRect().height')
    browser.click('[data-node="3"]', across=0.3)
    assert browser.run(SHOWN) == ["dub-0123", "clip-0123", "a.mp4", "memory-0123"]
    assert browser.run("document.querySelector('[data-node=\"3\"] .sign text').textContent") == "+2"
    assert browser.run('document.querySelector(".graph svg").getBoundingClientRect().height') < high
    browser.press("Enter")
    assert browser.run(SHOWN) == everything
    browser.click("[data-fold=shut]")
    assert browser.run(SHOWN) == ["dub-0123", "clip-0123", "memory-0123"]
    browser.click("[data-fold=open]")
    assert browser.run(SHOWN) == everything
    assert browser.errors == []


def test_hovering_tells_of_a_card_and_of_the_way_to_the_result(browser: Browser, lineage: Path) -> None:
    browser.open(lineage)
    browser.click('[data-node="4"]')
    told = browser.run('document.querySelector(".told").textContent')
    assert told.startswith("b.mp4")
    assert "sha256:bbbb" in told
    way = (
        '[...document.querySelectorAll("[data-node].on")].map((one) => one.querySelector("text").textContent)'
    )
    assert browser.run(way) == ["dub-0123", "memory-0123", "b.mp4"]
    assert browser.run('document.querySelectorAll("path.on").length') == 2


@pytest.mark.parametrize("width", [360, 1280])
def test_a_lineage_scrolls_inside_its_frame(browser: Browser, lineage: Path, width: int) -> None:
    browser.open(lineage, width=width, height=740)
    assert browser.run(TOO_WIDE) == 0
    browser.run('document.querySelector(".graph .scroll").scrollBy(200, 0)')
    assert browser.run(f"{SHOWN}.length") == (3 if width < 700 else 6), "a phone begins with what is near"
    moved = browser.run('document.querySelector(".graph .scroll").scrollLeft')
    assert (moved > 0) == (width < 700)
