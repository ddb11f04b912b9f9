"""Events of runs, as OpenLineage's own client writes them and its own schema describes them.

With MEMDUB_OPENLINEAGE_SPEC=FOLDER (the folder `spec` of a checkout of OpenLineage) every event and every
facet is held against the published schemas too.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from storage.artifacts import Made, produce
from storage.errors import RequestError, WorkError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import RawSource, Recipe
from storage.runs import run

SETTING = "MEMDUB_OPENLINEAGE"


def produced(home: Home, kind: str, inputs: dict[str, str] | None = None) -> str:
    def make(workspace: Path) -> Made:
        (workspace / "file").write_text(kind)
        return Made()

    raw = (RawSource("footage", "ab" * 32, "take one.mp4"),) if kind == "clip" else ()
    return produce(home, Recipe(kind, kind, 1, {}, inputs or {}, raw), make, identity="anna").id


@pytest.fixture
def events(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("openlineage.client", reason="needs memdub[openlineage]")
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv(SETTING, f"file:{path}")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    told = [json.loads(line) for line in path.read_text().splitlines()]
    for event in told:
        _valid(event)
    return told


def _valid(event: dict[str, Any]) -> None:
    """What the schema demands of every event; all of it, where the schema is there."""
    assert {"eventTime", "producer", "schemaURL", "run", "job"} <= set(event)
    uuid.UUID(event["run"]["runId"])
    facets = [*event["run"]["facets"].items(), *event["job"]["facets"].items()]
    for one in [*event["inputs"], *event["outputs"]]:
        assert one["namespace"]
        assert one["name"]
        facets += [*one["facets"].items(), *one.get("outputFacets", {}).items()]
    assert all({"_producer", "_schemaURL"} <= set(facet) for _, facet in facets)
    spec = os.environ.get("MEMDUB_OPENLINEAGE_SPEC")
    if spec is None:
        return
    from jsonschema import Draft202012Validator

    whole = json.loads((Path(spec) / "OpenLineage.json").read_text())
    Draft202012Validator(whole).validate(event)
    for name, facet in facets:
        file = Path(spec) / "facets" / f"{facet['_schemaURL'].rpartition('/')[2]}.json"
        assert file.is_file(), f"{name} has no published schema"
        own = json.loads(file.read_text())["$defs"][file.stem]
        extra = next((part for part in own.get("allOf", [own]) if "properties" in part), {})
        assert set(extra.get("required", ())) <= set(facet)
        assert set(facet) - {"_producer", "_schemaURL", "_deleted"} <= set(extra["properties"])


def test_a_run_starts_and_completes_with_what_it_took_and_made(home: Home, events: Path) -> None:
    ledger = Ledger(home.objects)
    with run(ledger, "ingest", identity="anna"):
        clip = produced(home, "clip")
    with run(ledger, "extract", identity="anna"):
        produced(home, "clip")
        features = produced(home, "features", {"clip": clip})
    told = read(events)
    assert [one["eventType"] for one in told] == ["START", "COMPLETE"] * 2
    assert [one["job"]["name"] for one in told] == ["ingest/anna"] * 2 + ["extract/anna"] * 2
    assert len({one["run"]["runId"] for one in told}) == 2
    rows = {row["id"]: row for row in ledger.rows("artifacts").to_pylist()}
    ingested, extracted = told[1], told[3]
    (footage,) = ingested["inputs"]
    assert (footage["namespace"], footage["name"]) == ("sha256", "ab" * 32)
    (made,) = ingested["outputs"]
    assert (made["namespace"], made["name"]) == ("file", home.uri(rows[clip]["uri"]))
    assert made["facets"]["version"]["datasetVersion"] == rows[clip]["content_hash"]
    assert made["outputFacets"]["outputStatistics"]["size"] == rows[clip]["bytes"]
    tags = {
        one["name"].rpartition("/")[2]: {tag["key"] for tag in one["facets"]["tags"]["tags"]}
        for one in extracted["outputs"]
    }
    assert "memdub.reused" in tags[clip]
    assert "memdub.reused" not in tags[features]


def test_a_run_inside_another_names_it(home: Home, events: Path) -> None:
    ledger = Ledger(home.objects)
    with run(ledger, "refresh") as outer, run(ledger, "extract", identity="anna"):
        pass
    told = read(events)
    assert [(one["job"]["name"], one["eventType"]) for one in told] == [
        ("refresh", "START"),
        ("extract/anna", "START"),
        ("extract/anna", "COMPLETE"),
        ("refresh", "COMPLETE"),
    ]
    parent = told[1]["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == told[0]["run"]["runId"]
    assert parent["job"]["name"] == "refresh"
    rows = {row["flow"]: row for row in ledger.rows("runs").to_pylist()}
    assert rows["extract"]["parent_run_id"] == outer.id
    assert rows["refresh"]["parent_run_id"] is None


@pytest.mark.parametrize(
    ("error", "ending"),
    [(WorkError("it broke"), "FAIL"), (RequestError("it was wrong"), "FAIL"), (KeyboardInterrupt(), "ABORT")],
)
def test_how_a_run_ended_is_told(home: Home, events: Path, error: BaseException, ending: str) -> None:
    with pytest.raises(type(error)), run(Ledger(home.objects), "train", identity="anna"):
        raise error
    last = read(events)[-1]
    assert last["eventType"] == ending
    assert last["run"]["facets"]["errorMessage"]["message"] == (str(error) or "KeyboardInterrupt")


class _Collector(BaseHTTPRequestHandler):
    told: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Collector)
    server.told = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_events_over_http(
    home: Home, events: Path, collector: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, f"http://127.0.0.1:{collector.server_port}")
    with run(Ledger(home.objects), "dub", identity="anna"):
        produced(home, "dub")
    told = collector.told  # type: ignore[attr-defined]
    assert [one["eventType"] for one in told] == ["START", "COMPLETE"]
    assert len(told[1]["outputs"]) == 1


def test_a_collector_that_is_not_there_stops_nobody(
    home: Home, events: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SETTING, "http://127.0.0.1:9")  # nobody listens there
    with run(Ledger(home.objects), "dub", identity="anna"):
        made = produced(home, "dub")
    assert Ledger(home.objects).find(made) is not None
    assert sum("events are not delivered" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("target", ["nonsense", "file:", "ftp://host/x", "http://"])
def test_a_place_that_is_none_is_refused_before_the_work(
    home: Home, events: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setenv(SETTING, target)
    with pytest.raises(RequestError, match="not a place for events"), run(Ledger(home.objects), "dub"):
        raise AssertionError("the work was begun")


def test_without_the_package_the_request_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "file:/tmp/never")
    monkeypatch.setitem(__import__("sys").modules, "openlineage.client.event_v2", None)
    with pytest.raises(RequestError, match=r"memdub\[openlineage\]"), run(Ledger(home.objects), "dub"):
        raise AssertionError("the work was begun")


def test_nobody_is_told_unless_it_was_asked_for(home: Home, tmp_path: Path) -> None:
    with run(Ledger(home.objects), "dub"):
        pass
    assert not list(tmp_path.glob("*.jsonl"))
