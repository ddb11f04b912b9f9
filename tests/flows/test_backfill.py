"""`memdub backfill`: what an outdated version made is made again; nothing else is, and nothing is removed."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.backfill import backfill
from flows.refresh import refresh
from storage.artifacts import Made, produce
from storage.home import Home
from storage.recipes import Recipe
from tasks import chain
from tasks import ingest as ingesting
from tests.flows.conftest import Shell
from tests.helpers.raw_home import clips_of, sources_of, table
from tests.helpers.talker import talker_home


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return talker_home(tmp_path_factory.mktemp("backfill"))


@pytest.fixture
def home(extracted: Path, root: Path) -> Path:
    shutil.rmtree(root / "home")
    return Path(shutil.copytree(extracted, root / "home"))


def versions(home: Path) -> dict[str, list[int]]:
    """By kind, the versions of all artifacts, oldest first."""
    found: dict[str, list[int]] = {}
    for row in sorted(table(home, "artifacts"), key=lambda row: row["started"]):
        found.setdefault(row["kind"], []).append(row["stage_version"])
    return found


def test_a_newer_version_of_a_stage_is_run_and_what_follows_from_it(
    home: Path, memdub: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {row["id"]: row["content_hash"] for row in table(home, "artifacts")}
    monkeypatch.setitem(chain.VERSIONS, "track", 2)
    assert memdub("plan") == 0
    assert "memdub backfill --stage track --since 1" not in memdub.out, "what is done is not shown"
    assert memdub("plan", "--all") == 0
    assert "by version 1, now there is 2: memdub backfill --stage track --since 1" in memdub.out
    assert refresh().made[1:] == [], "a refresh does no backfill"
    assert memdub("backfill", "--stage", "track", "--since", "1", "--dry-run") == 0
    line = "track is done again for 1 of anna: made by version 1, now there is 2, and after it fit, features"
    assert memdub.err.startswith(line)
    assert versions(home)["track"] == [1]
    result = backfill("track", "1", workers=0)
    assert [one.became for one in result.redos] == ["done"]
    made = {"clip": [2], "faces": [1], "audio": [1], "track": [1, 2], "fit": [1, 1], "features": [1, 1]}
    assert versions(home) == made
    after = {row["id"]: row["content_hash"] for row in table(home, "artifacts")}
    assert before.items() <= after.items(), "something was removed or made anew"
    flows = {row["flow"]: row["parent_run_id"] for row in table(home, "runs")}
    assert flows["extract"] == next(row["id"] for row in table(home, "runs") if row["flow"] == "backfill")
    again = backfill("track", "1")
    assert again.redos == []
    assert again.line().startswith("nothing to do")


SINCE = {"1": 1, "2": 0, "2020-01-01": 1, "2999-01-01": 0, "2020-01-01T12:00+02:00": 1}


@pytest.mark.parametrize(("since", "count"), SINCE.items())
def test_since_bounds_what_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch, since: str, count: int
) -> None:
    monkeypatch.setitem(chain.VERSIONS, "faces", 3)
    assert len(backfill("faces", since, ["anna"], dry_run=True).redos) == count


def test_what_the_version_of_now_made_is_left(home: Path) -> None:
    for stage in ("faces", "track", "audio", "fit", "features", "ingest"):
        assert backfill(stage, "1", dry_run=True).redos == []


def test_a_clip_is_done_again_with_its_own_choices(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was followed then is followed now."""
    from flows.extract import extract
    from tasks.chain import ExtractOptions

    options = ExtractOptions(face="0", offset=1.5)
    extract(["anna"], options=options, home=str(home), workers=0).raise_if_refused()
    monkeypatch.setitem(chain.VERSIONS, "features", 2)
    (features,) = backfill("features", "1", workers=0).made
    recipe = json.loads(features.row["recipe"])
    assert recipe["parameters"]["offset"] == 1.5
    track = next(row for row in table(home, "artifacts") if row["id"] == recipe["inputs"]["track"])
    assert json.loads(track["recipe"])["parameters"]["face"] == "0"


def test_a_clip_is_ingested_again_in_its_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refresh()
    monkeypatch.setattr(ingesting, "STAGE_VERSION", 3)
    result = backfill("ingest", "1", workers=0)
    assert [one.kind for one in result.made] == ["clip", "features"]
    retired = {row["id"]: row["retired_at"] is not None for row in table(home, "clips")}
    assert sorted(retired.values()) == [False, True]
    assert clips_of(home) == ["talk.mp4"]
    assert sources_of(home) == {"talk.mp4": "done"}
    assert refresh().is_idle
    assert refresh().files == []


def test_a_clip_whose_footage_is_gone_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingesting, "STAGE_VERSION", 3)
    (home / "raw" / "anna" / "talk.mp4").unlink()
    result = backfill("ingest", "1")
    assert [one.became for one in result.redos] == ["failed"]
    assert "its footage is not in raw/" in str(result.error())
    assert clips_of(home) == ["talk.mp4"]
    (failure,) = [row for row in table(home, "failures") if row["stage"] == "ingest"]
    assert failure["attempt"] == 1


def test_retired_clips_are_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage.ledger import Ledger

    monkeypatch.setitem(chain.VERSIONS, "faces", 2)
    (clip,) = (row["id"] for row in table(home, "clips"))
    Ledger(Home(home).objects).retire("anna", [clip], dt.datetime.now(dt.UTC))
    assert backfill("faces", "1", dry_run=True).redos == []


def test_a_memory_is_done_again_with_its_own_slots(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.helpers.footage import keep_consent

    keep_consent(home, scope='["ingest", "train"]')

    def make(workspace: Path) -> Made:
        (workspace / "file").write_text("mouths")
        return Made()

    produce(Home(home), Recipe("memory", "remember", 1, {"slots": 12}), make, identity="anna")
    asked: list[Any] = []
    monkeypatch.setattr("flows.remember.remember", lambda *a, **k: asked.append(k["slots"]))
    backfill("remember", "1")
    assert asked == [12]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--stage", "nonsense", "--since", "1"], "no such stage"),
        (["--stage", "track", "--since", "yesterday"], "neither a version nor a date"),
        (["--stage", "track", "--since", "1", "nobody"], "has no consent record"),
        (["--stage", "track"], "Missing option '--since'"),
    ],
)
def test_a_wrong_request_is_one_line(memdub: Shell, root: Path, words: list[str], line: str) -> None:
    assert memdub("backfill", *words) == 2
    assert memdub.err.count("\n") == 1
    assert line in memdub.err
