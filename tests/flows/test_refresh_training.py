"""What a refresh makes of clips: memories and checkpoints, and only where the footage changed enough."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.inventory import Inventory
from flows.planning import plan
from flows.refresh import refresh
from flows.train import train
from storage.home import Home
from storage.ledger import Ledger
from tasks import sources
from tasks.material import Cut
from tasks.training import TrainOptions
from tests.flows.conftest import Shell
from tests.helpers import tiny_method
from tests.helpers.footage import film, keep_consent
from tests.helpers.material_home import SCOPE, SIZE
from tests.helpers.raw_home import Extraction, table
from tests.helpers.tiny_home import known  # noqa: F401  (the tiny method, and one thread)

OPTIONS = TrainOptions("tiny", "smoke", Cut(held_out=0.25), 7, plan={"steps": 12})


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five films of 4 s, and one of 3 s."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(5):
        film(folder / f"{number}.mp4", seconds=4, size=SIZE, seed=number)
    film(folder / "short.mp4", seconds=3, size=SIZE, seed=9)
    return folder


@pytest.fixture
def home(root: Path, films: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """anna, refreshed with four of the films, and the tiny method trained on them."""
    monkeypatch.setattr("flows.extract.extract", Extraction())
    monkeypatch.setitem(sources.unsettled.__kwdefaults__, "apart", 0.0)
    tiny_method.register()
    keep_consent(root / "home", scope=SCOPE)
    raw = root / "home" / "raw" / "anna"
    raw.mkdir(parents=True)
    for number in range(4):
        shutil.copy(films / f"{number}.mp4", raw)
    result = refresh()
    assert (result.failed, result.people[0].remembered, result.people[0].trained) == ([], 1, 0)
    train("anna", OPTIONS, device="cpu")
    return root / "home"


def checkpoints(home: Path) -> list[dict[str, Any]]:
    rows = [row for row in table(home, "artifacts") if row["kind"] == "checkpoint"]
    return [json.loads(row["recipe"]) for row in sorted(rows, key=lambda row: row["started"])]


def test_what_did_not_change_is_not_trained_again(home: Path) -> None:
    assert refresh(dry_run=True).to_train == []
    assert refresh().is_idle
    assert len(checkpoints(home)) == 1


def test_a_little_more_footage_waits_and_enough_of_it_trains_as_before(home: Path, films: Path) -> None:
    """3 s on 16 s are 19 %; 4 s more make it 44 %."""
    raw = home / "raw" / "anna"
    shutil.copy(films / "short.mp4", raw)
    little = refresh()
    assert (little.people[0].remembered, little.people[0].trained) == (1, 0)
    shutil.copy(films / "4.mp4", raw)
    told = refresh(dry_run=True)
    assert [one.why for one in told.to_train] == ["44% of the footage changed"]
    assert told.people[0].remembered == 1
    (step,) = [one for one in plan().steps if one.stage == "train"]
    assert (step.state, step.subject) == ("to run", "tiny:smoke:expression")
    enough = refresh()
    assert enough.failed == []
    assert enough.people[0].trained == 1
    old, new = checkpoints(home)
    assert old["parameters"] == new["parameters"], "other options than the person's own"
    assert [sum(role.startswith("features") for role in one["inputs"]) for one in (old, new)] == [4, 6]
    assert refresh().is_idle


def test_footage_that_went_counts_too(home: Path) -> None:
    (home / "raw" / "anna" / "0.mp4").unlink()
    told = refresh(allow_shrink=True, dry_run=True)
    assert [(one.subject, one.why) for one in told.to_train] == [
        ("tiny:smoke:expression", "25% of the footage changed")
    ]
    assert (told.people[0].retired, told.people[0].remembered) == (1, 1)
    result = refresh(allow_shrink=True)
    assert (result.people[0].retired, result.people[0].trained, result.people[0].remembered) == (1, 1, 1)
    (_, new) = checkpoints(home)
    gone = [row["id"] for row in table(home, "clips") if row["retired_at"] is not None]
    features = Inventory(Home(home), Ledger(Home(home).objects), "anna").newest("features")
    assert features[gone[0]]["id"] not in new["inputs"].values(), "trained on what was taken away"


def test_the_share_can_be_stated(home: Path, films: Path) -> None:
    shutil.copy(films / "short.mp4", home / "raw" / "anna")
    told = refresh(retrain_at=0.15, dry_run=True)
    assert told.people[0].taken == 1
    result = refresh(retrain_at=0.15)
    assert result.people[0].trained == 1
    assert refresh(retrain_at=0.15).is_idle


def test_a_method_that_was_never_trained_is_trained_where_it_is_asked_for(home: Path, memdub: Shell) -> None:
    assert memdub("refresh", "--train", "tiny:cpu", "--dry-run") == 0
    assert "would train anna tiny:cpu: asked for" in memdub.out
    assert memdub("refresh", "--train", "tiny:cpu", "--json") == 0, memdub.err
    assert len(json.loads(memdub.out)["checkpoints"]) == 1
    assert {one["parameters"]["preset"] for one in checkpoints(home)} == {"smoke", "cpu"}
    assert refresh(train=["tiny:cpu"]).is_idle


def test_whoever_agreed_to_no_training_is_not_trained(home: Path, films: Path) -> None:
    keep_consent(home, scope='["ingest"]')
    shutil.copy(films / "4.mp4", home / "raw" / "anna")
    result = refresh(train=["tiny:cpu"])
    assert result.failed == []
    told = result.people[0]
    assert (told.taken, told.extracted, told.remembered, told.trained) == (1, 1, 0, 0)


def test_a_training_that_fails_is_said_and_stops_nobody(
    home: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_consent(home, "bob", SCOPE)
    shutil.copytree(home / "raw" / "anna", home / "raw" / "bob")
    shutil.copy(films / "4.mp4", home / "raw" / "anna")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the card is on fire")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.training.train_stage", broken)
        result = refresh()
    assert [str(one.where) for one in result.failed] == ["tiny:smoke:expression"]
    people = {one.identity: one for one in result.people}
    assert (people["bob"].taken, people["bob"].remembered) == (4, 1)
    failure = table(home, "failures")[-1]
    assert (failure["stage"], failure["identity"]) == ("train", "anna")
    assert "the card is on fire" in failure["reason"]
    again = refresh()
    assert (again.failed, {one.identity: one.trained for one in again.people}) == ([], {"anna": 1, "bob": 0})
