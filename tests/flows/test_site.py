"""The gallery shows what the ledger has and what consent allows, in a folder that stands alone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from flows.ingest import ingest
from storage.artifacts import Artifact, Made, find, of_row, produce
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import RawSource, Recipe
from tasks.remember import RememberOptions, features_of, remember
from tests.flows.conftest import Shell
from tests.flows.test_pages import Balanced
from tests.helpers.browser import CHROMIUM, browsing
from tests.helpers.drawn_faces import face, spoken
from tests.helpers.evaluations import evaluated
from tests.helpers.footage import film, keep_consent
from tests.helpers.material_home import SCOPE, material_home


def dubbed(home: Home, root: Path, speech: str = "good <morning>.wav", identity: str = "anna") -> Artifact:
    """A dub whose film is a drawn face."""
    lips = spoken(25).tolist()

    def make(workspace: Path) -> Made:
        face(workspace / "dub.mp4", lips)
        told = {"template": "clip-1", "why": "as asked", "frames": 25, "seconds": 1.0, "rate": "25"}
        (workspace / "dub.json").write_text(
            json.dumps({**told, "warnings": ["it is <quiet>"], "figures": {}})
        )
        return Made()

    memory = next(
        row for row in Ledger(home.objects).rows("artifacts").to_pylist() if row["kind"] == "features"
    )
    recipe = Recipe(
        "dub",
        "dub",
        1,
        {"method": "memface"},
        {"features": memory["id"]},
        (RawSource("speech", speech, speech),),
    )
    return produce(home, recipe, make, identity=identity)


def judged(home: Home, root: Path, dub: Artifact, *, driven: bool) -> Artifact:
    """An evaluation of two takes with its films and pictures beside its figures."""
    told, files = evaluated(
        root / f"films-{driven}", seconds=0.6, methods=("memface", "nearest"), takes=2, driven=driven
    )

    def make(workspace: Path) -> Made:
        (workspace / "evaluation.json").write_text(json.dumps(told))
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.read_bytes()
            (workspace / name).write_bytes(data)
        return Made()

    recipe = Recipe("evaluation", "evaluate", 9, {"driven": driven}, {"dub": dub.id})
    return produce(home, recipe, make, identity="anna")


def scored(home: Home, dub: Artifact) -> Artifact:
    """An evaluation as they were before they had films: no page of today can show it."""

    def make(workspace: Path) -> Made:
        (workspace / "scores.json").write_text("{}")
        return Made()

    return produce(home, Recipe("evaluation", "evaluate", 3, {}, {"dub": dub.id}), make, identity="anna")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where anna has a clip, a memory, a dub and three evaluations, and bert has but a clip."""
    root = tmp_path_factory.mktemp("lived")
    home = material_home(root / "home", frames=60)
    ledger = Ledger(home.objects)
    remember(home, "anna", features_of(home, ledger, "anna"), RememberOptions(slots=30, side=48))
    dub = dubbed(home, root)
    for driven in (False, True):
        judged(home, root, dub, driven=driven)
    scored(home, dub)
    keep_consent(root / "home", "bert")
    ingest([film(root / "b<e>rt.mp4")], "bert", home=str(root / "home"))
    return root / "home"


@pytest.fixture
def lived_in(root: Path, lived: Path) -> Home:
    """One's own copy of it."""
    shutil.rmtree(root / "home")
    return Home(shutil.copytree(lived, root / "home"))


def addresses(page: Path) -> set[str]:
    """What a page links to, or shows, beside itself."""
    found = re.findall(r'(?:src|href)="([^"]+)"', page.read_text())
    return {one.partition("#")[0] for one in found if not one.startswith("data:")}


def test_the_gallery_stands_alone_and_every_link_leads_somewhere(
    memdub: Shell, root: Path, lived_in: Home
) -> None:
    assert memdub("gallery", root / "out", "--json") == 0
    told = json.loads(memdub.out)["gallery"]
    assert (told["identities"], told["dubs"], told["evaluations"]) == (["anna", "bert"], 1, 2)
    pages = sorted((root / "out").rglob("*.html"))
    assert len(pages) == 7, "the index, two people, a memory, a dub, two evaluations; none of the old one"
    for page in pages:
        text = page.read_text()
        parser = Balanced()
        parser.feed(text)
        assert parser.open == [], page
        assert len(text) < 3e6
        assert "http" not in text, "the page must not reach for the network"
        for address in addresses(page):
            assert (page.parent / address).is_file(), f"{page} names {address}"
    reached = {(page.parent / one).resolve() for page in pages for one in addresses(page)}
    assert set(pages) - reached == set(), "a page that nothing leads to"


