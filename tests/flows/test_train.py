"""`memdub train`: checkpoints by recipe, whatever stops them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import zarr

from models.losses.vgg import VARIABLE, vgg_digest
from models.training import read_checkpoint
from storage.home import Home
from storage.ledger import Ledger
from tests.flows.conftest import Shell, everything_in
from tests.helpers.footage import keep_consent
from tests.helpers.material_home import SCOPE, material_home
from tests.helpers.tiny_home import TINY, at, known, refused, table, trained
from tests.helpers.tiny_method import TinyMethod
from tests.models.losses.test_vgg import state

__all__ = ["at", "known"]

ROOT = Path(__file__).parents[2]


def test_a_checkpoint_is_made_once_and_knows_what_it_was_made_of(memdub: Shell, at: Home) -> None:
    made = trained(memdub)[0]
    assert made["stage"] == "expression"
    assert not made["reused"]
    folder = at.path(made["uri"])
    told, tensors = read_checkpoint(folder / "checkpoint.safetensors")
    assert told["recipe"]["id"] == made["id"]
    assert set(tensors) >= {"body/0.weight", "memory/0.bias"}
    files = {path.name.split(".")[0] for path in folder.rglob("*") if path.is_file()}
    assert files == {"checkpoint", "events", "manifest"}, "neither state nor pictures are kept"
    features = [row["id"] for row in table(at, "artifacts") if row["kind"] == "features"]
    parents = {row["parent"] for row in table(at, "lineage") if row["child"] == made["id"]}
    assert parents == set(features)
    rows = [row for row in table(at, "metrics") if row["artifact"] == made["id"]]
    held_out = {row["metric"]: row["value"] for row in rows if row["split"] == "held_out"}
    assert held_out["loss"] == told["metrics"]["loss"] == made["metrics"]["loss"]
    assert held_out["loss @ 0"] > held_out["loss @ 60"]
    assert any(row["metric"].startswith("body/loss @ ") for row in rows if row["split"] == "train")
    assert trained(memdub)[0] == {**made, "reused": True}


def test_tensorboard_reads_the_curves(memdub: Shell, at: Home) -> None:
    made = trained(memdub)[0]
    from tensorboardX.proto.event_pb2 import Event

    [file] = at.path(made["uri"]).glob("events/*")
    content, tags, where = file.read_bytes(), set(), 0
    while where < len(content):
        size = int.from_bytes(content[where : where + 8], "little")
        event = Event.FromString(content[where + 12 : where + 12 + size])
        tags |= {value.tag for value in event.summary.value}
        where += 12 + size + 4
    assert {"held_out/loss", "body/loss", "all/loss"} <= tags


def test_other_choices_are_other_checkpoints(memdub: Shell, at: Home) -> None:
    ids = {trained(memdub, *more)[0]["id"] for more in ((), ("--seed", 1), ("--seconds", 3), ("--steps", 30))}
    assert len(ids) == 4


def test_a_dry_run_says_what_would_run_and_writes_nothing(memdub: Shell, at: Home) -> None:
    before = everything_in(at.path("."))
    assert memdub("train", "anna", *TINY, "--dry-run", "--json") == 0
    planned = json.loads(memdub.out)["stages"]
    assert [(one["stage"], one["done"]) for one in planned] == [("extract", True), ("expression", False)]
    assert everything_in(at.path(".")) == before
    assert planned[1]["recipe"] == trained(memdub)[0]["id"]
    assert memdub("train", "anna", *TINY, "--dry-run") == 0
    assert memdub.out.count("done") == 2


def test_a_stage_with_a_memory_has_one_made_first(memdub: Shell, at: Home) -> None:
    assert memdub("train", "anna", "--method", "tiny", "--preset", "gpu", "--device", "cpu", "--json") == 0
    made = json.loads(memdub.out)["checkpoints"]
    assert [one["stage"] for one in made] == ["expression", "renderer"]
    memory = [row["id"] for row in table(at, "artifacts") if row["kind"] == "memory"]
    roles = {row["role"]: row["parent"] for row in table(at, "lineage") if row["child"] == made[1]["id"]}
    assert roles["memory"] == memory[0]
    only = trained(memdub, "--preset", "gpu", "--stage", "renderer")
    assert [one["id"] for one in only] == [made[1]["id"]]


def test_paused_by_the_clock_it_goes_on(memdub: Shell, at: Home, tmp_path: Path) -> None:
    assert memdub("train", "anna", *TINY, "--limit-minutes", 0) == 0
    assert "paused after step 1 of 60; run the same command again" in memdub.out
    assert [row["status"] for row in table(at, "runs") if row["flow"] == "train"] == ["partly"]
    made = trained(memdub)[0]
    assert "goes on after step 1 of 60" in memdub.err
    other = Home(tmp_path / "other" / "home")
    material_home(tmp_path / "other" / "home")
    os.environ["MEMDUB_HOME"] = str(tmp_path / "other" / "home")
    assert curves(other, trained(memdub)[0]) == curves(at, made)


def curves(home: Home, made: dict) -> dict:
    return read_checkpoint(home.path(made["uri"]) / "checkpoint.safetensors")[0]["losses"]


COMMAND = """
import sys, torch
torch.set_num_threads(1)
from tests.helpers import tiny_method
tiny_method.register()
from flows.cli.main import COMMANDS, main
COMMANDS["train"] = "flows.cli.train"
main(sys.argv[1:])
"""


def start(home: Home, *more: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-u", "-c", COMMAND, "train", "anna", *TINY, *map(str, more)]
    environment = {**os.environ, "MEMDUB_HOME": home.url, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(words, env=environment, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def ended_at(step: int, process: subprocess.Popen[str], how: int) -> str:
    for line in process.stderr:
        if "expression: step " in line and int(line.split("step ")[1].split()[0]) >= step:
            break
    process.send_signal(how)
    return process.communicate(timeout=60)[1]


def test_killed_in_the_middle_it_goes_on_to_the_same_curve(memdub: Shell, at: Home, tmp_path: Path) -> None:
    process = start(at, "--steps", 3000)
    ended_at(600, process, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not [row for row in table(at, "artifacts") if row["kind"] == "checkpoint"]
    made = trained(memdub, "--steps", 3000)[0]
    went_on = int(memdub.err.split("goes on after step ")[1].split()[0])
    assert went_on >= 500
    whole = material_home(tmp_path / "whole" / "home")
    os.environ["MEMDUB_HOME"] = whole.url
    same = trained(memdub, "--steps", 3000)[0]
    assert same["id"] == made["id"]
    assert curves(whole, same) == curves(at, made)


def test_ctrl_c_says_how_to_go_on(at: Home) -> None:
    process = start(at, "--steps", 3000)
    said = ended_at(300, process, signal.SIGINT)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "memdub: interrupted; run the same command again to go on"
    drafts = list(at.workspace_root().glob("checkpoint-*.draft/state/state.safetensors"))
    assert len(drafts) == 1


def test_a_damaged_draft_is_begun_anew(memdub: Shell, at: Home) -> None:
    assert memdub("train", "anna", *TINY, "--limit-minutes", 0) == 0
    [draft] = at.workspace_root().glob("checkpoint-*.draft")
    bundle = draft / "bundle.safetensors"
    bundle.write_bytes(bundle.read_bytes()[:-50])
    made = trained(memdub)
    assert "damaged bundle" in memdub.err
    assert len(made) == 1


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--method", "singing"), "no such method"),
        (("--preset", "huge"), "no preset 'huge'"),
        (("--stage", "dancing"), "no such stage"),
        (("--held-out", "2"), "not a share"),
        (("--device", "abacus"), "no device is called 'abacus'"),
        (("--seconds", "1"), "1.0 s with a face"),
    ],
)
def test_wrong_requests_are_one_line(memdub: Shell, at: Home, more: tuple, line: str) -> None:
    before = everything_in(at.path("."))
    assert memdub("train", "anna", *TINY, *more) == 2
    assert line in memdub.err.splitlines()[-1]
    new = {name for name in everything_in(at.path(".")) - before if not name.startswith("ledger/runs")}
    assert not [name for name in new if "checkpoint" in name]


def test_without_consent_to_train_nothing_is_touched(memdub: Shell, at: Home) -> None:
    keep_consent(at.path("."), "anna", '["ingest"]')
    refused(memdub, "train", "anna", *TINY, line="not train")
    keep_consent(at.path("."), "bert", SCOPE)
    refused(memdub, "train", "bert", *TINY, line="no clips")


def test_features_that_are_missing_are_extracted_first(
    memdub: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a film without a face extraction says so: that it was asked is what matters here."""
    from flows.ingest import ingest
    from tests.helpers.footage import film

    keep_consent(tmp_path / "home", "anna", SCOPE)
    monkeypatch.setenv("MEMDUB_HOME", str(tmp_path / "home"))
    ingest([film(tmp_path / "nobody.mp4")], "anna").raise_if_refused()
    assert memdub("train", "anna", *TINY) != 0
    assert "extracting them first" in memdub.err
    assert "no face in any frame" in memdub.err.splitlines()[-1]


