"""Posted commits: found at once, seen by plain readers once they are gathered, each exactly once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from storage.artifacts import Artifact, Made, find, find_whole, produce
from storage.errors import WorkError
from storage.home import Home
from storage.ledger import TABLES, Commit, Ledger
from storage.ledger.posts import Posts
from storage.recipes import Recipe


def recipe(number: int) -> Recipe:
    return Recipe("track", "track", 1, {"number": number})


def made(home: Home, *numbers: int) -> list[Artifact]:
    return [_made(home, recipe(number)) for number in numbers]


def _made(home: Home, of: Recipe) -> Artifact:
    def make(workspace: Path) -> Made:
        (workspace / "a").write_bytes(b"a")
        row = {"artifact": of.id, "identity": "anna", "metric": "m", "split": "all", "value": 1.5}
        return Made(metrics=[row])

    return produce(home, of, make, identity="anna")


def plain(home: Home) -> list[str]:
    """The ids that a reader sees who knows nothing of us."""
    files = f"{home.path('ledger')}/artifacts/**/*.parquet"
    try:
        found = duckdb.connect().execute(f"select id from read_parquet('{files}')").fetchall()
    except duckdb.IOException:
        return []
    return sorted(row[0] for row in found)


@pytest.fixture
def posting(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", posting=True)


def test_what_is_posted_exists_and_is_not_made_again(posting: Home) -> None:
    (one,) = made(posting, 1)
    assert plain(posting) == []
    fresh = Home(posting.url)
    found = find_whole(fresh, Ledger(fresh.objects), recipe(1), "anna")
    assert found is not None
    assert dict(found.row) == dict(one.row)
    assert isinstance(found.row["started"], dt.datetime)
    assert made(fresh, 1)[0].reused


def test_gathering_makes_the_same_rows_as_committing(posting: Home, tmp_path: Path) -> None:
    ids = sorted(one.id for one in made(posting, 1, 2, 3))
    ledger = Ledger(Home(posting.url).objects)
    assert ledger.gather() == 3
    assert ledger.gather() == 0
    assert plain(posting) == ids
    direct = Home(tmp_path / "direct")
    made(direct, 1, 2, 3)
    for name in ("lineage", "metrics"):
        sort = [(column, "ascending") for column in TABLES[name].key]
        assert ledger.rows(name).sort_by(sort).equals(Ledger(direct.objects).rows(name).sort_by(sort))
    same = ["id", "uri", "content_hash", "recipe"]
    ours, theirs = (one.rows("artifacts", same).sort_by("id") for one in (ledger, Ledger(direct.objects)))
    assert ours.equals(theirs)


def test_a_kill_between_writing_and_removing_shows_no_row_twice(
    posting: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(one.id for one in made(posting, 1, 2))
    ledger = Ledger(posting.objects)
    ledger.commit(*ledger.posts.all())  # and there it was killed
    assert plain(posting) == ids
    assert ledger.gather() == 2
    assert plain(posting) == ids
    assert ledger.posts.names() == []


def test_what_broke_after_it_was_posted_is_made_anew(posting: Home) -> None:
    (one,) = made(posting, 1)
    (posting.path(one.uri) / "a").write_bytes(b"bb")
    (again,) = made(posting, 1)
    assert not again.reused
    ledger = Ledger(posting.objects)
    assert ledger.gather() == 1
    found = find(ledger, one.id)
    assert found is not None
    assert found.row["started"] == again.row["started"]


def test_a_post_that_does_not_arrive_is_no_commit(posting: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write = posting.objects.write_if

    def another_was_first(key: str, data: bytes, version: str | None) -> bool:
        return not key.startswith(".posts/") and write(key, data, version)

    monkeypatch.setattr(posting.objects, "write_if", another_was_first)
    with pytest.raises(WorkError, match="committed twice at once"):
        made(posting, 1)
    assert Ledger(posting.objects).take_posted() == []


def test_what_is_gathered_between_two_looks_is_found(posting: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not find it takes it for the rest of a killed commit, and clears it away."""
    (one,) = made(posting, 1)
    look = Posts.find

    def too_late(self: Posts, artifact: str) -> Commit | None:
        monkeypatch.setattr(Posts, "find", look)
        Ledger(posting.objects).gather()
        return look(self, artifact)

    monkeypatch.setattr(Posts, "find", too_late)
    found = Ledger(posting.objects).find(one.id, "anna")
    assert found is not None
    assert found["id"] == one.id


def test_frames_go_to_their_own_file_at_once(posting: Home) -> None:
    schema = TABLES["frames"].schema
    row = dict.fromkeys(schema.names) | {"clip": "c", "artifact": "x", "identity": "anna", "frame": 0}

    def with_frames(workspace: Path) -> Made:
        (workspace / "a").write_bytes(b"a")
        return Made(frames=pa.Table.from_pylist([row], schema=schema))

    one = produce(posting, recipe(9), with_frames, identity="anna")
    ledger = Ledger(posting.objects)
    assert ledger.rows("frames").num_rows == 1
    assert ledger.gather() == 1
    assert plain(posting) == [one.id]