def test_a_person_s_page_tells_all_that_there_is(memdub: Shell, root: Path, lived_in: Home) -> None:
    assert memdub("gallery", root / "out") == 0
    page = (root / "out/anna/index.html").read_text()
    assert page.count("data:image/jpeg") == 1 + 24, "a still of the clip, and some mouths"
    assert "good &lt;morning&gt;.wav" in page
    assert "data-node" in page, "no lineage"
    assert "memface, nearest, driven by french.wav and german.wav" in page
    memory = (root / "out/anna/memory.html").read_text()
    assert memory.count("data:image/jpeg") == 30
    (dub,) = (root / "out/anna").glob("dub-*.html")
    assert "it is &lt;quiet&gt;" in dub.read_text()
    assert "b&lt;e&gt;rt.mp4" in (root / "out/bert/index.html").read_text()


def test_nothing_is_shown_that_was_not_agreed_to(memdub: Shell, root: Path, lived_in: Home) -> None:
    assert memdub("gallery", root / "out") == 0
    films = list((root / "out").rglob("*.mp4"))
    assert len(films) == 1 + 2 * 3 + 2 * 2, "a dub, two takes with the truth, two without"
    mine = root / "out" / "notes.txt"
    mine.write_text("mine")
    keep_consent(root / "home", "anna", SCOPE, expires="2020-02-02")
    assert memdub("gallery", root / "out") == 0
    assert list((root / "out").rglob("*.mp4")) == [], "a film of an earlier gallery stayed"
    assert not (root / "out/anna/memory.html").exists()
    text = (root / "out/anna/index.html").read_text()
    assert "consent expired on 2020-02-02" in text
    assert "data:image/jpeg" not in text
    assert not list((root / "out/anna").glob("evaluation-*"))
    assert mine.read_text() == "mine"


def test_a_second_gallery_copies_no_film_again(memdub: Shell, root: Path, lived_in: Home) -> None:
    assert memdub("gallery") == 0
    (copy,) = (root / "home/out/gallery/anna/films").iterdir()
    before = copy.stat().st_ino
    assert memdub("gallery") == 0
    assert copy.stat().st_ino == before


def test_a_folder_of_others_is_left_alone(memdub: Shell, root: Path, lived_in: Home) -> None:
    (root / "out").mkdir()
    (root / "out/index.html").write_text("mine")
    for out in (root / "out", root / "out/index.html"):
        assert memdub("gallery", out) == 2
        assert "is no gallery of ours" in memdub.err
        assert memdub.err.count("\n") == 1
    assert (root / "out/index.html").read_text() == "mine"


def test_an_empty_home_has_a_page_too(memdub: Shell, root: Path) -> None:
    assert memdub("gallery", root / "out") == 0
    assert "Nobody is here yet" in (root / "out/index.html").read_text()


def test_what_was_lost_or_broken_is_said(memdub: Shell, root: Path, lived_in: Home) -> None:
    ledger = Ledger(lived_in.objects)
    for row in ledger.rows("artifacts").to_pylist():
        name = {"clip": "clip.mp4", "dub": "dub.mp4", "memory": "memory.zarr/zarr.json"}.get(row["kind"])
        if name is not None and row["identity"] == "anna":
            (lived_in.path(of_row(row).uri) / name).unlink()
            assert find(ledger, row["id"]) is not None
    assert memdub("gallery", root / "out") == 0
    text = (root / "out/anna/index.html").read_text()
    assert "no film" in text
    assert "cannot be read" in text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install one to open pages in it")
def test_every_page_fits_a_phone_and_complains_of_nothing(memdub: Shell, root: Path, lived_in: Home) -> None:
    assert memdub("gallery", root / "out") == 0
    with browsing(root / "browser") as browser:
        for page in sorted((root / "out").rglob("*.html")):
            for width in (360, 1280):
                browser.open(page, width=width, height=740)
                too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                assert browser.run(too_wide) == 0, (page, width)
                assert browser.errors == [], (page, width)
