"""A refresh as Prefect runs it: what it noted and went past is told, and is not lost by a new try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows import deployable
from storage.errors import LeaseLost, PartlyFailed, WorkError
from tests.helpers.footage import film, keep_consent
from tests.helpers.material_home import SCOPE
from tests.helpers.raw_home import Extraction


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch, extraction: Extraction) -> dict[str, list[dict[str, Any]]]:
    """What was shown last under each name; new tries come at once."""
    shown: dict[str, list[dict[str, Any]]] = {}
    monkeypatch.setattr("flows.engine._FLOW_BACKOFF", (0.0, 0.0))
    monkeypatch.setattr("flows.shown.table", lambda name, rows, about: shown.update({name: rows}))
    return shown


@pytest.fixture
def raw(root: Path) -> Path:
    keep_consent(root / "home", scope=SCOPE)
    film(root / "home/raw/anna/good.mp4", seconds=1.2)
    (root / "home/raw/anna/bad.mp4").write_bytes(b"no film at all")
    return root / "home/raw/anna"


def test_what_was_refused_fails_the_run_and_is_shown(
    raw: Path, tables: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise WorkError("a worker was lost")

    monkeypatch.setattr("flows.remember.remember", lost)
    with pytest.raises(PartlyFailed, match="2 refused or failed"):
        deployable.refresh.fn()
    (told,) = tables["refresh"]
    assert (told["taken"], told["extracted"], told["quarantined"]) == (1, 1, 1)
    assert {row["path"]: row["became"] for row in tables["refresh files"]} == {
        "good.mp4": "new",
        "bad.mp4": "quarantined",
    }


def test_what_ends_all_of_it_is_tried_again(
    raw: Path, tables: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.refresh

    (raw / "bad.mp4").unlink()
    inner, calls = flows.refresh.survey_files, []

    def away(*told: Any, **how: Any) -> Any:
        calls.append(told)
        if len(calls) == 1:
            raise LeaseLost("another process took this work over")
        return inner(*told, **how)

    monkeypatch.setattr("flows.refresh.survey_files", away)
    (told,) = deployable.refresh.fn()
    assert told["taken"] == 1
