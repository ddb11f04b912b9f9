"""Status, query, lineage, gc: what a person reads, what a script reads."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from storage import garbage
from storage.artifacts import Made, produce
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import RawSource, Recipe
from tests.flows.conftest import Shell
from tests.helpers.footage import film


def produced(
    home: Home, kind: str, *, version: int = 1, inputs: dict[str, str] | None = None, raw: str = ""
) -> str:
    """A small artifact of anna's."""

    def make(workspace: Path) -> Made:
        (workspace / "file").write_bytes(kind.encode() * 100)
        return Made()

    sources = (RawSource("footage", raw, "a.mp4"),) if raw else ()
    recipe = Recipe(kind, kind, version, {}, inputs or {}, sources)
    return produce(home, recipe, make, identity="anna").id


def test_an_empty_home_says_what_to_do_next(memdub: Shell) -> None:
    assert memdub("status") == 0
    assert "memdub demo" in memdub.out
    assert memdub("query", "select count(*) as n from artifacts", "--json") == 0
    assert json.loads(memdub.out)["rows"] == [[0]]


def test_status_counts_what_is_there(memdub: Shell, root: Path) -> None:
    assert memdub("ingest", film(root / "a.mp4", seconds=2), "--identity", "anna") == 0
    assert memdub("status", "--json") == 0
    status = json.loads(memdub.out)
    person = status["identities"][0]
    assert (person["name"], person["counts"], person["clip_seconds"]) == ("anna", {"clip": 1}, 2.0)
    assert person["consent"] == "ingest until 2999-01-01"
    assert [run["flow"] for run in status["runs"]] == ["ingest"]
    assert memdub("status") == 0
    assert "2.0 s" in memdub.out


def test_every_table_can_be_asked(memdub: Shell, root: Path) -> None:
    memdub("ingest", film(root / "a.mp4"), "--identity", "anna")
    for table in ("artifacts", "lineage", "clips", "frames", "metrics", "failures", "runs"):
        assert memdub("query", f"select * from {table}") == 0
    assert memdub("query", "select frames, width_px from clips", "--json") == 0
    assert json.loads(memdub.out) == {"columns": ["frames", "width_px"], "rows": [[38, 96]]}


@pytest.mark.parametrize("sql", ["select nonsense", "selec 1", "select * from clips where frames = 'x'", ""])
def test_a_wrong_question_is_one_line(memdub: Shell, root: Path, sql: str) -> None:
    memdub("ingest", film(root / "a.mp4"), "--identity", "anna")
    assert memdub("query", sql) == 2
    assert memdub.err.count("\n") == 1


def test_lineage_by_id_by_beginning_by_stored_file_and_by_content(memdub: Shell, root: Path) -> None:
    video = film(root / "take one.mp4")
    memdub("ingest", video, "--identity", "anna", "--json")
    clip = json.loads(memdub.out)["clips"][0]
    stored = root / "home" / clip["uri"] / "clip.mp4"
    for what in (clip["id"], clip["id"][:9], stored):
        assert memdub("lineage", what) == 0
        lines = memdub.out.splitlines()
        assert lines[0].startswith(clip["id"])
        assert lines[1].startswith("└── footage: take one.mp4 (sha256:")
    renamed = shutil.copy(video, root / "renamed.mp4")
    assert memdub("lineage", renamed) == 0
    assert memdub.out.splitlines()[1].startswith(f"└── footage: {clip['id']}")
    assert memdub("lineage", clip["id"], "--json") == 0
    assert json.loads(memdub.out)["lineage"]["nodes"][0]["kind"] == "raw file"


def test_lineage_as_a_page(memdub: Shell, root: Path) -> None:
    memdub("ingest", film(root / "<b>.mp4"), "--identity", "anna", "--json")
    clip = json.loads(memdub.out)["clips"][0]["id"]
    assert memdub("lineage", clip, "--html", root / "page.html") == 0
    page = (root / "page.html").read_text()
    assert page.count('<rect class="card"') == 2
    assert "&lt;b&gt;.mp4" in page
    assert "<b>" not in page
    assert "http" not in page, "the page must not reach for the network"


@pytest.mark.parametrize("what", ["clip-nothing", "/no/such/file"])
def test_lineage_of_nothing(memdub: Shell, root: Path, what: str) -> None:
    assert memdub("lineage", what) == 2
    assert "no artifact has this id" in memdub.err


