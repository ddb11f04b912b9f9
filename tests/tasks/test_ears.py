"""Features, weights and driving speech that were heard by different networks never meet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli.main import COMMANDS
from models.methods import Stage, find_method
from storage.artifacts import Artifact, Made, find, produce
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import Recipe
from tasks.dubbing.casting import newest_checkpoints
from tasks.ears import Ear, ear_of, heard_alike, wanted_ear
from tasks.general import Course, write_general
from tasks.remember import Source
from tests.flows.conftest import Shell, everything_in, memdub
from tests.helpers.material_home import material_home
from tests.helpers.painted import wav

__all__ = ["memdub"]

SPOKEN = Stage("expression", True, ("speech",), "memface_expression")


def note(workspace: Path) -> Made:
    (workspace / "note").write_text("nothing that is looked at here")
    return Made()


def heard(home: Home, clip: Artifact, name: str, sha256: str = "a" * 64) -> Artifact:
    """Features of a clip, as the chain names them when this network has heard it."""
    told, inputs = {"speech": name, "sha256": sha256}, {"clip": clip.id}
    audio = produce(home, Recipe("audio", "audio", 1, told, inputs), note, identity="anna")
    recipe = Recipe("features", "features", 1, {}, {**inputs, "audio": audio.id})
    return produce(home, recipe, note, identity="anna")


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MEMDUB_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(COMMANDS, "train", "flows.cli.train")
    return material_home(tmp_path / "home")


@pytest.fixture
def clip(at: Home) -> Artifact:
    [row] = Ledger(at.objects).rows("clips").to_pylist()
    found = find(Ledger(at.objects), row["id"], "anna")
    assert found is not None
    return found


@pytest.mark.parametrize("command", ["train", "dub"])
def test_another_ears_features_are_refused_in_a_line(
    at: Home, clip: Artifact, memdub: Shell, tmp_path: Path, command: str
) -> None:
    for row in Ledger(at.objects).rows("artifacts").to_pylist():
        if row["kind"] == "features":
            Ledger(at.objects).remove([row["id"]])
    heard(at, clip, "deepspeech")
    before = everything_in(tmp_path / "home")
    sound = [wav(tmp_path / "a.wav", 0.5)] if command == "dub" else []
    assert memdub(command, "anna", *sound, "--method", "memface", "--preset", "smoke", "--dry-run") == 2
    assert memdub.err.count("\n") == 1
    assert "heard by deepspeech, and the general weights know what embedded hears" in memdub.err
    assert "memdub extract anna --speech embedded" in memdub.err
    assert everything_in(tmp_path / "home") == before
    assert memdub(command, "anna", *sound, "--method", "memface", "--preset", "smoke") == 2
    assert "embedded hears" in memdub.err.splitlines()[-1]


def test_of_several_features_those_are_taken_that_fit(at: Home, clip: Artifact) -> None:
    ledger = Ledger(at.objects)
    fitting, other = heard(at, clip, "embedded"), heard(at, clip, "deepspeech")
    newest = [Source(clip, other)]
    assert heard_alike(ledger, "anna", newest, Ear("embedded"))[0].features.id == fitting.id
    assert heard_alike(ledger, "anna", newest, Ear("deepspeech"))[0].features.id == other.id
    assert heard_alike(ledger, "anna", newest, None)[0].features.id == other.id
    with pytest.raises(RequestError, match="some clips were heard by deepspeech and some by embedded"):
        heard_alike(ledger, "anna", [*newest, Source(clip, fitting)], None)
    with pytest.raises(RequestError, match="know what whisper hears"):
        heard_alike(ledger, "anna", newest, Ear("whisper"))


def test_general_weights_say_what_they_know(at: Home) -> None:
    assert wanted_ear(at, [SPOKEN]) == Ear("embedded")
    assert wanted_ear(at, [Stage("renderer", True, ("frames",))]) is None
    assert wanted_ear(at, [SPOKEN._replace(general=None)]) is None
    taught = Stage("talker", True, ("target", "sound"), teachers=("sync",))
    assert wanted_ear(at, [SPOKEN._replace(general=None), taught]) == Ear("embedded")


def test_general_weights_learn_what_the_usual_ear_hears(at: Home, clip: Artifact, tmp_path: Path) -> None:
    for row in Ledger(at.objects).rows("artifacts").to_pylist():
        if row["kind"] == "features":
            Ledger(at.objects).remove([row["id"]])
    heard(at, clip, "deepspeech")
    with pytest.raises(RequestError, match="heard by deepspeech"):
        write_general(at, Course("sync", "expert", "smoke"), tmp_path / "bundle")


def test_weights_of_another_version_are_another_ear(at: Home, clip: Artifact) -> None:
    one = ear_of(Ledger(at.objects), heard(at, clip, "embedded", "a" * 64))
    assert one.fits(Ear("embedded"))
    assert one.fits(Ear("embedded", "a" * 64))
    assert not one.fits(Ear("embedded", "b" * 64))
    assert not one.fits(Ear("deepspeech", "a" * 64))


def test_a_checkpoint_of_another_ear_is_not_used(
    at: Home, clip: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, method = {}, find_method("memface")
    config = method.config("cpu")
    how = {"method_version": method.version, "config": json.loads(json.dumps(config.as_dict()))}
    for name in ("embedded", "deepspeech"):
        told = {"method": "memface", "preset": "cpu", "stage": "expression", **how}
        inputs = {"features 0": heard(at, clip, name).id}
        recipe = Recipe("checkpoint", "train", 1, told, inputs)
        made[name] = produce(at, recipe, note, identity="anna")
    for name in ("embedded", "deepspeech"):
        found = newest_checkpoints(at, "anna", method, config, "cpu", Ear(name)).fitting
        assert found["expression"].id == made[name].id
    assert newest_checkpoints(at, "anna", method, config, "cpu", Ear("whisper")) == ({}, {})
    silent = SPOKEN._replace(arrays=("frames",))
    monkeypatch.setattr(type(method), "stages", lambda self, config: (silent,))
    assert newest_checkpoints(at, "anna", method, config, "cpu", Ear("whisper")).fitting
