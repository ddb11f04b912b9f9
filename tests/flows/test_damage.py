"""Weights in the home that are no longer what was trained: noticed before any work, and made anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flows.cli.main import COMMANDS
from models.methods import Stage
from models.train import CHECKPOINT
from models.training import write_checkpoint
from storage.artifacts import Artifact, Made, produce
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import Recipe
from tests.flows.conftest import Shell, everything_in
from tests.helpers import painted, tiny_method
from tests.helpers.material_home import material_home
from tests.helpers.painted import wav

DUB = ("--method", painted.NAME, "--preset", "smoke")
TINY = ("--method", "tiny", "--preset", "smoke", "--device", "cpu")


@pytest.fixture(autouse=True)
def _methods(monkeypatch: pytest.MonkeyPatch) -> None:
    painted.register()
    tiny_method.register()
    monkeypatch.setitem(COMMANDS, "train", "flows.cli.train")
    personal = (Stage("expression", True, ("speech",)),)
    monkeypatch.setattr(painted.Painted, "stages", lambda self, config: personal)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MEMDUB_HOME", str(tmp_path / "home"))
    return material_home(tmp_path / "home")


def checkpoint(home: Home) -> Artifact:
    """What a training of the painted method would leave."""
    told = {"method": painted.NAME, "preset": "smoke", "stage": "expression", "method_version": 1}
    told["config"] = painted.Painted().config("smoke").as_dict()
    [features] = [
        row["id"] for row in Ledger(home.objects).rows("artifacts").to_pylist() if row["kind"] == "features"
    ]

    def make(workspace: Path) -> Made:
        write_checkpoint(workspace / CHECKPOINT, {"body/weight": torch.arange(600.0)}, {})
        return Made()

    return produce(
        home, Recipe("checkpoint", "train", 1, told, {"features 0": features}), make, identity="anna"
    )


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "cut":
        del content[-100:]
    elif how == "gone":
        file.unlink()
        return
    else:
        content[40 if how == "header" else -9] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "line"), [(how, "was changed") for how in ("cut", "flipped", "header")] + [("gone", "is missing")]
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_damaged_weights_draw_nothing(
    memdub: Shell, at: Home, tmp_path: Path, how: str, line: str, more: tuple[str, ...]
) -> None:
    made, audio = checkpoint(at), wav(tmp_path / "a.wav", 0.5)
    assert memdub("dub", "anna", audio, *DUB, "--dry-run") == 0, memdub.err
    damage(at.path(made.uri) / CHECKPOINT, how)
    before = everything_in(tmp_path / "home")
    assert memdub("dub", "anna", audio, *DUB, *more) == 1
    assert memdub.err.count("\n") == 1
    assert f"{made.id}: {CHECKPOINT} {line}; `memdub train anna --method painted" in memdub.err
    assert everything_in(tmp_path / "home") - before <= {"keys/certificate.pem", "keys/key.pem"}


@pytest.mark.parametrize("how", ["cut", "flipped", "header", "gone"])
def test_training_again_mends_it(memdub: Shell, at: Home, how: str) -> None:
    assert memdub("train", "anna", *TINY) == 0, memdub.err
    [row] = [row for row in Ledger(at.objects).rows("artifacts").to_pylist() if row["kind"] == "checkpoint"]
    file = at.path(row["uri"]) / CHECKPOINT
    content = file.read_bytes()
    damage(file, how)
    assert memdub("train", "anna", *TINY) == 0, memdub.err
    assert "already there" not in memdub.out
    assert file.stat().st_size == pytest.approx(len(content), abs=200)
    assert memdub("train", "anna", *TINY) == 0
    assert "already there" in memdub.out


def test_a_stored_dub_that_was_damaged_is_made_anew(memdub: Shell, at: Home, tmp_path: Path) -> None:
    checkpoint(at)
    words = ["dub", "anna", wav(tmp_path / "a.wav", 0.5), "-o", tmp_path / "out.mp4", *DUB]
    assert memdub(*words) == 0, memdub.err
    [row] = [row for row in Ledger(at.objects).rows("artifacts").to_pylist() if row["kind"] == "dub"]
    damage(at.path(row["uri"]) / "dub.mp4", "flipped")
    assert memdub(*words) == 0, memdub.err
    assert memdub("verify", tmp_path / "out.mp4") == 0, memdub.err
