"""The ledger under many writers, kills, readers that know nothing of us, and old files."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import multiprocessing
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import CorruptArtifact
from storage.ledger import Commit, Ledger, asking, connect, lineage_of
from storage.ledger import segments as segments_module
from storage.ledger.query import resolve
from storage.objects import open_objects
from tests.helpers.killing import kill_at_random

SPAWN = multiprocessing.get_context("spawn")


def commit(name: str, identity: str | None = "anna", parents: tuple[str, ...] = ("sha256:0",)) -> Commit:
    row = {
        "id": name,
        "kind": "clip",
        "identity": identity,
        "uri": f"stores/clip/{name}",
        "content_hash": hashlib.sha256(name.encode()).hexdigest(),
        "bytes": 1,
        "recipe": json.dumps({"name": name}),
        "stage": "ingest",
        "stage_version": 1,
        "code_revision": "test",
        "started": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "seconds": 0.5,
        "host": "here",
        "run_id": "run",
    }
    return Commit(
        row, [{"child": name, "parent": p, "role": "source", "parent_name": "a.mp4"} for p in parents]
    )


def write_many(home: str, writer: int, count: int) -> None:
    ledger = Ledger(open_objects(home))
    for i in range(count):
        ledger.commit(commit(f"clip-{writer}-{i}"))


def plain_ids(home: Path) -> list[str]:
    """What somebody sees who has DuckDB and nothing of ours."""
    pattern = home / "ledger/artifacts/**/*.parquet"
    return [
        row[0] for row in duckdb.connect().execute(f"select id from read_parquet('{pattern}')").fetchall()
    ]


def test_many_processes_commit_at_once_and_plain_readers_see_each_row_once(tmp_path: Path) -> None:
    """Eight writers of 500 each, while DuckDB and pandas read the bare files and never see a row twice."""
    Ledger(open_objects(str(tmp_path))).commit(commit("first"))
    writers = [SPAWN.Process(target=write_many, args=(str(tmp_path), w, 500)) for w in range(8)]
    for writer in writers:
        writer.start()
    seen, looks = 0, 0
    while any(writer.is_alive() for writer in writers):
        ids = plain_ids(tmp_path)
        frame = pd.read_parquet(tmp_path / "ledger" / "artifacts", columns=["id"])
        assert len(ids) == len(set(ids))
        assert frame["id"].is_unique
        assert seen <= len(ids) <= len(frame), "a committed row vanished"
        seen, looks = len(frame), looks + 1
    assert [writer.exitcode for writer in writers] == [0] * 8
    expected = {"first"} | {f"clip-{w}-{i}" for w in range(8) for i in range(500)}
    ids = plain_ids(tmp_path)
    assert len(ids) == 4001
    assert set(ids) == expected
    assert looks > 20
    lineage = Ledger(open_objects(str(tmp_path))).rows("lineage")
    assert sorted(lineage["child"].to_pylist()) == sorted(expected)


def test_compaction_moves_nothing_and_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_module, "SEGMENT_BYTES", 2**17)
    ledger = Ledger(open_objects(str(tmp_path)))
    for i in range(60):
        ledger.commit(commit(f"a{i}"))
    writer = SPAWN.Process(target=write_many, args=(str(tmp_path), 0, 150))
    writer.start()
    freed = 0
    while writer.is_alive():
        freed += ledger.tables["artifacts"].compact(idle_seconds=0)
        ids = plain_ids(tmp_path)
        assert len(ids) == len(set(ids))
    writer.join()
    assert writer.exitcode == 0
    assert freed > 0
    assert sorted(plain_ids(tmp_path)) == sorted(
        [f"a{i}" for i in range(60)] + [f"clip-0-{i}" for i in range(150)]
    )


def test_an_older_footer_still_reads_the_older_state(tmp_path: Path) -> None:
    """The promise that makes growing safe: bytes that a reader may still ask for stay where they were."""
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(commit("a"))
    file = next(tmp_path.glob("ledger/artifacts/**/*.parquet"))
    before = file.read_bytes()
    footer = pq.read_metadata(file)
    for i in range(10):
        ledger.commit(commit(f"b{i}"))
    assert file.read_bytes().startswith(before)
    with pq.ParquetFile(file, metadata=footer) as stale:
        assert stale.read(["id"])["id"].to_pylist() == ["a"]
    ledger.tables["artifacts"].compact(idle_seconds=0)
    assert len(pq.read_table(file)) == 11


def test_a_second_row_with_the_same_key_takes_the_first_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_module, "SEGMENT_ROWS", 1024)
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(*[commit(f"a{i}") for i in range(3000)])
    changed = commit("a7")
    ledger.commit(Commit({**changed.artifact, "seconds": 9.0}, changed.lineage))
    assert len(plain_ids(tmp_path)) == 3000
    found = ledger.find("a7", "anna")
    assert found is not None
    assert found["seconds"] == 9.0
    assert len(ledger.rows("lineage")) == 3000


def test_a_bulk_commit_fills_segments_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_module, "SEGMENT_ROWS", 1024)
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(*[commit(f"a{i}") for i in range(2500)])
    sizes = [
        pq.read_metadata(path).num_rows for path in sorted(tmp_path.glob("ledger/artifacts/**/*.parquet"))
    ]
    assert sizes == [1024, 1024, 452]


def test_removed_artifacts_leave_every_table(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    frames = ledger.rows("frames").schema.empty_table()
    names = {letter: f"track-{letter * 20}" for letter in "abc"}
    for letter, identity in (("a", "anna"), ("b", "anna"), ("c", None)):
        name = names[letter]
        rows = pa.Table.from_pylist([{"artifact": name, "frame": i} for i in range(3)], schema=frames.schema)
        held = {"child": f"sha256:{letter}", "parent": name, "role": "filmed"}
        metric = {"artifact": name, "metric": "m", "split": "all", "value": 1.0}
        made = commit(name, identity)
        ledger.commit(Commit(made.artifact, [*made.lineage, held], [{"id": name}], [metric], rows))
    ledger.remove([names["a"], names["c"]])
    assert plain_ids(tmp_path) == [names["b"]]
    assert ledger.rows("lineage")["child"].to_pylist() == [names["b"], "sha256:b"]
    assert ledger.rows("clips")["id"].to_pylist() == [names["b"]]
    assert ledger.rows("metrics")["artifact"].to_pylist() == [names["b"]]
    assert set(ledger.rows("frames")["artifact"].to_pylist()) == {names["b"]}
    assert ledger.orphans() == set()


def test_identities_that_look_like_numbers_or_dates_stay_text(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    names = ["007", "1e5", "2026-01-01", "true"]
    for name in names:
        ledger.commit(commit(f"clip-{name}", identity=name))
    pattern = tmp_path / "ledger/artifacts/**/*.parquet"
    rows = duckdb.connect().execute(f"select identity from read_parquet('{pattern}') order by 1").fetchall()
    assert [row[0] for row in rows] == sorted(names)
    assert sorted(pd.read_parquet(tmp_path / "ledger/artifacts")["identity"]) == sorted(names)


def test_files_from_before_a_column_existed_are_read_with_nulls(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(commit("old"))
    file = next(tmp_path.glob("ledger/artifacts/**/*.parquet"))
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["task_run_id"]), file)
    again = Ledger(open_objects(str(tmp_path)))
    again.commit(commit("new"))
    assert again.rows("artifacts")["task_run_id"].to_pylist() == [None, None]


def test_rows_with_unknown_columns_are_refused(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    with pytest.raises(KeyError, match="colour"):
        ledger.commit(Commit({**commit("a").artifact, "colour": "red"}))


def test_queries_see_tables_as_views_and_no_orphans(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(commit("a"))
    orphan = pa.Table.from_pylist(
        [{"child": "never", "parent": "x", "role": "r"}], schema=ledger.rows("lineage").schema
    )
    ledger.tables["lineage"].write("slug=anna", orphan)
    assert connect(ledger).execute("select child from lineage").fetchall() == [("a",)]
    assert connect(ledger).execute("select count(*) from clips").fetchall() == [(0,)]
    assert [node.id for node in lineage_of(ledger, "x", down=True).children] == []
    assert ledger.orphans() == {"never"}
    ledger.disown(["never"])
    assert ledger.rows("lineage")["child"].to_pylist() == ["a"]


def test_lineage_is_a_tree_down_to_raw_files(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(commit("clip-1"), commit("track-1", parents=("clip-1",)))
    ledger.commit(commit("memory-1", parents=("track-1", "clip-1")))
    tree = lineage_of(ledger, resolve(ledger, "memory"))
    assert [child.id for child in tree.children] == ["track-1", "clip-1"]
    assert tree.children[0].children[0].children[0].kind == "raw file"


def test_what_two_share_is_drawn_out_once(tmp_path: Path) -> None:
    """Thirty diamonds on top of each other: as a full tree, a thousand million nodes."""
    ledger = Ledger(open_objects(str(tmp_path)))
    rows = [commit("clip-0")]
    for i in range(30):
        rows += [commit(f"left-{i}", parents=(f"clip-{i}",)), commit(f"right-{i}", parents=(f"clip-{i}",))]
        rows += [commit(f"clip-{i + 1}", parents=(f"left-{i}", f"right-{i}"))]
    ledger.commit(*rows)
    left, right = lineage_of(ledger, "clip-30").children
    assert left.children[0].children
    assert right.children[0].repeated
    assert not right.children[0].children


@pytest.mark.parametrize("content", [b"", b"garbage", b"PAR1 and then nothing PAR1"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(commit("a"))
    file = next(tmp_path.glob("ledger/artifacts/**/*.parquet"))
    file.write_bytes(content)
    for work in (lambda own: own.find("a"), ask, lambda own: own.commit(commit("b"))):
        with pytest.raises(CorruptArtifact, match=f"{file}: this file of the ledger is damaged"):
            work(Ledger(open_objects(str(tmp_path))))


def ask(ledger: Ledger) -> None:
    with asking(ledger) as connection:
        connection.execute("select max(seconds) from artifacts").fetchall()


def test_files_that_are_not_the_ledgers_do_not_count(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(commit("a"))
    file = next(tmp_path.glob("ledger/artifacts/**/*.parquet"))
    file.with_name("notes.txt").write_text("mine")
    file.with_name("00000 (conflicted copy).parquet").write_bytes(file.read_bytes())
    again = Ledger(open_objects(str(tmp_path)))
    again.commit(commit("b"))
    assert again.rows("artifacts")["id"].to_pylist() == ["a", "b"]
    assert connect(again).execute("select count(*) from artifacts").fetchall() == [(2,)]


def commit_until_killed(home: str, name: str, said: Connection) -> None:
    ledger = Ledger(open_objects(home))
    for i in itertools.count():
        ledger.commit(commit(f"{name}-{i}", parents=(f"sha256:{name}", "sha256:2")))
        said.send(f"{name}-{i}")


def test_kill_nine_at_random_points_leaves_nothing_half_made(tmp_path: Path) -> None:
    """A hundred writers killed at random moments: what was acknowledged is there, once, with its lineage."""
    acknowledged: set[str] = set()
    for round_ in range(100):
        acknowledged |= kill_at_random(commit_until_killed, (str(tmp_path), f"w{round_}"), seed=round_)
    assert len(acknowledged) > 100
    ledger = Ledger(open_objects(str(tmp_path)))
    ids = plain_ids(tmp_path)
    assert len(ids) == len(set(ids))
    assert acknowledged <= set(ids)
    parents = Counter(ledger.rows("lineage")["child"].to_pylist())
    assert all(parents[name] == 2 for name in ids), "an artifact is visible without its lineage"
    ledger.commit(commit("afterwards"))
    assert "afterwards" in plain_ids(tmp_path)


def test_a_ledger_from_before_columns_and_tables_existed_answers_queries(tmp_path: Path) -> None:
    """Every file lacks the column, and one table has no file at all."""
    ledger = Ledger(open_objects(str(tmp_path)))
    made = commit("clip-old")
    ledger.commit(Commit(made.artifact, made.lineage, [{"id": "clip-old", "identity": "anna", "frames": 5}]))
    file = next(tmp_path.glob("ledger/clips/**/*.parquet"))
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["retired_at"]), file)
    again = Ledger(open_objects(str(tmp_path)))
    asked = connect(again).execute("select id, frames, retired_at from clips").fetchall()
    assert asked == [("clip-old", 5, None)]
    assert connect(again).execute("select count(*) from sources").fetchall() == [(0,)]
    assert [row["id"] for row in again.live_clips("anna")] == ["clip-old"]
    again.retire("anna", ["clip-old"], dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    assert connect(again).execute("select year(retired_at) from clips").fetchall() == [(2026,)]


def test_retired_clips_stay_in_the_ledger_and_come_back(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    for name in ("clip-a", "clip-b"):
        made = commit(name)
        ledger.commit(Commit(made.artifact, made.lineage, [{"id": name, "identity": "anna", "width_px": 96}]))
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    ledger.retire("anna", ["clip-a", "clip-unknown"], when)
    ledger.retire("anna", ["clip-a"], when + dt.timedelta(days=1))
    assert [row["id"] for row in ledger.live_clips("anna")] == ["clip-b"]
    assert ledger.retired("anna") == {"clip-a"}
    rows = {row["id"]: row for row in ledger.rows("clips").to_pylist()}
    assert (rows["clip-a"]["retired_at"], rows["clip-a"]["width_px"]) == (when, 96)
    assert sorted(plain_ids(tmp_path)) == ["clip-a", "clip-b"]
    ledger.retire("anna", ["clip-a"], None)
    assert {row["id"] for row in ledger.live_clips("anna")} == {"clip-a", "clip-b"}


def test_a_clip_without_its_artifact_is_not_live(tmp_path: Path) -> None:
    """A commit that was killed between the two."""
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.commit(commit("clip-a"))
    rows = pa.Table.from_pylist([{"id": "clip-b"}], schema=ledger.rows("clips").schema)
    ledger.tables["clips"].write("slug=anna", rows)
    assert ledger.live_clips("anna") == []


def test_what_is_known_of_a_file_is_one_row(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    ledger.note_sources("anna", [{"identity": "anna", "path": "a.mp4", "state": "done"}])
    ledger.note_sources("bob", [{"identity": "bob", "path": "a.mp4", "state": "done"}])
    ledger.note_sources("anna", [{"identity": "anna", "path": "a.mp4", "state": "gone"}])
    assert [(row["path"], row["state"]) for row in ledger.sources("anna")] == [("a.mp4", "gone")]
    assert len(ledger.rows("sources")) == 2
    assert ledger.sources("carl") == []
