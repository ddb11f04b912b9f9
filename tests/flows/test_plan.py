"""`memdub plan`: stage by clip, with minutes from past runs; and nothing is written."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from flows.ingest import ingest
from flows.pace import Pace
from flows.planning import Plan, plan
from flows.refresh import refresh
from storage.artifacts import Made, produce
from storage.errors import MediaError, RequestError
from storage.home import Home
from storage.ledger import Commit, Ledger
from tasks.chain import Chain, ExtractOptions, Ingredients
from tests.flows.conftest import Shell, everything_in
from tests.helpers.footage import film, keep_consent
from tests.helpers.raw_home import Extraction, clips_of, table
from tests.helpers.tiny_home import known  # noqa: F401  (the tiny method)

pytestmark = pytest.mark.usefixtures("extraction")

STAGES = {"ingest", "faces", "track", "audio", "fit", "features"}


@pytest.fixture
def raw(root: Path) -> Path:
    for number in range(3):
        film(root / "home" / "raw" / "anna" / f"{number}.mp4", seed=number, seconds=1.2)
    return root / "home" / "raw" / "anna"


def states(found: Plan, file: str) -> dict[str, str]:
    """By stage, of one file."""
    return {one.stage: one.state for one in found.steps if one.file == file}


def test_before_and_after(raw: Path, root: Path, memdub: Shell) -> None:
    before = everything_in(root / "home")
    first = plan()
    assert all(states(first, f"{number}.mp4") == dict.fromkeys(STAGES, "to run") for number in range(3))
    assert set(first.unknown) == STAGES
    assert first.minutes == 0
    assert memdub("plan") == 0
    assert "no past run tells how long these take: audio, faces, features, fit, ingest, track" in memdub.out
    assert everything_in(root / "home") == before, "something was written"
    refresh()
    after = plan()
    assert after.count("to run") == 0
    assert after.count("done") == 3 * len(STAGES)
    assert memdub("plan") == 0
    assert "3 clips are done" in memdub.out
    assert "nothing to do" in memdub.out


def test_only_what_is_new_is_to_run(raw: Path, root: Path) -> None:
    refresh()
    film(raw / "new one.mp4", seed=9, seconds=1.2)
    (raw / "0.mp4").unlink()
    found = plan()
    assert set(states(found, "new one.mp4").values()) == {"to run"}
    assert states(found, "0.mp4")["retire"] == "to run"
    assert set(states(found, "1.mp4").values()) == {"done"}
    assert found.unknown == ["audio", "faces", "track"], "what made-up extraction makes has a past"
    assert found.minutes > 0


def test_what_failed_blocks_what_follows(raw: Path, extraction: Extraction) -> None:
    (raw / "bad.mp4").write_bytes(b"no film" * 1000)
    extraction.refuses = lambda clip: clip["source_name"] == "1.mp4"
    refresh()
    found = plan()
    assert states(found, "bad.mp4") == {"ingest": "failed"}
    one = states(found, "1.mp4")
    assert (one["ingest"], one["faces"], one["features"]) == ("done", "failed", "blocked")
    why = {step.why for step in found.steps if step.state == "failed"}
    assert any("no face in any frame" in str(line) for line in why)
    assert any("not a video" in str(line) for line in why)
    again = plan("extract", ["anna"])
    assert again.count("failed") == 0, "`memdub extract` tries again what was refused"


def test_it_goes_through_those_whom_a_refresh_goes_through(raw: Path, root: Path) -> None:
    """Somebody without a folder in raw/ is never refreshed: there is nothing of theirs to run."""
    keep_consent(root / "home", "bob")
    ingest([film(root / "elsewhere.mp4", seed=50)], "bob").raise_if_refused()
    refresh()
    assert {one.identity for one in plan().steps} == {"anna"}
    assert plan().count("to run") == 0
    assert {one.identity for one in plan("extract").steps if one.state == "to run"} == {"anna", "bob"}


def test_files_that_were_moved_are_known_by_their_number(raw: Path, root: Path) -> None:
    refresh()
    for number in range(3):
        (raw / f"{number}.mp4").rename(raw / f"take {number}.mp4")
    found = plan()
    assert (found.count("to run"), found.stops) == (0, None)
    assert refresh().people[0].taken == 0


def test_it_says_where_a_refresh_would_stop(raw: Path, root: Path, memdub: Shell) -> None:
    refresh()
    (raw / "0.mp4").unlink()
    found = plan()
    assert found.stops is not None
    assert "1 of 3 clips would be retired" in found.stops
    assert memdub("plan") == 0
    assert "would stop: " in memdub.out
    assert plan("extract").stops is None


def test_a_memory_that_was_refused_waits_for_other_features(
    raw: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_consent(root / "home", scope='["ingest", "train"]')

    def refuse(*_: object, **__: object) -> None:
        raise MediaError("no mouth in any frame", where="anna")

    monkeypatch.setattr("flows.remember.remember", refuse)
    assert len(refresh().failed) == 1
    (step,) = [one for one in plan().steps if one.stage == "remember"]
    assert (step.state, step.why) == ("failed", "anna: no mouth in any frame")
    assert refresh().is_idle
    film(raw / "new.mp4", seed=9, seconds=1.2)
    (step,) = [one for one in plan().steps if one.stage == "remember"]
    assert step.state == "to run"


def test_extract_is_planned_with_the_options_of_the_command(raw: Path, root: Path) -> None:
    """Clips that were extracted with others are to run again, as `memdub extract` will do it."""
    refresh()
    clip = clips_by_name(root / "home")["0.mp4"]
    home = Home(root / "home")

    def note(workspace: Path) -> Made:
        (workspace / "note").write_text("of another face")
        return Made()

    own = ExtractOptions(face="right")
    for one in Chain.of(clip, Ingredients.gather(home, own)):
        produce(home, one, note, identity="anna")
    found = {one.stage: one.state for one in plan("extract").steps if one.subject == clip}
    assert (found["faces"], found["track"], found["features"]) == ("done", "to run", "to run")


def clips_by_name(home: Path) -> dict[str, str]:
    return {row["source_name"]: row["id"] for row in table(home, "clips")}


def test_whoever_has_no_consent_is_blocked(raw: Path, root: Path) -> None:
    film(root / "home" / "raw" / "bob" / "b.mp4", seed=90)
    found = [one for one in plan().steps if one.identity == "bob"]
    assert [(one.state, one.why) for one in found] == [("blocked", "bob has no consent record")]


def test_a_train_and_a_dub(raw: Path, root: Path, memdub: Shell) -> None:
    refresh()
    blocked = [one for one in plan("train", ["anna"]).steps if one.stage in ("remember", "train")]
    assert {one.state for one in blocked} == {"blocked"}
    keep_consent(root / "home", scope='["ingest", "train", "dub"]')
    found = {one.stage: one for one in plan("train", ["anna"], method="tiny", preset="smoke").steps}
    assert (found["remember"].state, found["train"].state) == ("to run", "to run")
    assert found["train"].subject == "tiny:smoke:expression"
    assert memdub("plan", "dub", "anna", "--method", "tiny", "--preset", "smoke", "--json") == 0
    last = json.loads(memdub.out)["plan"][-1]
    assert (last["stage"], last["state"]) == ("dub", "blocked")
    assert "speech" in last["why"]


def test_minutes_are_medians_of_seconds_a_frame(root: Path) -> None:
    ledger = Ledger(Home().objects)
    for number, (frames, seconds) in enumerate([(100, 10.0), (100, 30.0), (1000, 200.0)]):
        clip = f"clip-{number}"
        row = {"id": clip, "identity": "anna", "frames": frames, "source_bytes": 1000 * frames}
        ledger.commit(_made(clip, "clip", seconds=50.0, clips=[row]))
        ledger.commit(_made(f"track-{number}", "track", seconds=seconds, clip=clip))
    pace = Pace(ledger)
    assert pace.of_frames("track", 600) == pytest.approx(0.2 * 600 / 60)  # of 0.1, 0.3 and 0.2
    assert pace.of_frames("faces", 600) is None
    assert pace.frames_of(50_000) == pytest.approx(50)
    assert pace.of_file(200_000) == pytest.approx(200_000 * 50 / 100_000 / 60)


def _made(name: str, kind: str, *, seconds: float, clip: str | None = None, clips: Any = ()) -> Commit:
    row = {
        "id": name,
        "kind": kind,
        "identity": "anna",
        "uri": f"stores/{kind}/{name}",
        "recipe": json.dumps({"inputs": {"clip": clip} if clip else {}, "parameters": {}}),
        "stage_version": 1,
        "started": dt.datetime.now(dt.UTC),
        "seconds": seconds,
        "bytes": 1,
    }
    edge = {"child": name, "parent": clip, "role": "clip", "parent_name": None}
    return Commit(row, [edge] if clip else [], clips)


def test_a_wrong_request_is_refused(memdub: Shell, root: Path) -> None:
    with pytest.raises(RequestError, match="no such flow"):
        plan("nonsense")
    assert memdub("plan", "Not A Name") == 2
    assert memdub.err.count("\n") == 1
    assert clips_of(root / "home") == []
