"""Ready views: what they say of a ledger whose rows are known, in memdub and in plain DuckDB."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from models.offset import CONFIDENT
from storage.ledger import TABLES, Ledger, connect
from storage.ledger.views import CATALOG, catalog, keep_catalog, named, needed, views
from storage.objects import open_objects
from tasks.offset import IN_STEP_FRAMES
from tests.helpers.invented_ledger import Size, artifact, invent, name_of

SIZE = Size(people=2, clips=3, frames=40, dubs=2)


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two people; beside them, somebody retired and somebody who failed."""
    home = tmp_path_factory.mktemp("invented")
    ledger = Ledger(open_objects(str(home)))
    invent(ledger, SIZE)
    ledger.retire("person01", [name_of("clip", "person01 0")], dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    ledger.commit(artifact("fit", "newer", "person00", {}, version=2, minute=60))
    for attempt in (1, 2):
        when = dt.datetime(2026, 1, attempt, tzinfo=dt.UTC)
        about = {"identity": "lost", "stage": "ingest", "subject": "bad.mov", "run_id": "run-1"}
        reason = {"reason": f"try {attempt}", "error": "MediaError", "attempt": attempt}
        ledger.record("failures", {"id": str(attempt), **about, **reason, "failed_at": when})
    ledger.record("runs", {"id": "run-1", "flow": "ingest", "started": when, "arguments": "{}"})
    return home


@pytest.fixture
def asked(invented: Path) -> duckdb.DuckDBPyConnection:
    return connect(Ledger(open_objects(str(invented))), *TABLES, *views())


def plain(folder: Path, text: str | None = None) -> duckdb.DuckDBPyConnection:
    """DuckDB with nothing of ours but the file beside the tables."""
    connection = duckdb.connect()
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute(f"set variable memdub_ledger = '{folder}'")
    connection.execute((folder / CATALOG).read_text() if text is None else text)
    return connection


def source(name: str, of: str = "clip-") -> str:
    return f"{name}('{of}')" if views()[name].is_macro else name


def everything(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    names = [*TABLES, *(source(name) for name in views())]
    return {name: sorted(map(repr, connection.execute(f"from {name}").fetchall())) for name in names}


@pytest.mark.parametrize("name", sorted(views()))
def test_columns_are_as_the_head_of_the_file_tells(name: str, tmp_path: Path) -> None:
    """Of an empty ledger, where nothing but the SQL says what types are."""
    told = (
        connect(Ledger(open_objects(str(tmp_path))), name).execute(f"describe from {source(name)}").fetchall()
    )
    assert [(row[0], row[1].lower()) for row in told] == [
        (one.name, one.type) for one in views()[name].columns
    ]
    assert all(one.about for one in views()[name].columns)
    assert views()[name].about.endswith(".")


def test_plain_duckdb_says_the_same_wherever_the_ledger_was_carried(
    invented: Path, tmp_path: Path, asked: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = everything(asked)
    assert all(wanted[name] for name in wanted if name != "sources")
    moved = Path(shutil.copytree(invented / "ledger", tmp_path / "some'one's ledger"))
    assert everything(plain(Path(str(moved).replace("'", "''")), (moved / CATALOG).read_text())) == wanted
    monkeypatch.chdir(moved)
    beside = duckdb.connect()
    beside.execute(Path(CATALOG).read_text())
    assert everything(beside) == wanted


def test_the_catalog_answers_for_an_empty_ledger_and_for_old_files(tmp_path: Path) -> None:
    assert set(map(len, everything(plain(tmp_path, catalog())).values())) == {0}
    ledger = Ledger(open_objects(str(tmp_path)))
    invent(ledger, Size(people=1, clips=1, dubs=0))
    file = next(tmp_path.glob("ledger/clips/**/*.parquet"))
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["retired_at"]), file)
    keep_catalog(ledger.objects, "ledger")
    assert plain(tmp_path / "ledger").execute("select retired from clip_quality").fetchall() == [(False,)]


def test_dubs_from_before_methods_had_a_column_tell_it_by_their_recipe(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    invent(ledger, Size(people=1, clips=1, dubs=1))
    question = "select dub, method, preset from dubs order by dub"
    wanted = connect(ledger, "dubs").execute(question).fetchall()
    assert {row[1:] for row in wanted} == {("nearest", "cpu"), ("memface", "cpu")}
    file = next(tmp_path.glob("ledger/artifacts/**/*.parquet"))
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["method", "preset"]), file)
    assert connect(ledger, "dubs").execute(question).fetchall() == wanted


def test_runs_keep_the_catalog_true(invented: Path, tmp_path: Path) -> None:
    assert (invented / "ledger" / CATALOG).read_text() == catalog()
    file = tmp_path / "ledger" / CATALOG
    file.parent.mkdir()
    file.write_text("of an older version")
    row = {"id": "r", "started": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}
    Ledger(open_objects(str(tmp_path))).record("runs", row)
    assert file.read_text() == catalog()


