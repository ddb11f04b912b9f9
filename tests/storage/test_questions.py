"""`docs/questions.py`, cell by cell, on a ledger whose answers are known."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from storage.ledger import Ledger
from storage.ledger.views import keep_catalog
from storage.objects import open_objects
from tests.helpers.invented_ledger import Size, artifact, invent, name_of

SCRIPT = Path(__file__).parents[2] / "docs" / "questions.py"
SIZE = Size(people=2, clips=3, frames=40, dubs=1)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("asked")
    made = Ledger(open_objects(str(home)))
    invent(made, SIZE)
    made.commit(artifact("fit", "newer", "person00", {}, version=2, minute=60))
    last = artifact("dub", "last", "person01", {"template": name_of("clip", "person01 1")}, minute=70)
    made.commit(last)
    for day, subject in ((1, "old.mov"), (3, "new.mov"), (2, "old.mov")):
        when = dt.datetime(2026, 1, day, tzinfo=dt.UTC)
        about = {"id": str(day), "subject": subject, "stage": "ingest", "identity": "lost", "failed_at": when}
        made.record("failures", about)
    return home / "ledger"


@pytest.fixture(scope="module")
def told(ledger: Path) -> dict[str, Any]:
    """What every cell leaves behind."""
    space: dict[str, Any] = {}
    for cell in SCRIPT.read_text().split("\n# %%")[1:]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [str(SCRIPT), str(ledger)])
            exec(compile("#" + cell, str(SCRIPT), "exec"), space)
    return space


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """As tuples, with None for what is missing, whichever way pandas says that."""
    plain = frame[list(columns)].astype(object)
    return list(plain.where(plain.notna(), None).itertuples(index=False, name=None))


def test_there_are_ten_questions_and_two_in_pandas() -> None:
    titles = [line for line in SCRIPT.read_text().splitlines() if line.startswith("# %%")]
    assert sum("?" in line for line in titles) == 10
    assert sum("pandas" in line for line in titles) == 2
    imported = {
        line.split()[1] for line in SCRIPT.read_text().splitlines() if re.match(r"(import|from) ", line)
    }
    assert imported == {"sys", "pathlib", "duckdb", "pandas"}


def test_profiles_and_sync(told: dict[str, Any]) -> None:
    thirds = [f"person0{n} 2.mp4" for n in (0, 1)]
    found = rows(told["profiles"], "source_name", "frames", "furthest_deg", "first_s", "last_s")
    assert sorted(found) == [(name, 10, 45.8, 0.0, 0.36) for name in thirds]
    assert told["weak"]["kind"].value_counts().to_dict() == {"dub": 6, "clip": 2}
    assert set(told["weak"]["late_frames"]) == {3.0, -2.0}


def test_hours_and_disk_are_the_same_in_pandas(told: dict[str, Any]) -> None:
    hours = {name: pytest.approx(4.8 / 3600) for name in ("person00", "person01")}
    assert dict(rows(told["hours"], "identity", "hours")) == hours
    assert dict(rows(told["hours_in_pandas"], "identity", "hours")) == hours
    columns = ("kind", "stage", "artifacts", "bytes")
    assert sorted(rows(told["disk"], *columns)) == sorted(rows(told["disk_in_pandas"], *columns))
    assert told["disk"]["percent"].sum() == pytest.approx(100, abs=0.5)
    assert rows(told["disk"], "kind")[0] == ("dub",)


def test_methods_origins_and_retraining(told: dict[str, Any]) -> None:
    assert rows(told["best"], "identity", "method", "figures_won") == [
        (person, method, count)
        for person in ("person00", "person01")
        for method, count in (("memface", 2), ("nearest", 1))
    ]
    assert told["dub"] == name_of("dub", "last")
    assert rows(told["origins"], "depth", "kind", "name") == [
        (1, "clip", None),
        (2, "raw file", "person01 1.mp4"),
    ]
    person = told["retrained"]["identity"][0]
    assert told["clip"] in {name_of("clip", f"{person} {number}") for number in range(3)}
    assert rows(told["retrained"], "kind", "method", "stage") == [
        ("memory", None, None),
        ("checkpoint", "memface", "expression"),
        ("checkpoint", "memface", "frame"),
    ]


def test_versions_failures_and_unjudged_dubs(told: dict[str, Any]) -> None:
    assert rows(told["old"], "stage", "stage_version", "newest_version", "artifacts") == [("fit", 1, 2, 6)]
    assert rows(told["failed"], "subject", "attempts") == [("new.mov", 1), ("old.mov", 2)]
    assert dict(rows(told["unjudged"].dropna(), "identity", "dubs")) == {"person00": 3, "person01": 3}
    assert name_of("dub", "last") in set(told["unjudged"]["newest"])


def test_the_script_answers_for_a_ledger_where_nothing_is_asked_for(tmp_path: Path) -> None:
    """One artifact: no frames, no metrics, no dubs."""
    made = Ledger(open_objects(str(tmp_path)))
    invent(made, Size(people=1, clips=0, dubs=0))
    row = {"id": "clip-x", "identity": "anna", "duration_s": 36.0}
    film = artifact("clip", "x", "anna", {}, raw={"footage": "x.mp4"})
    made.commit(type(film)(film.artifact, film.lineage, [row | {"id": film.artifact["id"]}]))
    keep_catalog(made.objects, "ledger")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "ledger")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n## ") == 12
    assert "anna   0.01" in done.stdout
