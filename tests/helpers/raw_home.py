"""A home whose raw/ is refreshed: with real clips, and features without the seconds that extraction takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.extract import Extracted, Outcome
from storage.artifacts import find
from storage.errors import MediaError
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import record_failure, run
from tests.helpers.material_home import features_in

__all__ = ["Extraction", "clips_of", "sources_of", "table"]


class Extraction:
    """In place of `flows.extract.extract`: real artifacts, made up; `refuses` says what has no face."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.refuses: Callable[[dict[str, Any]], bool] = lambda clip: False
        self.error: type[Exception] = MediaError
        monkeypatch.setattr("flows.extract.extract", self)

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


def table(home: Path, name: str) -> list[dict[str, Any]]:
    return Ledger(Home(home).objects).rows(name).to_pylist()


def sources_of(home: Path, identity: str = "anna") -> dict[str, str]:
    """State by path."""
    return {row["path"]: row["state"] for row in Ledger(Home(home).objects).sources(identity)}


def clips_of(home: Path, identity: str = "anna") -> list[str]:
    """Names of the files that live clips came from."""
    return sorted(row["source_name"] for row in Ledger(Home(home).objects).live_clips(identity))
