"""`memdub train --export-bundle` and `memdub import`: trained elsewhere, and back with its lineage."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from models import methods
from models.train import main as train_elsewhere
from models.training import Bundle, read_checkpoint, write_checkpoint
from storage.home import Home
from tests.flows.conftest import Shell
from tests.helpers.footage import keep_consent
from tests.helpers.tiny_home import TINY, at, known, refused, table, trained

__all__ = ["at", "known"]


def exported(memdub: Shell, tmp_path: Path, *more: object) -> Path:
    file = tmp_path / "anna.safetensors"
    assert memdub("train", "anna", *TINY, "--export-bundle", file, "--json", *more) == 0, memdub.err
    assert json.loads(memdub.out) == {"bundles": [{"stage": "expression", "uri": str(file)}]}
    return file


def elsewhere(bundle: Path, folder: Path) -> Path:
    assert train_elsewhere([str(bundle), "-o", str(folder), "--device", "cpu"]) == 0
    return folder / "checkpoint.safetensors"


def test_what_was_trained_elsewhere_comes_back_with_its_lineage(
    memdub: Shell, at: Home, tmp_path: Path
) -> None:
    bundle = exported(memdub, tmp_path)
    checkpoint = elsewhere(bundle, tmp_path / "out")
    assert memdub("import", checkpoint, "--json") == 0, memdub.err
    made = json.loads(memdub.out)["checkpoints"][0]
    assert not made["reused"]
    edges = [row for row in table(at, "lineage") if row["child"] == made["id"]]
    features = [row["id"] for row in table(at, "artifacts") if row["kind"] == "features"]
    assert [row["parent"] for row in edges] == features
    assert any(row["role"] == "exported for training" for row in table(at, "lineage"))
    again = trained(memdub)[0]
    assert again["id"] == made["id"]
    assert again["reused"], "what came back is what training would have made"
    assert memdub("import", checkpoint) == 0
    assert "already there" in memdub.out


def test_an_expert_comes_back_too(
    memdub: Shell, at: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = elsewhere(exported(memdub, tmp_path), tmp_path / "out")
    monkeypatch.setitem(methods.EXPERTS, "tiny", methods.METHODS["tiny"])
    monkeypatch.delitem(methods.METHODS, "tiny")
    assert memdub("import", checkpoint) == 0, memdub.err


def test_here_and_elsewhere_give_the_same_weights(memdub: Shell, at: Home, tmp_path: Path) -> None:
    there = elsewhere(exported(memdub, tmp_path), tmp_path / "out")
    here = at.path(trained(memdub)[0]["uri"]) / "checkpoint.safetensors"
    (one, weights), (two, others) = read_checkpoint(there), read_checkpoint(here)
    assert one["losses"] == two["losses"]
    assert all(torch.equal(weights[name], value) for name, value in others.items())


def test_a_bundle_is_not_written_over_another_file(memdub: Shell, at: Home, tmp_path: Path) -> None:
    file = exported(memdub, tmp_path)
    before = file.read_bytes()
    refused(memdub, "train", "anna", *TINY, "--export-bundle", file, line="is there already")
    refused(memdub, "train", "anna", *TINY, "--export-bundle", tmp_path, line="is a folder")
    refused(memdub, "train", "anna", *TINY, "--export-bundle", tmp_path / "no" / "x", line="does not exist")
    assert file.read_bytes() == before


def test_an_exported_bundle_is_all_that_is_needed(memdub: Shell, at: Home, tmp_path: Path) -> None:
    bundle = Bundle(exported(memdub, tmp_path))
    assert bundle.about.recipe["inputs"] == dict(bundle.about.inputs)
    assert bundle.about.segments[-1].split == "held_out"


def change(told: dict, tensors: dict, what: str) -> None:
    if what == "config":
        told["config"]["width"] = 99
    elif what == "recipe":
        told["recipe"]["parameters"]["seed"] = 99
    elif what == "no recipe":
        told["recipe"] = {}
    elif what == "version":
        told["recipe"]["parameters"]["method_version"] = 99
        told["recipe"].pop("id")
        from tasks.training import bundle_recipe, recipe_from

        told["recipe"]["id"] = ""
        try:
            recipe_from(told["recipe"])
        except ValueError as error:
            told["recipe"]["id"] = str(error).split("recipe is ")[1].split(",")[0]
        assert bundle_recipe(recipe_from(told["recipe"]))
    elif what == "numbers":
        tensors["body/0.bias"][0] = float("nan")


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("config", "its config is not that of its recipe"),
        ("recipe", "no checkpoint of a bundle"),
        ("no recipe", "no checkpoint of a bundle"),
        ("version", "made for another version of tiny"),
        ("numbers", "holds what is no number"),
    ],
)
def test_a_checkpoint_that_is_not_what_it_says_is_refused(
    memdub: Shell, at: Home, tmp_path: Path, what: str, line: str
) -> None:
    checkpoint = elsewhere(exported(memdub, tmp_path), tmp_path / "out")
    told, tensors = read_checkpoint(checkpoint)
    change(told, tensors, what)
    refused(memdub, "import", write_checkpoint(checkpoint, tensors, told), line=line)
    assert not [row for row in table(at, "artifacts") if row["kind"] == "checkpoint"]


def test_what_the_ledger_does_not_know_is_not_imported(memdub: Shell, at: Home, tmp_path: Path) -> None:
    checkpoint = elsewhere(exported(memdub, tmp_path), tmp_path / "out")
    os.environ["MEMDUB_HOME"] = str(tmp_path / "empty")
    refused(memdub, "import", checkpoint, line="is not in this home")
    refused(memdub, "import", tmp_path / "nothing.safetensors", line="no such file")
    (tmp_path / "text.safetensors").write_text("no")
    refused(memdub, "import", tmp_path / "text.safetensors", line="no checkpoint of a bundle")
    content = bytearray(checkpoint.read_bytes())
    content[-9] ^= 64
    checkpoint.write_bytes(content)
    refused(memdub, "import", checkpoint, line="its content was changed")


def test_consent_that_ended_meanwhile_counts(memdub: Shell, at: Home, tmp_path: Path) -> None:
    checkpoint = elsewhere(exported(memdub, tmp_path), tmp_path / "out")
    keep_consent(at.path("."), "anna", '["ingest"]')
    refused(memdub, "import", checkpoint, line="not train")
