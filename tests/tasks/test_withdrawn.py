"""Consent that ends while a stage is at work: what it made of the person goes, and nothing is published."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from storage.artifacts import Made
from storage.errors import ConsentError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import Recipe
from tasks import cards, extract, ingest, remember, training
from tasks.dubbing import stage as dubbing
from tests.helpers.footage import film, keep_consent

RECIPE = Recipe("thing", "stage", 1, {})
SCOPE = '["ingest", "train", "dub"]'
STAGES = ["ingest", "extract", "remember", "train", "dub"]
Withdraw = Callable[..., Any]


def begin(name: str, home: Home, patch: pytest.MonkeyPatch, withdraw: Withdraw) -> None:
    """The stage, whose work is that the person changes their mind."""

    def work(workspace: Path) -> Made:
        (workspace / "file").write_text("of a person")
        withdraw()
        return Made()

    if name == "ingest":
        normalise = ingest.normalise
        patch.setattr(ingest, "normalise", lambda *a, **k: withdraw(normalise(*a, **k)))
        ingest.ingest_file(home, film(home.path("a.mp4")), "anna")
    elif name == "extract":
        job: Any = SimpleNamespace(home=home, identity="anna", waiting=None, step=None)
        extract._produce(job, RECIPE, work)
    elif name == "remember":
        patch.setattr(remember, "_write", lambda *told: (work(told[-1].parent), {})[1])
        remember.remember(home, "anna", [])
    elif name == "train":
        patch.setattr(training, "_bundle", lambda workspace, *_: (workspace / "file").write_text("faces"))
        patch.setattr(training, "_train", lambda bundle, workspace, how: withdraw(0.0))
        patch.setattr(training, "read_told", lambda path: {})
        patch.setattr(training, "write_events", lambda *a: None)
        patch.setattr(training, "metric_rows", lambda *a: [])
        one: Any = SimpleNamespace(recipe=RECIPE, stage=SimpleNamespace(name="stage"))
        training.train_stage(home, one, training.Ingredients("anna", []), device="cpu")
    else:
        patch.setattr(dubbing, "recipe_of", lambda job: RECIPE)
        patch.setattr(dubbing, "_make", lambda job, recipe, workspace: work(workspace))
        patch.setattr(dubbing, "_made", lambda *a: Made())
        patch.setattr(dubbing, "_sweep", lambda workspace: None)
        dubbing.dub(SimpleNamespace(home=home, identity="anna", waiting=None))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", STAGES)
def test_nothing_is_published_of_who_withdrew_meanwhile(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    keep_consent(Path(home.url), scope=SCOPE)

    def withdraw(result: Any = None) -> Any:
        keep_consent(Path(home.url), scope=SCOPE, expires="2024-01-01")
        return result

    with pytest.raises(ConsentError, match="consent"):
        begin(name, home, monkeypatch, withdraw)
    assert not Ledger(home.objects).rows("artifacts")
    assert not list(home.path(".work").iterdir()), "what was made of the person is still there"


@pytest.mark.parametrize("name", STAGES)
def test_nothing_is_begun_of_who_has_not_consented(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    keep_consent(Path(home.url), scope=SCOPE, expires="2024-01-01")
    with pytest.raises(ConsentError, match="expired"):
        begin(name, home, monkeypatch, lambda *a: pytest.fail("it was begun"))


def test_who_waited_for_a_card_asks_once_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    @contextlib.contextmanager
    def held(*_: object) -> Iterator[str]:
        asked.clear()  # hours later
        yield "cpu"

    def refuses() -> None:
        asked.append("again")
        raise ConsentError("it expired while another trained")

    monkeypatch.setattr(cards, "held", held)
    monkeypatch.setattr(training, "train_bundle", lambda *a: pytest.fail("it was trained"))
    how = training._How("auto", None, 1, lambda progress: None, lambda line: None, refuses)
    with pytest.raises(ConsentError):
        training._train(SimpleNamespace(), tmp_path, how)  # type: ignore[arg-type]
    assert asked == ["again"]
