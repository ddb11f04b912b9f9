"""A home whose raw/ is refreshed: with real clips, and features without the seconds that extraction takes.

`python -m tests.helpers.raw_home WORDS...` is `memdub WORDS...` with such features. With KILL_AT=NAME:N it
kills itself as that function of STEPS is called for the N-th time; with HALT_AT=NAME:N:FIFO it waits there
until somebody writes into that pipe.
"""

from __future__ import annotations

import importlib
import itertools
import os
import signal
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import flows.extract
from flows.cli import main as memdub
from flows.extract import Extracted, Outcome
from flows.refresh import Refreshed
from storage.artifacts import find
from storage.errors import MediaError, MemdubError
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import record_failure, run
from tests.helpers.material_home import features_in

__all__ = ["Extraction", "became", "clips_of", "sources_of", "state", "table"]


class Extraction:
    """In place of `flows.extract.extract`: real artifacts, made up; `refuses` says what has no face."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.refuses: Callable[[dict[str, Any]], bool] = lambda clip: False
        self.error: type[MemdubError] = MediaError

    def __call__(
        self,
        identities: Sequence[str],
        *,
        options: Any = None,
        clips: Collection[str] | None = None,
        home: str | None = None,
        **_: Any,
    ) -> Extracted:
        place, result = Home(home), Extracted()
        ledger = Ledger(place.objects)
        self.calls.append(sorted(clips or ()))
        with run(ledger, "extract", identity=identities[0], arguments={"options": options.__dict__}) as this:
            for row in [row for name in identities for row in ledger.live_clips(name)]:
                if clips is not None and row["id"] not in clips:
                    continue
                clip = find(ledger, row["id"], row["identity"])
                assert clip is not None
                if self.refuses(row):
                    error = self.error("no face in any frame", where=row["source_name"], do="remove it")
                    result.refused.append(error)
                    told = {"subject": clip.id, "error": error, "identity": row["identity"]}
                    record_failure(ledger, this, stage="extract", **told)
                    continue
                made = features_in(place, clip, row["frames"], round(row["rate_num"] / row["rate_den"]), {})
                result.outcomes.append(Outcome(made, row, 0.0, {"warnings": [], "preflight": []}))
            this.status = result.status
        return result


STEPS = {
    "ingest": ("tasks.ingest", "ingest_file"),
    "retire": ("storage.ledger.ledger", "Ledger.retire"),
    "note": ("storage.ledger.ledger", "Ledger.note_sources"),
    "extract": ("flows.extract", "extract"),
}


def interrupted(name: str, count: int, act: Callable[[], None]) -> None:
    """Have `act` done before a step is taken for the `count`-th time."""
    module, attribute = STEPS[name]
    owner: Any = importlib.import_module(module)
    *path, last = attribute.split(".")
    for part in path:
        owner = getattr(owner, part)
    inner, calls = getattr(owner, last), itertools.count(1)

    def step(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == count:
            act()
        return inner(*arguments, **keywords)

    setattr(owner, last, step)


def main() -> None:
    flows.extract.extract = Extraction()  # type: ignore[assignment]
    if asked := os.environ.get("KILL_AT"):
        name, count = asked.split(":")
        interrupted(name, int(count), lambda: os.kill(os.getpid(), signal.SIGKILL))
    if asked := os.environ.get("HALT_AT"):
        name, count, pipe = asked.split(":")
        interrupted(name, int(count), lambda: Path(pipe).read_text())
    memdub()


def table(home: Path, name: str) -> list[dict[str, Any]]:
    return Ledger(Home(home).objects).rows(name).to_pylist()


def sources_of(home: Path, identity: str = "anna") -> dict[str, str]:
    """State by path."""
    return {row["path"]: row["state"] for row in Ledger(Home(home).objects).sources(identity)}


def clips_of(home: Path, identity: str = "anna") -> list[str]:
    """Names of the files that live clips came from."""
    return sorted(row["source_name"] for row in Ledger(Home(home).objects).live_clips(identity))


def became(result: Refreshed) -> dict[str, str]:
    return {one.path: one.became for one in result.files}


def state(home: Path) -> dict[str, Any]:
    """All that a refresh may change, but for when it was written down."""
    kept = [
        {key: row[key] for key in ("path", "sha256", "state", "clip", "reason")}
        for row in table(home, "sources")
    ]
    return {
        "sources": sorted(kept, key=lambda row: row["path"]),
        "clips": sorted((row["id"], row["retired_at"] is None) for row in table(home, "clips")),
        "artifacts": sorted((row["id"], row["content_hash"]) for row in table(home, "artifacts")),
    }


if __name__ == "__main__":
    main()