def test_what_a_method_would_want_is_said_before_it_is_trained(
    memdub: Shell, at: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = [row for row in table(at, "artifacts") if row["kind"] == "features"]
    group = zarr.open_group(at.path(row["uri"]) / "features.zarr", mode="r+")
    group.attrs["preflight"] = [
        "10.0 s in 1 shot(s)",
        "tiny: wants a mouth of 96 px, it has 40",
        "dinet: wants more",
    ]
    trained(memdub)
    lines = memdub.err.splitlines()
    assert [line for line in lines if "wants" in line] == [lines[0]]
    assert "tiny wants a mouth of 96 px, it has 40" in lines[0]


def test_several_processes_train_one_checkpoint(
    memdub: Shell, at: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import _processes

    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    monkeypatch.setattr(_processes, "COMMAND", (str(worker),))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert memdub("train", "anna", *TINY, "--processes", 2, "--limit-minutes", 0) == 0, memdub.err
    assert "paused after step 1 of 60" in memdub.out
    made = trained(memdub, "--processes", 2)[0]
    assert "goes on after step 1 of 60" in memdub.err
    told, _ = read_checkpoint(at.path(made["uri"]) / "checkpoint.safetensors")
    assert told["device"] == "2 x cpu"
    assert told["steps"] == 60
    monkeypatch.setattr(_processes, "COMMAND", ("-m", "models.train"))
    assert memdub("train", "anna", *TINY, "--processes", 2, "--seed", 1) == 1
    assert "2 processes failed: no method is called 'tiny'" in memdub.err.splitlines()[-1]


# Starts the command in a process of torchrun's, where the tiny method is known too.
WORKER = """
import sys, torch
torch.set_num_threads(1)
from tests.helpers import tiny_method
tiny_method.register()
from models.train import run
run(sys.argv[1:])
"""


def test_a_checkpoint_can_be_opened_by_who_needs_it(memdub: Shell, at: Home) -> None:
    from storage.artifacts import find
    from storage.errors import CorruptArtifact
    from tasks.training import open_checkpoint

    made = find(Ledger(at.objects), trained(memdub)[0]["id"], "anna")
    told, tensors = open_checkpoint(at, made)
    assert told["method"] == "tiny"
    assert tensors["body/0.weight"].shape[0] == 12
    file = at.path(f"{made.uri}/checkpoint.safetensors")
    content = bytearray(file.read_bytes())
    content[-9] ^= 64
    file.write_bytes(content)
    with pytest.raises(CorruptArtifact, match="its content was changed"):
        open_checkpoint(at, made)


def test_a_method_without_training_says_so(memdub: Shell, at: Home) -> None:
    assert memdub("train", "anna", "--method", "nearest") == 0, memdub.err
    assert "nothing to train: nearest" in memdub.out


def test_the_users_vgg_is_part_of_the_recipe_of_stages_that_look_through_it(
    memdub: Shell, at: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = trained(memdub)[0]["id"]
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing.pth"))
    assert trained(memdub)[0]["id"] == plain, "a stage that does not look is what it was"
    monkeypatch.setattr(TinyMethod, "perceives", ("expression",), raising=False)
    refused(memdub, "train", "anna", *TINY, line="names no file")
    torch.save(state(), tmp_path / "vgg.pth")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "vgg.pth"))
    made = trained(memdub)[0]
    assert made["id"] != plain
    told, _ = read_checkpoint(at.path(made["uri"]) / "checkpoint.safetensors")
    assert told["recipe"]["parameters"]["perception"] == {"vgg16": vgg_digest()}
