"""A small published group of features, made up but consistent: a head that turns before a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.track.subset68 import DLIB_IN_MESH
from storage.clips import ArraySpec, ClipGroup, create, standard

__all__ = ["FRAMES", "MISSING", "SIZE", "head", "made_up"]

FRAMES, SIZE = 60, (640, 480)
MISSING = (0, 1, 30, 31, 59)
FOCAL = 500.0


def head(seed: int = 0) -> np.ndarray:
    """(478, 3) millimetres in the head's frame: points on an ellipsoid, nearer ones towards the camera."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((478, 3))
    points[:, 2] = -np.abs(points[:, 2])
    return points / np.linalg.norm(points, axis=1, keepdims=True) * (70, 100, 60)


def turned(angles: np.ndarray) -> np.ndarray:
    """R = Rx Ry Rz, from the definition."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return about_x @ about_y @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])


def made_up(
    path: Path,
    frames: int = FRAMES,
    *,
    focal: float = FOCAL,
    shape: np.ndarray | None = None,
    **attrs: object,
) -> ClipGroup:
    """The group; frames in MISSING have no face. `focal` is the lens; poses are told for one of FOCAL."""
    shape = head() if shape is None else shape
    rng, t = np.random.default_rng(1), np.arange(frames) / 25
    angles = np.stack([0.2 * np.sin(t), 0.4 * np.sin(1.7 * t), 0.1 * np.cos(t)], -1)
    places = np.stack([40 * np.sin(t), 20 * np.cos(t), 900 + 100 * np.sin(0.5 * t)], -1)
    lens = np.tile([focal, SIZE[0] / 2, SIZE[1] / 2], (frames, 1))
    seen = np.stack([shape @ turned(a).T + p for a, p in zip(angles, places, strict=True)])
    flat = seen[..., :2] * focal / seen[..., 2:] + lens[:, None, 1:]
    depth = (seen[..., 2] - places[:, None, 2]) * focal / places[:, None, 2]
    landmarks = np.concatenate([flat, depth[..., None]], -1)
    size = np.ptp(flat[..., 1], axis=1) * 1.4
    centre = (flat.max(1) + flat.min(1)) / 2
    arrays = {
        "track/landmarks": landmarks,
        "track/landmarks_68": landmarks[:, DLIB_IN_MESH, :2],
        "track/pose": np.concatenate([angles, places * (1, 1, FOCAL / focal)], -1),
        "track/action_units": rng.uniform(0, 5, (frames, 17)),
        "track/action_unit_presence": rng.integers(0, 2, (frames, 18)),
        "track/gaze": np.tile([0.1, 0.2, -0.97], (frames, 2, 1)),
        "track/confidence": rng.uniform(0.8, 1, frames),
        "track/sharpness": rng.uniform(0.5, 0.6, frames),
        "track/shot": np.zeros(frames),
        "track/crop_placement": np.concatenate([centre - size[:, None] / 2, size[:, None]], -1),
        "fit/identity": rng.standard_normal((frames, 80)),
        "fit/expression": rng.standard_normal((frames, 64)),
        "fit/texture": rng.standard_normal((frames, 80)),
        "fit/light": rng.standard_normal((frames, 27)),
        "fit/rotation": angles,
        "fit/translation": places,
        "fit/camera": lens,
    }
    for name, values in arrays.items():
        if name not in ("track/action_unit_presence", "track/shot", "fit/camera"):
            values[list(MISSING)] = 0 if name == "track/confidence" else np.nan
    camera = ArraySpec("fit/camera", "float32", (frames, 3), ("time", "lens"), "px", "lens")
    named = [name for name in arrays if name != "fit/camera"]
    specs = (*standard(named, frames=frames, fps=25), camera)
    group = create(path, specs, {"fps": 25.0, "identity": "anna", **attrs})
    types = {spec.name: spec.dtype for spec in specs}
    for name, values in arrays.items():
        for region in group.regions(name):
            group.write(name, region.start, values[region.start : region.stop].astype(types[name]))
    return group.finish()
