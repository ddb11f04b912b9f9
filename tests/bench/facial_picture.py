"""FACIAL's render-to-video: what its parts are worth, whether eyes obey, and whether renders lie on the face.

    python -m tests.bench.facial_picture variants BUNDLE STEPS     each part off in turn, trained alike
    python -m tests.bench.facial_picture register HOME NAME        fits against tracked landmarks, pixels

Bundles are of the stage picture, as `memdub train NAME --method facial --stage picture --export-bundle B`
writes them. One thread.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor

from models.canvas.places import projected
from models.facial.columns import from_columns, to_columns
from models.facial.config_picture import BEFORE, PictureConfig
from models.facial.method import Facial
from models.facial.training_picture import NETWORK, PictureTrainee
from models.fit.geometry import rotation
from models.morphable.builtin import builtin
from models.networks.blocks import pictures_in
from models.training import HELD_OUT, Bundle
from models.training.devices import opened
from models.training.engine import train
from storage.home import Home
from storage.ledger import Ledger
from tasks.material import open_materials
from tasks.remember import features_of

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "no eye map": {"eyes": False},
    "nothing behind": {"still": False},
    "nobody tells apart": {"fooled": 0.0},
}
JUDGED, AT_ONCE, PAIRS = 60, 4, 40
DOWN, UP = 2.5, 0.5  # AU45 of lids that are down, and that are not
WITHIN_PX = 2.0


class Looked(NamedTuple):
    """Distances of held-out frames, of a range of 1."""

    pixels: float
    ssim: float
    shut: float  # the region of the eyes, of frames with lids down
    open: float  # and of others
    obeys: float  # how far the region changes between AU45 0 and 5, all else fixed
    swims: float  # how much the wall beside the head changes from frame to frame, against the film's


def trained(bundle: Bundle, config: PictureConfig, steps: int) -> PictureTrainee:
    plan = {"steps": steps, "evaluate_every": steps, "averaged_steps": min(100.0, steps / 10)}
    bundle.about = replace(bundle.about, plan=plan)
    trainee = PictureTrainee(config, bundle, bundle.start())
    with tempfile.TemporaryDirectory() as passing, opened("cpu") as place:
        done = train(trainee, Path(passing), "bench", place=place)
    own = {name.removeprefix(f"{NETWORK}/"): v for name, v in done.best.tensors.items() if NETWORK in name}
    trainee.generator.load_state_dict(own)
    trainee.generator.eval()
    return trainee


@torch.no_grad()
def looked_at(trainee: PictureTrainee) -> Looked:
    rows = trainee.bundle.rows(HELD_OUT)
    some = rows[np.linspace(0, len(rows) - 1, min(JUDGED, len(rows))).astype(int)]
    shut = trainee.bundle["shut"][rows]
    judged = trainee.judge()
    down, up = rows[shut > DOWN], rows[shut < UP]
    return Looked(
        judged["pixels"],
        judged["ssim"],
        _away(trainee, down[:JUDGED]),
        _away(trainee, up[:: max(len(up) // JUDGED, 1)][:JUDGED]),
        _obeys(trainee, some[::3]),
        _swims(trainee, rows),
    )


def _region(batch: dict[str, Tensor]) -> Tensor:
    """(B, 1, S, S): eyes and what lids move over."""
    eyes = batch["eyes"][:, BEFORE].float()[:, None] / 255
    return (torch.nn.functional.max_pool2d(eyes, 5, 1, 2) > 0.5).float()


def _away(trainee: PictureTrainee, rows: np.ndarray) -> float:
    """Distance in the region of the eyes."""
    found = []
    for start in range(0, len(rows), AT_ONCE):
        batch = trainee.read(rows[start : start + AT_ONCE])
        made, true, region = trainee.drawn(batch)[0], pictures_in(batch["target"]), _region(batch)
        found.append(float(((made - true).abs() / 2 * region).sum() / (3 * region.sum()).clamp(min=1)))
    return float(np.mean(found)) if found else float("nan")


def _obeys(trainee: PictureTrainee, rows: np.ndarray) -> float:
    found = []
    for start in range(0, len(rows), AT_ONCE):
        batch = trainee.read(rows[start : start + AT_ONCE])
        made = []
        for value in (0.0, 5.0):
            batch["shut"] = torch.full_like(batch["shut"], value)
            made.append(trainee.drawn(batch)[0])
        region = _region(batch)
        away = (made[0] - made[1]).abs() / 2 * region
        found.append(float(away.sum() / (3 * region.sum()).clamp(min=1)))
    return float(np.mean(found))


def _swims(trainee: PictureTrainee, rows: np.ndarray) -> float:
    """Changes in the hole far from the rendered face, ours over the film's."""
    first = rows[:-1][np.diff(rows) == 1]
    first = first[np.linspace(0, len(first) - 1, min(PAIRS, len(first))).astype(int)]
    ours, films = [], []
    for row in first:
        batch = trainee.read(np.array([row, row + 1]))
        made, true = trainee.drawn(batch)[0], pictures_in(batch["target"])
        face = (batch["render"][:, BEFORE].amax(-1) > 0).float()[:, None]
        near = torch.nn.functional.max_pool2d(face, 41, 1, 20).amax(0)
        wall = (batch["hole"][0] > 0.99).float() * (1 - near)
        for values, told in ((made, ours), (true, films)):
            told.append(float(((values[1] - values[0]).abs() * wall).sum() / wall.sum().clamp(min=1)))
    return float(np.mean(ours) / np.mean(films))


