"""Training on a bare machine, and in several processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.train import CHECKPOINT, main
from models.training import read_checkpoint
from models.training.devices import Place
from tests.helpers import tiny_method

REPOSITORY = Path(__file__).parents[3]

# `python -m models.train` where nothing but torch, numpy, safetensors and the standard library can be found.
BARE = """
import runpy, sys
# What pip installs with torch itself.
ALONG = {"typing_extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "fsspec", "filelock"}
ALLOWED = {"torch", "torchgen", "functorch", "numpy", "safetensors", "models", "tests"} | ALONG
ALLOWED |= set(sys.stdlib_module_names)
class Bare:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ALLOWED or top.startswith("_"):
            return self.finder.find_spec(name, path, target)
sys.meta_path = [Bare(finder) for finder in sys.meta_path]
import torch
torch.set_num_threads(1)
from tests.helpers import tiny_method
tiny_method.register()
sys.argv = ["models.train", *sys.argv[1:]]
runpy.run_module("models.train", run_name="__main__")
"""


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **environment},
    )


def test_a_bare_machine_trains_from_a_bundle(tmp_path: Path) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b.safetensors")
    done = run(sys.executable, "-c", BARE, bundle, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told, tensors = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    assert (told["method"], told["stage"], told["preset"]) == ("tiny", "expression", "smoke")
    assert told["config"]["width"] == 12
    assert told["data"]["segments"][0][0] == "clip-a"
    assert told["metrics"]["loss"] < told["losses"]["held_out/loss"][0][1]
    assert tensors["body/0.weight"].shape == (12, 6)
    assert "left" in done.stdout


# torchrun starts this file; every process then runs the command.
WORKER = """
import sys, torch
torch.set_num_threads(1)
from tests.helpers import tiny_method
tiny_method.register()
from models.train import run
run(sys.argv[1:])
"""


def shared(bundle: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    worker = folder.with_suffix(".py")
    worker.write_text(WORKER)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return run(sys.executable, *launch, worker, bundle, "-o", folder, "--device", "cpu", *more)


def test_two_processes_share_a_batch_and_come_to_the_same(tmp_path: Path) -> None:
    """The tolerance is that of float32 sums in another order, grown over sixty steps of Adam."""
    tiny_method.register()
    bundle = tiny_method.tiny_bundle(tmp_path / "b", dropout=0.0)
    assert main([str(bundle), "-o", str(tmp_path / "one"), "--device", "cpu"]) == 0
    done = shared(bundle, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 60/60") == 1, "one process speaks for both"
    (one, weights), (two, others) = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("one", "two"))
    assert two["losses"].keys() == one["losses"].keys()
    for name, curve in one["losses"].items():
        np.testing.assert_allclose(np.array(two["losses"][name]), np.array(curve), rtol=1e-4, err_msg=name)
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=1e-3, atol=1e-4)
    assert two["device"] == "2 x cpu"


def test_a_batch_that_cannot_be_shared_is_one_line(tmp_path: Path) -> None:
    place = Place(torch.device("cpu"), 0, 3)
    from models.train import train_bundle
    from models.training import Bundle

    tiny_method.register()
    bundle = Bundle(tiny_method.tiny_bundle(tmp_path / "b"))
    with pytest.raises(ValueError, match="a batch of 8 cannot be shared by 3"):
        train_bundle(bundle, tmp_path / "out", place=place)


def test_shares_are_the_whole_batch(tmp_path: Path) -> None:
    batch = {"x": torch.arange(12).reshape(6, 2)}
    parts = [Place(torch.device("cpu"), rank, 3).share(batch)["x"] for rank in range(3)]
    assert torch.equal(torch.cat(parts), batch["x"])


def test_an_absent_device_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b")
    if not torch.cuda.is_available():
        assert main([str(bundle), "--device", "cuda"]) == 2
        assert "torch sees no GPU" in capsys.readouterr().err
    assert main([str(bundle), "--device", "abacus"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_header_is_json_of_a_reasonable_size(tmp_path: Path) -> None:
    tiny_method.register()
    bundle = tiny_method.tiny_bundle(tmp_path / "b", steps=2000, patience=0, save_seconds=60.0)
    assert main([str(bundle), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 0
    told, _ = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    assert all(len(curve) <= 201 for curve in told["losses"].values())
    assert len(json.dumps(told)) < 50_000
