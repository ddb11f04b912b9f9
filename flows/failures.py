"""What failed and has not succeeded since.

Shared by the flows that leave refused things alone, try them again, or tell of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from storage.ledger import Ledger

__all__ = ["is_for_good", "is_of_flow", "refused_clips", "standing"]

Row = Mapping[str, Any]


def standing(ledger: Ledger) -> list[dict[str, Any]]:
    """The last failure of each thing that has not succeeded since, oldest first."""
    rows = sorted(ledger.rows("failures").to_pylist(), key=lambda row: row["failed_at"])
    if not rows:
        return []
    since = _Since(ledger, rows)
    last = {since.key(row): row for row in rows}
    return [row for row in last.values() if not since.succeeded(row)]


def refused_clips(ledger: Ledger) -> dict[str, str]:
    """Clips that extraction would refuse again, as nothing about them can change; and why."""
    return {row["subject"]: row["reason"] for row in standing(ledger) if is_for_good(row)}


def is_for_good(row: Row) -> bool:
    """Whether extraction refused a clip for what it is."""
    return row["stage"] == "extract" and row["error"] == "MediaError"


def is_of_flow(row: Row) -> bool:
    """Whether a flow failed as a whole, and not one file or clip in it."""
    if row["stage"] == "extract":
        return not str(row["subject"]).startswith("clip-")
    return row["stage"] != "ingest" or row["subject"] in (row["identity"], "ingest")


# Of a run's arguments: how it was to be done, not what.
_HOW = frozenset({"where", "device", "processes", "workers"})


class _Since:
    """What the ledger says of the time after a failure; read once, and only if somebody asks."""

    def __init__(self, ledger: Ledger, failures: list[dict[str, Any]]) -> None:
        self.ledger = ledger
        self.failed_in = {(row["run_id"], row["subject"]) for row in failures}
        self.runs = ledger.rows("runs").to_pylist()
        self.by_id = {row["id"]: row for row in self.runs}
        self._features: dict[str | None, list[dict[str, Any]]] = {}
        self._sources: dict[str, list[dict[str, Any]]] = {}

    def key(self, row: Row) -> tuple[Any, ...]:
        """What makes two failures the same: a flow that failed as a whole is known by its arguments."""
        run = self.by_id.get(row["run_id"])
        asked = _what(run) if run is not None and is_of_flow(row) else None
        return row["stage"], row["identity"], row["subject"], asked

    def succeeded(self, row: Row) -> bool:
        if is_of_flow(row):
            return self._ran(row)
        return self._extracted(row) if row["stage"] == "extract" else self._ingested(row)

    def _extracted(self, row: Row) -> bool:
        made = [one for one in self._features_of(row["identity"]) if one["clip"] == row["subject"]]
        if any(one["started"] >= row["failed_at"] for one in made):
            return True
        # Made by somebody else while this one failed, and found by a later run.
        ids = {one["id"] for one in made}
        return any(ids & set(run["reused"] or ()) for run in self._later(row))

    def _ingested(self, row: Row) -> bool:
        path = row["subject"]
        for run in self._later(row):
            videos = _asked(run).get("videos", ()) if run["flow"] == "ingest" else ()
            taken = any(_is_named(path, video) for video in videos)
            if taken and run["status"] in ("done", "partly") and (run["id"], path) not in self.failed_in:
                return True
        sources = self._sources_of(row["identity"])
        return any(
            one["state"] != "quarantined" and one["changed_at"] >= row["failed_at"] and _is_at(path, one)
            for one in sources
        )

    def _ran(self, row: Row) -> bool:
        """A later run of the same flow that had the same to do."""
        failed = self.by_id.get(row["run_id"])
        for run in self._later(row):
            if run["status"] != "done" or (run["flow"], run["identity"]) != (row["stage"], row["identity"]):
                continue
            # Else it was refused inside another flow, and only its subject says what it was.
            own = failed is not None and failed["flow"] == row["stage"]
            if _what(run) == _what(failed) if own else _is_about(run, row["subject"]):
                return True
        return False

    def _later(self, row: Row) -> list[dict[str, Any]]:
        return [run for run in self.runs if run["started"] >= row["failed_at"]]

    def _features_of(self, identity: str | None) -> list[dict[str, Any]]:
        if identity not in self._features:
            rows = self.ledger.tables["artifacts"].read(partition=f"slug={identity}").to_pylist()
            made = [row for row in rows if row["kind"] == "features"]
            self._features[identity] = [
                {**row, "clip": json.loads(row["recipe"])["inputs"].get("clip")} for row in made
            ]
        return self._features[identity]

    def _sources_of(self, identity: str | None) -> list[dict[str, Any]]:
        if identity is None:
            return []
        if identity not in self._sources:
            self._sources[identity] = self.ledger.sources(identity)
        return self._sources[identity]


def _asked(run: Row) -> dict[str, Any]:
    told = json.loads(run["arguments"] or "{}")
    return told if isinstance(told, dict) else {}


def _what(run: Row) -> str:
    """What a run was to do, whoever did it: what failed in a pool may succeed here."""
    told = {name: value for name, value in _asked(run).items() if name not in _HOW}
    return json.dumps(told, sort_keys=True)


def _is_named(path: str, video: str) -> bool:
    """Whether these are the same file; old rows name it from the folder that somebody was in."""
    relative = not path.startswith("/") and "://" not in path
    return video == path or (relative and video.endswith(f"/{path}"))


def _is_about(run: Row, subject: str) -> bool:
    """Whether a training was of METHOD:PRESET or METHOD:PRESET:STAGE; another flow has but one subject."""
    if run["flow"] != "train":
        return True
    options = _asked(run).get("options", {})
    method, preset, *stage = subject.split(":")
    return (options.get("method"), options.get("preset")) == (method, preset) and (
        not stage or options.get("stage") in (None, stage[0])
    )


def _is_at(path: str, source: Row) -> bool:
    return path.endswith(f"raw/{source['identity']}/{source['path']}")