def test_rows_that_no_artifact_owns_are_hidden_in_plain_duckdb_too(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    invent(ledger, Size(people=1, clips=1, dubs=0))
    ledger.tables["artifacts"].remove(
        lambda rows: [one.startswith("features") for one in rows["id"].to_pylist()]
    )
    keep_catalog(ledger.objects, "ledger")
    asked = plain(tmp_path / "ledger")
    assert asked.execute("select count(*) from metrics where metric like 'preflight%'").fetchall() == [(0,)]
    assert asked.execute("select count(*) from lineage where child like 'features-%'").fetchall() == [(0,)]
    assert asked.execute("select count(*) from lineage where role = 'exported as mp4'").fetchall() == [(4,)]


def test_only_what_a_question_names_is_made(tmp_path: Path) -> None:
    assert set(named("select * from People p join clips using (identity)")) == {"people", "clips"}
    assert set(named("show tables")) == {*TABLES, *views()}
    assert named("select 1") == ()
    made = list(needed(["hours"]))
    assert made.index("artifacts") < made.index("clips") < made.index("clip_quality") < made.index("hours")
    assert not {"frames", "runs", "failures"} & set(made)
    known = connect(Ledger(open_objects(str(tmp_path))), "hours").execute("show tables").fetchall()
    assert {row[0] for row in known} == set(made)


def test_people_and_hours(asked: duckdb.DuckDBPyConnection) -> None:
    people = asked.execute(
        "select identity, clips, features, memories, checkpoints, dubs, evaluations, failures from people"
    ).fetchall()
    dubs = 3 * (4 + SIZE.dubs)
    assert sorted(people) == [
        ("lost", 0, 0, 0, 0, 0, 0, 2),
        ("person00", 3, 3, 1, 2, dubs, 3, 0),
        ("person01", 2, 3, 1, 2, dubs, 3, 0),
    ]
    hours = asked.execute(
        "select identity, clips, hours * 3600, face_hours * 3600, speech_hours * 3600, retired_clips "
        "from hours"
    ).fetchall()
    # 1.6 s a clip; in the third a face is seen half of the time.
    assert sorted(hours) == [
        ("person00", 3, pytest.approx(4.8), pytest.approx(4.0), pytest.approx(2.4), 0),
        ("person01", 2, pytest.approx(3.2), pytest.approx(2.4), pytest.approx(1.6), 1),
    ]


def test_profile_frames_are_of_the_newest_track_and_of_live_clips(invented: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(invented, tmp_path / "home"))
    ledger = Ledger(open_objects(str(home)))

    def found() -> list[Any]:
        question = "select clip, count(*), min(yaw_deg), max(time_s) from profile_frames group by clip"
        return sorted(connect(Ledger(open_objects(str(home))), "profile_frames").execute(question).fetchall())

    third, other = name_of("clip", "person00 2"), name_of("clip", "person01 2")
    both = sorted(
        (clip, 10, pytest.approx(45.8366, abs=1e-3), pytest.approx(9 / 25)) for clip in (third, other)
    )
    assert found() == both
    ledger.retire("person01", [other], dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    assert [row[0] for row in found()] == [third]
    ledger.commit(artifact("track", "again", "person00", {"clip": third}, minute=99))
    assert found() == []


def test_sync_spots_know_the_measures_own_bounds(asked: duckdb.DuckDBPyConnection) -> None:
    text = views()["sync_spots"].sql
    assert f"confidence < {CONFIDENT}" in text
    assert f"late_frames) >= {IN_STEP_FRAMES}" in text
    rows = asked.execute("select kind, clip, method, late_frames, why from sync_spots where weak").fetchall()
    filmed = [row for row in rows if row[0] == "clip"]
    thirds = {name_of("clip", f"person0{n} 2") for n in (0, 1)}
    assert {row[1] for row in filmed} == thirds
    assert {row[3:] for row in filmed} == {(3.0, "out of step, and corrected")}
    made = [row for row in rows if row[0] == "dub"]
    assert len(made) == 6
    assert {row[2:] for row in made} == {("nearest", -2.0, "lips are late or early")}


def test_checkpoints_have_their_best_figures_and_no_curves(asked: duckdb.DuckDBPyConnection) -> None:
    rows = asked.execute("select * from checkpoints where identity = 'person00' order by stage").fetchall()
    assert [row[2:10] for row in rows] == [
        ("memface", "cpu", stage, True, 0.2, 3, 0.5, {"loss": 0.5, "opening_correlation": 0.8})
        for stage in ("expression", "frame")
    ]
    assert [row[10:13] for row in rows] == [(400, 390, 60.0)] * 2


def test_dubs_tell_template_speech_and_whether_they_were_judged(asked: duckdb.DuckDBPyConnection) -> None:
    rows = asked.execute(
        "select method, template_name, speech_name, speech_s, frames, checkpoints, evaluated from dubs "
        "where identity = 'person00' and template_name = 'person00 0.mp4' order by evaluated, method"
    ).fetchall()
    assert rows[:2] == [
        ("memface", "person00 0.mp4", "person00 0 says 1.wav", 2.0, 50, 2, False),
        ("nearest", "person00 0.mp4", "person00 0 says 0.wav", 2.0, 50, 0, False),
    ]
    assert [row[-1] for row in rows[2:]] == [True] * 4


def test_the_best_method_is_told_figure_by_figure(asked: duckdb.DuckDBPyConnection) -> None:
    rows = asked.execute("select * from best_methods where identity = 'person00' order by figure").fetchall()
    assert rows == [
        ("person00", "late_frames", "near 0", "memface", 0.0, 3, 2, "nearest", 2.0),
        ("person00", "opening", "more", "memface", pytest.approx(0.81), 3, 2, "nearest", pytest.approx(0.4)),
        ("person00", "psnr_db", "more", "nearest", 31.0, 3, 2, "memface", 29.0),
    ]


def test_the_newest_evaluation_of_a_clip_counts(tmp_path: Path) -> None:
    ledger = Ledger(open_objects(str(tmp_path)))
    for minute, value in ((5, 0.9), (1, 0.1), (3, 0.2)):
        made = artifact(
            "evaluation", str(minute), "anna", {"truth": "clip-a", "dinet": "dub-a"}, minute=minute
        )
        figure = {"artifact": made.artifact["id"], "metric": "dinet opening", "split": "all", "value": value}
        ledger.commit(type(made)(made.artifact, made.lineage, metrics=[figure]))
    asked = connect(ledger, "best_methods")
    assert asked.execute("select method, value, clips from best_methods").fetchall() == [("dinet", 0.9, 1)]
    assert asked.execute("select distinct clip, dub, figure from evaluations").fetchall() == [
        ("clip-a", "dub-a", "opening")
    ]


def test_ancestors_and_descendants(asked: duckdb.DuckDBPyConnection) -> None:
    dub = name_of("dub", "person00 0 says 1.wav memface")
    rows = asked.execute(
        f"select kind, count(*), min(depth) from ancestors('{dub[:12]}') group by 1"
    ).fetchall()
    counts = {kind: (count, depth) for kind, count, depth in rows}
    assert counts["raw file"] == (4, 1)
    assert {kind: counts[kind] for kind in ("clip", "features", "memory", "checkpoint")} == {
        "clip": (3, 1),
        "features": (3, 1),
        "memory": (1, 1),
        "checkpoint": (2, 1),
    }
    names = asked.execute(f"select name from ancestors('{dub}') where kind = 'raw file'").fetchall()
    assert {row[0] for row in names} == {"person00 0 says 1.wav", *(f"person00 {n}.mp4" for n in range(3))}
    clip = name_of("clip", "person00 1")
    below = dict(asked.execute(f"select kind, count(*) from descendants('{clip}') group by 1").fetchall())
    dubs = 3 * (4 + SIZE.dubs)
    assert below == {
        **dict.fromkeys(("faces", "track", "audio", "fit", "features", "memory"), 1),
        "checkpoint": 2,
        "dub": dubs,
        "evaluation": 3,
        "exported file": dubs,
    }


def test_diamonds_and_circles_end(tmp_path: Path) -> None:
    """Twenty diamonds on top of each other, and two that claim to be made of each other."""
    ledger = Ledger(open_objects(str(tmp_path)))
    below = artifact("clip", "0", "anna", {"again": name_of("clip", "20")})
    ledger.commit(below)
    for number in range(20):
        sides = [
            artifact("fit", f"{side} {number}", "anna", {"clip": name_of("clip", str(number))})
            for side in "lr"
        ]
        top = artifact(
            "clip", str(number + 1), "anna", {one.artifact["uri"]: one.artifact["id"] for one in sides}
        )
        ledger.commit(*sides, top)
    asked = connect(ledger, "ancestors", "descendants")
    assert asked.execute(f"select count(*) from ancestors('{name_of('clip', '20')}')").fetchall() == [(61,)]
    assert asked.execute(f"select count(*) from descendants('{name_of('clip', '0')}')").fetchall() == [(61,)]


def test_disk_old_versions_and_failures(asked: duckdb.DuckDBPyConnection) -> None:
    rows = {row[0]: row[2:6] for row in asked.execute("from storage_by_stage").fetchall()}
    assert rows["clip"] == (6, 30_000, pytest.approx(30_000 / sum(row[1] for row in rows.values())), 0)
    assert rows["fit"][0] == 7
    assert rows["fit"][3] == 6 * 2000
    outdated = asked.execute("select distinct kind, stage_version, newest_version from outdated").fetchall()
    assert outdated == [("fit", 1, 2)]
    failed = asked.execute("select identity, subject, reason, attempts, flow from last_failures").fetchall()
    assert failed == [("lost", "bad.mov", "try 2", 2, "ingest")]


def test_every_view_is_in_the_catalog_once() -> None:
    text = catalog()
    for name in (*TABLES, *views()):
        kind = "macro" if name in views() and views()[name].is_macro else "view"
        assert text.count(f"create or replace {kind} {name}") == 1
    assert not set(TABLES) & set(views())
    assert json.dumps(text).isascii()
