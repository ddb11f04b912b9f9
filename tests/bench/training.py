"""The training engine's figures: killed and gone on, shared by processes, what it costs, what it promises.

python -m tests.bench.training
"""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from models.canvas.mesh import mesh_vertices
from models.memface.config_renderer import renderer_config
from models.memface.training_renderer import RendererTrainee
from models.train import CHECKPOINT
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, read_checkpoint, write_bundle
from models.training.devices import Place
from models.training.engine import Progress, train
from models.training.state import reached
from tests.helpers import tiny_method

KILLS, STEPS = 10, 20_000
ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from tests.helpers import tiny_method; tiny_method.register()\n"
COMMAND += (
    "import torch; torch.set_num_threads(1); from models.train import main; sys.exit(main(sys.argv[1:]))"
)
PLACE = Place(torch.device("cpu"))


def started(*words: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, *map(str, words)], env=environment, stdout=quiet, stderr=quiet)


def told_of(folder: Path) -> dict:
    return read_checkpoint(folder / CHECKPOINT)[0]


def killed(folder: Path) -> None:
    """One training undisturbed, one killed at random moments: every step's loss must be the same."""
    bundle = tiny_method.tiny_bundle(
        folder / "b", steps=STEPS, patience=0, save_seconds=0.2, evaluate_every=500
    )
    command = ("-c", COMMAND, bundle, "--device", "cpu", "-o")
    started(*command, folder / "whole").wait()
    chance, kills = random.Random(0), 0
    while kills < KILLS:
        process = started(*command, folder / "parts")
        try:
            process.wait(chance.uniform(2.0, 6.0))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    started(*command, folder / "parts").wait()
    whole, parts = told_of(folder / "whole"), told_of(folder / "parts")
    same = whole["losses"] == parts["losses"] and whole["metrics"] == parts["metrics"]
    print(f"killed with SIGKILL {kills} times at random within {STEPS} steps: loss curves", end=" ")
    print("the same to the bit" if same else "DIFFER")


def shared(folder: Path) -> None:
    """Two processes with half a batch each against one with all of it."""
    bundle = tiny_method.tiny_bundle(folder / "b", dropout=0.0, steps=300, patience=0)
    worker = folder / "worker.py"
    worker.write_text(COMMAND)
    started(worker, bundle, "--device", "cpu", "-o", folder / "one").wait()
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    started(*launch, worker, bundle, "--device", "cpu", "-o", folder / "two").wait()
    one, two = (np.array(told_of(folder / n)["losses"]["held_out/loss"]) for n in ("one", "two"))
    last = [told_of(folder / n)["metrics"]["loss"] for n in ("one", "two")]
    away = max(np.abs(two[:, 1] / one[:, 1] - 1).max(), abs(last[1] / last[0] - 1))
    print(f"two processes against one, 300 steps: held-out losses differ by at most {away:.1e} of themselves")


def renderer(folder: Path) -> RendererTrainee:
    """The renderer of the preset cpu on noise."""
    config, rows, slots = renderer_config("cpu"), 64, 12
    side = config.side
    draw = np.random.default_rng(0)
    arrays = {
        name: draw.integers(0, 256, (rows, side, side, 3)).astype(np.uint8) for name in ("target", "mesh")
    }
    arrays |= {name: np.full((rows, side, side), 255, np.uint8) for name in ("mask", "cover")}
    arrays["mask"][:, : side // 4] = 0
    arrays["corner"] = draw.integers(0, 2000, (rows, side // 2, side // 2)).astype(np.int16)
    arrays["share"] = draw.integers(0, 127, (rows, side // 2, side // 2, 2)).astype(np.uint8)
    arrays["point"] = draw.random((rows, mesh_vertices(), 2), np.float32)
    arrays["turn"] = np.zeros((rows, 3), np.float32)
    arrays["key"] = draw.normal(size=(rows, 120)).astype(np.float32)
    chosen = np.arange(0, 4 * slots, 4)
    arrays |= {"slot_keys": arrays["key"][chosen], "slot_patches": arrays["target"][chosen]}
    arrays["slot_rows"] = chosen
    segments = (Segment("c", 0, 48, 25.0, TRAIN), Segment("c", 48, rows, 25.0, HELD_OUT, 48))
    about = About("memface", "renderer", "cpu", {}, 0, {}, segments)
    plan = config.plan.changed({"steps": 60, "evaluate_every": 20, "save_seconds": 0.0})
    torch.manual_seed(0)
    bundle = Bundle(write_bundle(folder / "r", about, arrays))
    return RendererTrainee(dataclasses.replace(config, plan=plan), bundle, None)


def costs(folder: Path) -> None:
    """What the engine adds to a step, what a state weighs, and whether the time left was true."""
    trainee = renderer(folder)
    told: list[tuple[float, Progress]] = []
    begun = time.monotonic()
    train(trainee, folder / "out", "x", place=PLACE, progress=lambda p: told.append((time.monotonic(), p)))
    whole = time.monotonic() - begun
    size = (folder / "out" / "state.safetensors").stat().st_size
    print(f"renderer, preset cpu: {whole / 60:.2f} s a step, evaluations and states included")
    print(f"its state: {size / 1e6:.0f} MB; reached {reached(folder / 'out')[0]} steps")
    for share in (0.25, 0.5, 0.75):
        at, progress = min(told, key=lambda one: abs(one[1].step - share * 60))
        left = begun + whole - at
        print(f"after step {progress.step}: {progress.seconds_left:.0f} s promised, {left:.0f} s it took")
    bare = bare_steps(trainee, 10)
    again = begun_anew(folder)
    print(f"a step by the engine {again:.2f} s, the same without it {bare:.2f} s")


def begun_anew(folder: Path) -> float:
    """Seconds of a step by the engine, without evaluations and states."""
    trainee = renderer(folder)
    trainee.plan = trainee.plan.changed({"steps": 10, "evaluate_every": 10, "save_seconds": 3600.0})
    seen: list[float] = []
    draw = trainee.batch

    def noted(step: int, chance: torch.Generator) -> dict[str, torch.Tensor]:
        seen.append(time.monotonic())
        return draw(step, chance)

    trainee.batch = noted  # type: ignore[method-assign]
    train(trainee, folder / "again", "y", place=PLACE)
    return float(np.median(np.diff(seen)))


def bare_steps(trainee: RendererTrainee, count: int) -> float:
    """Seconds of a step by a loop of five lines."""
    optimiser, seconds = trainee.optimisers()["renderer"], []
    for parameter in trainee.renderer.parameters():
        parameter.requires_grad_(True)
    for step in range(count):
        start = time.monotonic()
        batch = trainee.batch(step, torch.Generator().manual_seed(step))
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = trainee.losses("draw", batch)["loss"]
        torch.autograd.backward(loss)
        optimiser.step()
        seconds.append(time.monotonic() - start)
    return float(np.median(seconds))


def main() -> None:
    tiny_method.register()
    for figure in (killed, shared, costs):
        with tempfile.TemporaryDirectory() as folder:
            figure(Path(folder))


if __name__ == "__main__":
    main()
