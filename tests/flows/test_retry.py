"""`memdub retry --failed`: only what failed and has not succeeded since, as it was asked for then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.failures import standing
from flows.ingest import ingest
from flows.refresh import refresh
from flows.retry import retry
from storage.errors import WorkError
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import run
from tests.flows.conftest import Shell
from tests.helpers.footage import film, keep_consent
from tests.helpers.raw_home import Extraction, clips_of, sources_of, table

pytestmark = pytest.mark.usefixtures("extraction")


@pytest.fixture
def raw(root: Path) -> Path:
    for number in range(3):
        film(root / "home" / "raw" / "anna" / f"{number}.mp4", seed=number, seconds=1.2)
    return root / "home" / "raw" / "anna"


def left(home: Path) -> list[tuple[str, str]]:
    """What failed and has not succeeded since."""
    rows = standing(Ledger(Home(home).objects))
    return [(row["stage"], Path(row["subject"]).name) for row in rows]


def test_only_the_clip_that_failed_is_tried(
    raw: Path, root: Path, memdub: Shell, extraction: Extraction
) -> None:
    extraction.refuses, extraction.error = (lambda clip: clip["source_name"] == "1.mp4"), WorkError
    refresh()
    (failure,) = table(root / "home", "failures")
    assert memdub("retry", "--failed", "--dry-run") == 0
    assert "no face in any frame" in memdub.out
    assert len(extraction.calls) == 1
    assert memdub("retry", "--failed") == 1
    assert memdub.err.splitlines()[0] == f"extract {failure['subject']}: {failure['reason']}"
    assert [row["attempt"] for row in table(root / "home", "failures")] == [1, 2]
    extraction.refuses = lambda clip: False
    assert memdub("retry", "--failed", "--json") == 0
    told = json.loads(memdub.out)
    assert [(one["became"], one["attempt"]) for one in told["failures"]] == [("done", 2)]
    assert extraction.calls[1:] == [[failure["subject"]]] * 2
    assert left(root / "home") == []
    assert memdub("retry", "--failed") == 0
    assert "Nothing failed" in memdub.out
    assert len(extraction.calls) == 3


def test_what_was_refused_for_good_is_tried_when_somebody_asks(
    raw: Path, root: Path, extraction: Extraction
) -> None:
    extraction.refuses = lambda clip: clip["source_name"] == "1.mp4"
    refresh()
    assert sources_of(root / "home")["1.mp4"] == "quarantined"
    extraction.refuses = lambda clip: False
    assert [one.became for one in retry().trials] == ["done"]
    assert sources_of(root / "home")["1.mp4"] == "done"
    assert refresh().is_idle


def test_a_file_that_was_bad_and_is_mended_in_place(raw: Path, root: Path) -> None:
    whole = (raw / "0.mp4").read_bytes()
    (raw / "bad.mp4").write_bytes(whole[: len(whole) // 2])
    refresh()
    assert left(root / "home") == [("ingest", "bad.mp4")]
    again = retry()
    assert [one.became for one in again.trials] == ["failed"]
    assert again.error() is not None
    assert [row["attempt"] for row in table(root / "home", "failures")] == [1, 2]
    film(raw / "bad.mp4", seed=7)
    assert [one.became for one in retry().trials] == ["done"]
    assert "bad.mp4" in clips_of(root / "home")
    assert sources_of(root / "home")["bad.mp4"] == "done"
    assert left(root / "home") == []


def test_a_file_that_a_refresh_took_since_did_not_stay_failed(raw: Path, root: Path) -> None:
    (raw / "bad.mp4").write_bytes(b"no film" * 1000)
    refresh()
    film(raw / "bad.mp4", seed=7)
    refresh()
    assert left(root / "home") == []


def test_a_file_is_ingested_as_it_was_asked_for_then(raw: Path, root: Path) -> None:
    bad = root / "elsewhere.mp4"
    bad.write_bytes(b"no film" * 1000)
    ingest([raw / "0.mp4", bad], "anna", max_side=64, silent_ok=True)
    assert left(root / "home") == [("ingest", "elsewhere.mp4")]
    film(bad, seed=8, sound=False)
    (made,) = retry().made
    assert json.loads(made.row["recipe"])["parameters"]["max_side"] == 64
    assert left(root / "home") == []


def test_what_is_gone_is_said_and_not_counted_as_failed(
    raw: Path, root: Path, extraction: Extraction
) -> None:
    (raw / "bad.mp4").write_bytes(b"no film" * 1000)
    extraction.refuses, extraction.error = (lambda clip: clip["source_name"] == "1.mp4"), WorkError
    refresh()
    (raw / "bad.mp4").unlink()
    (raw / "1.mp4").unlink()
    refresh(allow_shrink=True)
    result = retry()
    assert {(one.stage, one.became) for one in result.trials} <= {("ingest", "gone"), ("extract", "gone")}
    assert result.failed == []


def test_of_whom_and_how_many(raw: Path, root: Path, extraction: Extraction) -> None:
    keep_consent(root / "home", "bob")
    film(root / "home" / "raw" / "bob" / "b.mp4", seed=40)
    extraction.refuses, extraction.error = (lambda clip: True), WorkError
    refresh()
    assert len(left(root / "home")) == 4
    extraction.refuses = lambda clip: False
    assert [one.identity for one in retry(["bob"]).trials] == ["bob"]
    assert len(retry(limit=2).trials) == 2
    assert len(left(root / "home")) == 1


def test_whoever_withdrew_is_left_alone(raw: Path, root: Path, extraction: Extraction) -> None:
    extraction.refuses, extraction.error = (lambda clip: True), WorkError
    refresh()
    (root / "home" / "identities" / "anna" / "consent.toml").unlink()
    calls = len(extraction.calls)
    assert {one.became for one in retry().trials} == {"blocked"}
    assert len(extraction.calls) == calls


def test_a_flow_that_broke_is_run_again_as_it_was(raw: Path, root: Path) -> None:
    """A whole extraction that broke: its failure is of the flow, and so is its success."""
    refresh()
    ledger = Ledger(Home(root / "home").objects)
    asked = {"identities": ["anna"], "options": {"speech": "embedded"}}
    with (
        pytest.raises(OSError, match="the cluster"),
        run(ledger, "extract", identity="anna", arguments=asked),
    ):
        raise OSError("the cluster is gone")
    assert left(root / "home") == [("extract", "anna")]
    (failure,) = table(root / "home", "failures")
    assert failure["reason"] == "OSError: the cluster is gone"
    result = retry()
    assert [one.became for one in result.trials] == ["done"]
    with run(ledger, "extract", identity="anna", arguments=asked):
        pass
    assert left(root / "home") == []


def test_without_failed_nothing_is_tried(memdub: Shell) -> None:
    assert memdub("retry") == 2
    assert "add --failed" in memdub.err
