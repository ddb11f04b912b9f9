"""Dubs drawn by bundled weights, and what a person's own checkpoints have to do with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from flows.dub import before, dub
from flows.planning import plan
from models import methods
from models.methods import find_method
from storage.home import Home
from storage.ledger import Ledger
from storage.media import probe
from storage.weights import Registry
from tasks.dubbing.stage import DubOptions
from tasks.training import TrainOptions
from tests.helpers import painted
from tests.helpers.checkpoints import general_weights, kept_checkpoint
from tests.helpers.footage import keep_consent
from tests.helpers.material_home import material_home
from tests.helpers.painted import wav

DINET = DubOptions("dinet")
EAR, FRAME = TrainOptions("dinet", stage="expression"), TrainOptions("dinet", stage="frame")
VERSION = find_method("dinet").version


@pytest.fixture
def person(tmp_path: Path) -> Home:
    return material_home(tmp_path / "home", frames=75)


def done(home: Home) -> dict[str, bool]:
    return {one.step: one.done for one in before("anna", DINET, home=home.url)}


def test_dinet_draws_somebody_whom_it_was_never_trained_on(person: Home, tmp_path: Path) -> None:
    """Only the ear is the person's own; an old checkpoint of the drawing is left alone, and that is said."""
    ear = kept_checkpoint(person, EAR, general_weights("memface_expression"))
    # Weights that would be refused, if anybody read them.
    old = kept_checkpoint(person, FRAME, {"drawer/old": torch.zeros(1)}, method_version=VERSION - 1)
    said: list[str] = []
    audio, out = wav(tmp_path / "a.wav", 0.2), tmp_path / "out.mp4"
    made = dub("anna", audio, out, options=DINET, home=person.url, workers=1, tell=said.append)
    assert [line for line in said if "not used" in line and line.startswith(f"{old.id} (frame)")]
    recipe = json.loads(made.dub.row["recipe"])
    assert recipe["parameters"]["general"] == {"frame": Registry(person.url).find("dinet").sha256}
    assert {k: v for k, v in recipe["inputs"].items() if k.startswith("checkpoint")} == {
        "checkpoint expression": ear.id
    }
    assert made.told["figures"]["dub_untouched_share"] == 0
    found = probe(out).video
    assert found is not None
    assert found.slots == 5
    kinds = [row["kind"] for row in Ledger(person.objects).rows("artifacts").to_pylist()]
    assert kinds.count("checkpoint") == 2, "something was trained"


def test_own_weights_count_as_they_were_asked_for(person: Home) -> None:
    tensors = {"w": torch.zeros(1)}
    config = json.loads(json.dumps(find_method("dinet").config("cpu").as_dict()))
    assert done(person) == {"train expression": False}
    kept_checkpoint(person, TrainOptions("dinet", "smoke", stage="expression"), tensors)
    kept_checkpoint(person, TrainOptions("dinet", "smoke", stage="frame"), tensors)
    assert done(person) == {"train expression": False}, "another preset's"
    kept_checkpoint(person, EAR, tensors, method_version=VERSION - 1)
    kept_checkpoint(person, FRAME, tensors, config={**config, "widths": {**config["widths"], "loud": 1.0}})
    assert done(person) == {"train expression": False}, "another version's, and another configuration's"
    kept_checkpoint(person, EAR, tensors)
    kept_checkpoint(person, FRAME, tensors)
    assert done(person) == {"train expression": True, "train frame": True}


def test_of_a_dub_only_what_it_needs_is_planned(
    person: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = wav(tmp_path / "a.wav", 0.5)

    def planned(method: str = "dinet", preset: str = "cpu") -> dict[str, str]:
        found = plan("dub", ["anna"], method=method, preset=preset, audio=audio, home=person.url)
        return {one.subject: one.state for one in found.steps if one.stage in ("remember", "train", "dub")}

    assert planned() == {"dinet:cpu:expression": "to run", "a.wav": "to run"}
    keep_consent(tmp_path / "home", "anna", '["ingest", "dub"]')
    assert planned() == {"dinet:cpu:expression": "blocked", "a.wav": "blocked"}
    keep_consent(tmp_path / "home", "anna", '["ingest", "train", "dub"]')
    kept_checkpoint(person, EAR, {"w": torch.zeros(1)})
    keep_consent(tmp_path / "home", "anna", '["ingest", "dub"]')
    assert planned() == {"dinet:cpu:expression": "done", "a.wav": "to run"}
    monkeypatch.setitem(methods.METHODS, painted.NAME, f"{painted.__name__}:Painted")
    assert planned(painted.NAME) == {"a.wav": "to run"}
    assert planned("nearest") == {"anna": "blocked", "a.wav": "blocked"}, "mouths are to be remembered"