def variants(path: Path, steps: int) -> None:
    bundle = Bundle(path)
    config = Facial().config_from(bundle.about.config).picture
    print(f"{'':<20}{'pixels':>8}{'ssim':>8}{'eyes shut':>11}{'open':>8}{'obeys':>8}{'swims':>8}")
    for name, changes in VARIANTS.items():
        told = looked_at(trained(bundle, replace(config, **changes), steps))
        pixels, ssim, shut, open_, obeys, swims = told
        line = f"{pixels:>8.4f}{ssim:>8.3f}{shut:>11.4f}{open_:>8.4f}{obeys:>8.3f}{swims:>8.2f}"
        print(f"{name:<20}{line}", flush=True)


def register(home: Home, name: str) -> bool:
    """Poses that went through the 71 columns and back, and where they put the face."""
    one = open_materials(home, [one.features for one in features_of(home, Ledger(home.objects), name)])[0]
    rows = np.flatnonzero(one.seen)
    turn, moved, camera, expression = (
        torch.from_numpy(one.fit(part)[rows]) for part in ("rotation", "translation", "camera", "expression")
    )
    height, width = (int(2 * float(camera[:, k].median())) for k in (2, 1))
    columns = to_columns(turn, moved, camera, torch.zeros(len(rows)), expression, height, width)
    turn, moved = from_columns(columns, camera, height, width)
    model, tracked = builtin(), one.group.read("track/landmarks_68")[rows][..., :2]
    found = []
    for k in range(0, len(rows), 10):
        head = model.shape(one.fit("identity")[rows[k]], expression[k].numpy())
        points = torch.from_numpy(model.dlib.of(head))[None]
        seen = projected(points, rotation(turn[k : k + 1]), moved[k : k + 1], camera[k : k + 1])[0, :, :2]
        found.append(np.linalg.norm(seen.numpy() - tracked[k], axis=1))
    inner = np.concatenate(found, 0).reshape(-1, 68)[:, 17:]
    print(
        f"{name}: {len(found)} frames of {width}x{height}, inner landmarks off by {np.median(inner):.2f} px"
    )
    print(f"median; mean {inner.mean():.2f}, nine in ten below {np.quantile(inner, 0.9):.2f}")
    return bool(np.median(inner) < WITHIN_PX)


def main() -> int:
    torch.set_num_threads(1)
    match sys.argv[1:]:
        case ["variants", path, steps]:
            variants(Path(path), int(steps))
            return 0
        case ["register", home, name]:
            return 0 if register(Home(home), name) else 1
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