def test_lineage_of_an_ambiguous_beginning(memdub: Shell, root: Path) -> None:
    for seed in (1, 2):
        memdub("ingest", film(root / f"{seed}.mp4", seed=seed), "--identity", "anna")
    assert memdub("lineage", "clip-") == 2
    assert "2 artifacts begin so" in memdub.err


def test_gc_shows_first_and_removes_only_what_nothing_reaches(memdub: Shell, root: Path) -> None:
    home = Home()
    old_clip = produced(home, "clip", version=1, raw="aa")
    new_clip = produced(home, "clip", version=2, raw="aa")
    other_clip = produced(home, "clip", version=1, raw="bb")
    old_track = produced(home, "track", version=1, inputs={"clip": new_clip})
    new_track = produced(home, "track", version=2, inputs={"clip": new_clip})
    used_track = produced(home, "track", version=1, inputs={"clip": other_clip})
    produced(home, "track", version=2, inputs={"clip": other_clip})
    dub = produced(home, "dub", inputs={"track": used_track})
    assert memdub("gc", "--json") == 0
    would = {row["id"] for row in json.loads(memdub.out)["would_remove"]["artifacts"]}
    assert would == {old_clip, old_track}
    ids = set(Ledger(home.objects).rows("artifacts")["id"].to_pylist())
    assert would < ids, "the dry run removed something"
    assert memdub("gc", "--yes") == 0
    left = set(Ledger(home.objects).rows("artifacts")["id"].to_pylist())
    assert left == ids - would
    assert {new_clip, new_track, used_track, dub} < left
    assert not home.path(f"stores/clip/{old_clip}").exists()
    assert home.path(f"stores/clip/{new_clip}").exists()
    assert memdub("gc") == 0
    assert "nothing to remove" in memdub.err


def test_gc_takes_old_leftovers_and_leaves_work_that_goes_on(root: Path) -> None:
    home = Home()
    kept = produced(home, "clip", raw="aa")
    long_ago = 1_600_000_000
    for name, age in (
        ("stores/clip/clip-old", long_ago),
        (".work/clip-old.x", long_ago),
        (".work/clip-new.x", None),
    ):
        folder = home.path(name)
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 1000)
        for path in (folder / "file", folder):
            if age:
                os.utime(path, (age, age))
    found = garbage.find(home)
    assert sorted(path.name for path in found.leftovers) == ["clip-old", "clip-old.x"]
    assert found.bytes == 2000
    garbage.collect(home, found)
    assert home.path(".work/clip-new.x/file").exists()
    assert home.path(f"stores/clip/{kept}/file").exists()


@pytest.mark.parametrize("words", [["nonsense"], ["status", "--nonsense"], ["lineage"], ["query"]])
def test_wrong_words_are_one_line_and_status_two(memdub: Shell, words: list[str]) -> None:
    assert memdub(*words) == 2
    assert memdub.err.count("\n") == 1
    assert "--help" in memdub.err


def test_help_names_every_command(memdub: Shell) -> None:
    assert memdub("--help") == 0
    for command in ("demo", "ingest", "puppet", "status", "query", "lineage", "gc"):
        assert f"\n  {command} " in memdub.out


def test_unexpected_errors_are_one_line_too(memdub: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_home: Home) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("flows.cli.status.survey", broken)
    assert memdub("status") == 1
    assert memdub.err.startswith("memdub: unexpected RuntimeError: boom; report it")
    assert memdub.err.count("\n") == 1


def test_ready_views_are_listed_and_answer(memdub: Shell, root: Path) -> None:
    assert memdub("query", "--views") == 0
    assert memdub.err == "", "a home without a ledger gets no catalog"
    memdub("ingest", film(root / "a.mp4"), "--identity", "anna")
    catalog = root / "home" / "ledger" / "catalog.sql"
    catalog.unlink()
    assert memdub("query", "--views") == 0
    assert "best_methods: Which method" in memdub.out
    assert str(catalog) in memdub.err
    assert "create or replace view hours" in catalog.read_text()
    assert memdub("query", "--views", "--json") == 0
    listed = {one["name"]: one["columns"] for one in json.loads(memdub.out)["views"]}
    assert memdub("query", "from hours", "--json") == 0
    told = json.loads(memdub.out)
    assert told["columns"] == listed["hours"]
    assert told["rows"][0][:3] == ["anna", 1, pytest.approx(1.52 / 3600)]
    assert memdub("query", "select kind from ancestors('clip-')", "--json") == 0
    assert json.loads(memdub.out)["rows"] == [["raw file"]]
    assert memdub("query") == 2
    assert memdub.err == "memdub: no question; see memdub query --help\n"
