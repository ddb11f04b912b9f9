"""Consent that ends while others' work goes on: it ends that person's, and nobody else's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import flows.taking
from flows.extracting import Work, _collect
from flows.refresh import refresh
from storage.errors import ConsentError, HomeError, LeaseLost, MemdubError
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import run
from tests.helpers.footage import film, keep_consent
from tests.helpers.raw_home import Extraction, table


def test_a_refresh_leaves_whoever_withdrew_and_extracts_the_others(
    root: Path, extraction: Extraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("anna", "bob", "carl")):
        keep_consent(root / "home", name)
        film(root / "home" / "raw" / name / "a.mp4", seed=number, seconds=1.2)

    def at_midnight(home: Home, this: Any, intake: Any, **how: Any) -> Any:
        if intake.identity == "carl":
            keep_consent(root / "home", "bob", expires="2020-01-01")
        return flows.taking.carry_out(home, this, intake, **how)

    monkeypatch.setattr("flows.refresh.carry_out", at_midnight)
    result = refresh()
    people = {one.identity: one for one in result.people}
    assert {name: one.extracted for name, one in people.items()} == {"anna": 1, "bob": 0, "carl": 1}
    assert "expired" in str(people["bob"].blocked)
    assert result.failed == []


@pytest.mark.parametrize(
    ("error", "ends_all"),
    [(ConsentError("expired"), False), (HomeError("read-only"), True), (LeaseLost("taken over"), True)],
)
def test_what_ends_the_work_on_all_clips(root: Path, error: MemdubError, ends_all: bool) -> None:
    refused: list[MemdubError] = []
    row = {"identity": "bob", "source_name": "b.mp4"}
    planned: Any = SimpleNamespace(clip=SimpleNamespace(id="clip-0"), row=row)

    def fails() -> Any:
        raise error

    with run(Ledger(Home(root / "home").objects), "extract") as this:
        work = Work(Home(root / "home"), None, this, print, refused.append, None)  # type: ignore[arg-type]
        if ends_all:
            with pytest.raises(type(error)):
                _collect(work, planned, fails)
            return
        _collect(work, planned, fails)
    assert [(type(one), one.where) for one in refused] == [(ConsentError, "b.mp4")]
    assert [(one["subject"], one["error"]) for one in table(root / "home", "failures")] == [
        ("clip-0", "ConsentError")
    ]
