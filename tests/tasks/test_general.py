"""General bundles: whole people, the last held out, and weights that go into the package."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.methods import find_method
from models.training import HELD_OUT, TRAIN, Bundle, write_checkpoint
from storage.errors import ConsentError, RequestError
from storage.home import Home
from tasks import general
from tasks.general import Course, ship, write_general
from tests.helpers.footage import keep_consent
from tests.helpers.material_home import FRAMES, material_home

EXPERT = Course("sync", "expert", "smoke", held_out=0.4)


@pytest.fixture(scope="module")
def troupe(tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("general") / "home"
    for name in ("anna", "bert"):
        material_home(root, identity=name)
    return Home(root)


def test_everybody_is_there_and_the_last_are_held_out(troupe: Home, tmp_path: Path) -> None:
    bundle = Bundle(write_general(troupe, EXPERT, tmp_path / "b"))
    assert [(s.start, s.stop, s.split) for s in bundle.about.segments] == [
        (0, FRAMES, TRAIN),
        (FRAMES, 2 * FRAMES, HELD_OUT),
    ]
    assert bundle["speaker"].tolist() == [0] * FRAMES + [1] * FRAMES
    assert bundle["target"].reshape(2 * FRAMES, -1).std(1).min() > 0
    assert len(bundle.about.inputs) == 2
    assert bundle.about.recipe["parameters"]["method_version"] == find_method("sync").version


def test_a_part_of_everybody(troupe: Home, tmp_path: Path) -> None:
    few = Course("sync", "expert", "smoke", seconds=2.0, held_out=0.4)
    bundle = Bundle(write_general(troupe, few, tmp_path / "b", ["bert", "anna"]))
    assert np.bincount(bundle["speaker"]).tolist() == [50, 50]


def test_who_did_not_agree_to_training_is_no_part_of_it(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    keep_consent(tmp_path / "home", "anna", '["ingest"]')
    with pytest.raises(ConsentError):
        write_general(home, EXPERT, tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("stage", ["expression", "renderer"])
def test_a_stage_without_pictures_or_of_ones_own_memory_is_refused(
    troupe: Home, tmp_path: Path, stage: str
) -> None:
    with pytest.raises(RequestError, match="no stage of pictures"):
        write_general(troupe, Course("memface", stage, "smoke"), tmp_path / "b")


def test_a_bundle_says_which_weights_it_brings(troupe: Home, tmp_path: Path) -> None:
    """Two that were best at the same step are two."""
    made = []
    for number in range(2):
        told = {"method": "sync", "stage": "expert", "best_step": 20}
        start = write_checkpoint(tmp_path / f"{number}", {"expert/w": torch.full((2,), float(number))}, told)
        bundle = Bundle(write_general(troupe, replace(EXPERT, seconds=2.0, start=start), tmp_path / "b"))
        made.append(bundle.about.recipe["parameters"]["weights"])
    assert made[0] != made[1]
    assert made[1] == {"start": hashlib.sha256((tmp_path / "1").read_bytes()).hexdigest()}


def test_what_is_shipped_is_listed_and_lacks_what_only_training_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = find_method("sync")
    monkeypatch.setattr(type(method), "training_only", ("critic",), raising=False)
    tensors = {"expert/w": torch.full((2, 2), 0.1), "expert/b": torch.ones(2), "critic/w": torch.ones(2, 2)}
    told = {"method": "sync", "stage": "expert", "config": {"width": 3}}
    checkpoint = write_checkpoint(tmp_path / "c.safetensors", tensors, told)
    file = ship(checkpoint, "sync", "hears", tmp_path)
    kept = load_file(file)
    assert set(kept) == {"expert/w", "expert/b"}
    assert kept["expert/w"].dtype == torch.float16
    line = json.loads((tmp_path / "weights.json").read_text())["sync"]
    assert line["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (line["about"], line["size"]) == ("hears", file.stat().st_size)
    # Shipped again, what was said of them stays.
    ship(checkpoint, "sync", None, tmp_path)
    assert json.loads((tmp_path / "weights.json").read_text())["sync"]["about"] == "hears"


def test_the_command_says_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [
        "general",
        str(tmp_path / "none"),
        "--method",
        "sync",
        "--stage",
        "talker",
        "-o",
        str(tmp_path / "b"),
    ]
    monkeypatch.setattr("sys.argv", words)
    assert general.main() == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "expert" in said[0]
