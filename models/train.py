"""`python -m models.train BUNDLE [-o DIR]`: trains from a bundle where only torch, numpy and safetensors are.

Several GPUs of one machine: `torchrun --nproc-per-node=N -m models.train BUNDLE`. Killed at any moment, the
same command goes on. `memdub import DIR/checkpoint.safetensors` takes the result back. `train_bundle` is
what `tasks.training` calls too.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from models.methods import Trainee, find_method
from models.training.bundle import Bundle
from models.training.checkpoint import write_checkpoint
from models.training.devices import Place, opened
from models.training.engine import Paused, Progress, Trained, fingerprint_of, train

__all__ = ["CHECKPOINT", "main", "run", "train_bundle"]

CHECKPOINT = "checkpoint.safetensors"
# Points of a curve in a checkpoint's header: enough to see its shape.
_POINTS = 200


def train_bundle(
    bundle: Bundle,
    folder: Path,
    place: Place,
    limit_seconds: float | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train, or go on, and write the checkpoint into the folder; raises as `engine.train` does."""
    trainee, config = _trainee(bundle)
    fingerprint = fingerprint_of(bundle.fingerprint, trainee.plan, config)
    trained = train(
        trainee, folder, fingerprint, place=place, limit_seconds=limit_seconds, progress=progress, say=say
    )
    if place.leads:
        told = _told(bundle, trainee, config, trained, place)
        write_checkpoint(folder / CHECKPOINT, trained.best.tensors, told)
    return trained


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; errors are one line."""
    asked = _parser().parse_args(arguments)
    folder = asked.output or asked.bundle.with_suffix(".trained")
    again = "run the same command again to go on"
    try:
        with opened(asked.device) as place:
            say = _say if place.leads else _hush
            limit = None if asked.limit_minutes is None else 60 * asked.limit_minutes
            bundle = Bundle(asked.bundle)
            trained = train_bundle(
                bundle, folder, place=place, limit_seconds=limit, progress=_Line(say), say=say
            )
            say(f"{folder / CHECKPOINT}: best at step {trained.best.step}, {_metrics(trained)}")
    except (ValueError, ImportError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except Paused as pause:
        print(f"{pause}; {again}", file=sys.stderr)
        return 0
    except KeyboardInterrupt:
        print(f"stopped; the state is in {folder}: {again}", file=sys.stderr)
        return 130
    return 0


def _trainee(bundle: Bundle) -> tuple[Trainee, dict[str, Any]]:
    about = bundle.about
    method = find_method(about.method)
    config = method.config_from(about.config)
    stages = {stage.name: stage for stage in method.stages(config)}
    if about.stage not in stages:
        where = f"{bundle.path}: {about.method} has no stage {about.stage!r}"
        raise ValueError(f"{where}, but {', '.join(stages) or 'none'}; export a bundle of this version")
    bundle.require(stages[about.stage].arrays)
    torch.manual_seed(about.seed)
    return method.trainee(about.stage, config, bundle, bundle.start()), dict(about.config)


def _told(
    bundle: Bundle, trainee: Trainee, config: Mapping[str, Any], trained: Trained, place: Place
) -> dict[str, Any]:
    """The header of the checkpoint."""
    about = bundle.about
    return {
        "method": about.method,
        "stage": about.stage,
        "preset": about.preset,
        "config": config,
        "plan": trainee.plan.as_dict(),
        "seed": about.seed,
        "data": {"inputs": dict(about.inputs), "segments": [list(one) for one in about.segments]},
        "recipe": dict(about.recipe),
        "metrics": trained.best.judged,
        "losses": {name: _thinned(curve) for name, curve in trained.curves.items()},
        "best_step": trained.best.step,
        "steps": trained.step,
        "stopped": trained.stopped,
        "seconds": round(trained.seconds, 1),
        "device": _device_name(place),
        "torch": torch.__version__,
    }


def _thinned(curve: Tensor) -> list[list[float]]:
    """At most so many points, each the mean of the values around it; the first and last step are kept."""
    groups = [curve] if len(curve) == 0 else curve.tensor_split(min(len(curve), _POINTS))
    return [
        [float(group[-1, 0]), float(f"{float(group[:, 1].mean()):.6g}")] for group in groups if len(group)
    ]


def _device_name(place: Place) -> str:
    name = torch.cuda.get_device_name(place.device) if place.device.type == "cuda" else "cpu"
    return name if place.world == 1 else f"{place.world} x {name}"


def _metrics(trained: Trained) -> str:
    told = ", ".join(f"{name} {value:.4g}" for name, value in trained.best.judged.items())
    return f"{trained.stopped} after {trained.step} ({trained.seconds:.0f} s); held out: {told or 'nothing'}"


class _Line:
    """Progress as lines: on a terminal one that is written over, elsewhere one for each percent."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._told = say, -1

    def __call__(self, progress: Progress) -> None:
        told = asdict(progress)
        minutes, seconds = divmod(int(told["seconds_left"]), 60)
        line = (
            f"step {progress.step}/{progress.steps}  loss {progress.loss:.4g}  "
            f"held out {progress.held_out:.4g} (best at {progress.best_step})  "
            f"at most {minutes}:{seconds:02} left"
        )
        percent = 100 * progress.step // progress.steps
        if sys.stdout.isatty() and self._say is _say:
            print(f"\r{line}   ", end="\n" if percent == 100 else "", flush=True)
        elif percent != self._told:
            self._told = percent
            self._say(line)


def _say(line: str) -> None:
    print(line, flush=True)


def _hush(_: str) -> None:
    """Processes that do not lead are silent."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.train", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("bundle", type=Path, help="what `memdub train --export-bundle` wrote")
    parser.add_argument("-o", "--output", type=Path, help="folder of state and checkpoint")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--limit-minutes", type=float, help="pause after so long")
    return parser


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command as a process of its own, which ends with its status."""
    status = main(arguments)
    if "WORLD_SIZE" not in os.environ:
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of gloo that still look for Python while it is taken down abort the process, now and then. All
    # is written; and torchrun takes any status but 0 as a crash of the machine and prints a page about it.
    os._exit(0 if status in (0, 130) else status)


if __name__ == "__main__":
    run()
