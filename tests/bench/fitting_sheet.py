"""Pictures of fits to look at: frame, lit render, render laid over the frame, and the mesh's wires.

    python -m tests.bench.fitting_sheet OUT.png [--model builtin|ict] [--clips NAME ...] [--frames N]

Frames are taken where the head is turned most, the mouth open most, and in between: where a fit goes wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from models.morphable.model import MorphableModel, vertex_normals
from models.morphable.render import camera_of, coefficients_at, posed, render
from tests.bench.fitting import _model_path
from tests.bench.fitting_run import Fitted, fitted, puppet_clip, real_clips, track_of

TILE = 320


def telling(f: Fitted, count: int) -> np.ndarray:
    """Frames with extremes of yaw and of expression, and a plain one."""
    rows = np.flatnonzero(np.isfinite(f.rows["fit/error"]))
    yaw, jaw = f.rows["fit/rotation"][rows, 1], f.rows["fit/expression"][rows, 0]
    picks = [yaw.argmin(), yaw.argmax(), jaw.argmax(), np.abs(jaw - np.median(jaw)).argmin()]
    picks.append(int(np.nanargmax(f.rows["fit/error"][rows])))
    return np.asarray(rows[np.array(picks[:count], np.int64)])


def wires(crop: np.ndarray, model: MorphableModel, seen: np.ndarray, places: np.ndarray) -> np.ndarray:
    big = cv2.resize(crop, (2 * TILE, 2 * TILE), interpolation=cv2.INTER_CUBIC)
    front = (vertex_normals(seen, model.triangles) * seen).sum(1) < 0
    at = np.round(places * (2 * TILE / 256) * 8).astype(np.int32)
    for t in model.triangles[front[model.triangles].all(1)]:
        cv2.polylines(big, [at[t]], True, (60, 255, 60), 1, cv2.LINE_AA, 3)
    return cv2.resize(big, (TILE, TILE), interpolation=cv2.INTER_AREA)


def row(f: Fitted, model: MorphableModel, frame: int) -> np.ndarray:
    group, _ = f.stage._group(), None
    crop = group.read("video/crop", frame, frame + 1)[0]
    placement = group.read("track/crop_placement", frame, frame + 1)[0]
    c, camera = coefficients_at(f.rows, frame), camera_of(f.rows["fit/camera"][frame])
    shown = render(model, c, camera, placement)
    seen = posed(model, c)
    places = (camera.project(torch.from_numpy(seen)).numpy() - placement[:2]) * (256 / placement[2])
    over = crop * (1 - shown.cover[..., None]) + 255 * shown.picture
    tiles = [crop, 255 * shown.picture, over]
    scaled = [
        cv2.resize(np.uint8(np.clip(t, 0, 255)), (TILE, TILE), interpolation=cv2.INTER_CUBIC) for t in tiles
    ]
    return np.concatenate([*scaled, wires(crop, model, seen, places)], 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--clips", nargs="+")
    parser.add_argument("--frames", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = {**real_clips(), **{f"puppet{s}": puppet_clip(s, 0, 150, True)[0] for s in range(8)}}
    rows = []
    for name in options.clips or list(clips):
        track_of(clips[name])
        f = fitted(clips[name], options.model, _model_path(options.model))
        rows += [row(f, f.stage._model(), int(k)) for k in telling(f, options.frames)]
        print(f"{name}: rows {len(rows) - options.frames} to {len(rows) - 1}")
    cv2.imwrite(str(options.out), np.concatenate(rows)[..., ::-1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
