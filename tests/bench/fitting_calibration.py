"""Measures on puppets what `models.fit.telling` stands on, and writes its file.

    python -m tests.bench.fitting_calibration [TARGET] [--people N] [--caution X]

Films three clips each of people that the benchmark of fitting never sees (seeds from 20 on); ten seconds a
clip. To be run again when the built-in model, its fit or the tracker changes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.fit import telling
from models.fit.choice import choose
from models.fit.landmarks import FitSettings, eye_distance, targets, view_of
from models.fit.shot import solve_shot
from storage.media import VideoReader
from tasks import _fitting as stage_of
from tasks.fit import FitStage
from tests.bench.fitting_run import people, track_of

FIRST = 20


def fits(clip: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Identity as the landmarks have it, and the mean expression."""
    group, _ = track_of(clip)
    stage = FitStage(group.url, size=VideoReader(clip).size)
    seen, every = view_of(stage._model()), stage_of._looks(group)
    sighted = stage_of._sighted_rows(group, choose(every, 0, stage_of._MET))
    points = torch.from_numpy(sighted.points)
    goal = targets(seen, points, torch.from_numpy(sighted.belief), FitSettings(), eye_distance(points))
    depth = points[:, torch.from_numpy(seen.points), 2]
    camera = stage_of._camera(stage.size, every, None)
    identity, frames = solve_shot(seen, goal, depth, camera, FitSettings())
    return identity, frames.expression.mean(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "target", type=Path, nargs="?", default=Path(telling.__file__).with_name("builtin.safetensors")
    )
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--caution", type=float, default=3.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = [[fits(clip) for clip in people(seed)] for seed in range(FIRST, FIRST + options.people)]
    identity, expression = (torch.stack([torch.stack([c[k] for c in p]) for p in found]) for k in (0, 1))
    save_file(telling.learn(identity, expression, options.caution), options.target)
    print(f"{options.target}: {options.target.stat().st_size / 1e3:.0f} kB from {len(found)} people")
    return 0


if __name__ == "__main__":
    sys.exit(main())
