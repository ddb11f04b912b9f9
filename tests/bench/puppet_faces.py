"""Measures whether MediaPipe's mesh takes the puppets for faces, and reads their truth off the pictures.

    python -m tests.bench.puppet_faces [--frames N] [--sizes 256 512] [--seeds 0 1 ...] [--json FILE]

Eight people in random aperiodic motion; prints a table and exits 1 when a limit is not met.
Errors are divided by the distance between the eyes' centres.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.puppet import CONTROLS, INDEX, Puppet, about_neck
from models.puppet.figure import LIP_RINGS
from models.puppet.truth import measures

LIPS = np.unique(LIP_RINGS)
IRISES = np.arange(468, 478)
# (figure, limit, whether the figure must stay below the limit)
LIMITS = [
    ("found", 0.99, False),
    ("all", 0.06, True),
    ("lips", 0.035, True),
    ("lips_p95", 0.055, True),
    ("gap_r", 0.92, False),
    ("gap_slope_low", 0.75, False),
    ("gap_slope_high", 1.15, True),
    ("width_r", 0.93, False),
    ("eye_r", 0.90, False),
    ("iris", 0.04, True),
    ("closed_gap", 0.06, True),
]
MOVING = [
    "jaw_open",
    "lips_close",
    "lips_round",
    "lips_funnel",
    "lips_wide",
    "upper_raise",
    "lower_drop",
    "smile_left",
    "smile_right",
    "lid_left",
    "lid_right",
    "gaze_x",
    "gaze_y",
    "brow_inner_raise",
    "brow_outer_raise",
    "brow_lower",
    "tongue_up",
]


def wander(rng: np.random.Generator, frames: int, pace: float) -> np.ndarray:
    """Smooth noise with no period, deviation 1: white noise through a random low-pass."""
    x = rng.standard_normal(frames + 200)
    width = pace * rng.uniform(0.7, 1.4)
    kernel = np.exp(-0.5 * (np.arange(-60, 61) / width) ** 2)
    smooth = np.convolve(x, kernel / np.sqrt((kernel**2).sum()), mode="same")
    return smooth[100 : 100 + frames]


def blinks(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Lids shut for a moment at random times."""
    shut = np.zeros(frames)
    at = rng.uniform(5, 25)
    while at < frames:
        shut = np.maximum(shut, np.clip(1.6 - np.abs(np.arange(frames) - at) / rng.uniform(1.6, 3.2), 0, 1))
        at += rng.uniform(12, 60)
    return shut


def motion(seed: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Expression rows and head angles: yaw to 25, pitch to 10, roll to 8 degrees."""
    rng = np.random.default_rng([seed, 0xBE9C])
    rows = np.zeros((frames, len(CONTROLS)), np.float32)

    def put(name: str, values: np.ndarray) -> None:
        rows[:, INDEX[name]] = values

    put("jaw_open", np.clip(0.28 + 0.3 * wander(rng, frames, 2.5), 0, 1))
    for name, low, scale in (
        ("lips_round", -0.1, 0.45),
        ("lips_funnel", -0.25, 0.35),
        ("lips_wide", -0.1, 0.4),
    ):
        put(name, np.clip(low + scale * wander(rng, frames, 3), 0, 1))
    rows[:, INDEX["lips_wide"]] *= 1 - rows[:, INDEX["lips_round"]]  # muscles that oppose each other
    put("upper_raise", np.clip(-0.05 + 0.3 * wander(rng, frames, 3), 0, 0.8))
    put("lower_drop", np.clip(0.05 + 0.35 * wander(rng, frames, 3), 0, 0.9))
    put("lips_close", np.clip(-0.8 + 1.8 * wander(rng, frames, 2.5), 0, 1))
    smile = np.clip(0.1 + 0.4 * wander(rng, frames, 7), 0, 1)
    put("smile_left", smile)
    put("smile_right", np.clip(smile + 0.1 * wander(rng, frames, 10), 0, 1))
    shut = blinks(rng, frames)
    put("lid_left", np.clip(shut + np.clip(0.1 * wander(rng, frames, 8), 0, 0.2), 0, 1))
    put("lid_right", rows[:, INDEX["lid_left"]])
    put("gaze_x", np.clip(0.35 * wander(rng, frames, 6), -0.8, 0.8))
    put("gaze_y", np.clip(0.2 * wander(rng, frames, 6), -0.5, 0.5))
    for name in ("brow_inner_raise", "brow_outer_raise", "brow_lower"):
        put(name, np.clip(-0.1 + 0.4 * wander(rng, frames, 8), 0, 1))
    put("tongue_up", np.clip(wander(rng, frames, 3), 0, 1))
    limits = np.radians([10, 25, 8])
    angles = np.stack([limits[k] * np.tanh(wander(rng, frames, p)) for k, p in enumerate((14, 18, 16))], 1)
    return rows, angles


@dataclass
class Seen:
    """What was measured and what was true, frame by frame, for one person at one size."""

    found: list[bool] = field(default_factory=list)
    measured: list[np.ndarray] = field(default_factory=list)
    true: list[np.ndarray] = field(default_factory=list)
    render_ms: float = 0.0


def watch(seed: int, size: int, frames: int) -> Seen:
    """Render the motion and track it with MediaPipe."""
    from mediapipe.python.solutions import face_mesh

    rows, angles = motion(seed, frames)
    puppet = Puppet(seed, size)
    seen, spent = Seen(), 0.0
    with face_mesh.FaceMesh(refine_landmarks=True, static_image_mode=False) as mesh:
        for row, angle in zip(rows, angles, strict=True):
            pose = about_neck(angle, puppet.rest_pose)
            start = time.perf_counter()
            picture = puppet.render(row, pose)
            spent += time.perf_counter() - start
            answer = mesh.process(picture).multi_face_landmarks
            seen.found.append(answer is not None)
            if answer:
                points = np.array([(p.x, p.y, p.z) for p in answer[0].landmark]) * size
                seen.measured.append(points[:, :2])
                seen.true.append(puppet.truth(row, pose).landmarks[:, :2])
    seen.render_ms = 1000 * spent / frames
    return seen


def _eye_distance(points: np.ndarray) -> np.ndarray:
    left, right = ((points[:, a] + points[:, b]) / 2 for a, b in ((33, 133), (263, 362)))
    return np.linalg.norm(left - right, axis=1)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.polyfit(x, y, 1)[0])


def figures(seen: Seen) -> dict[str, float]:
    """The figures of one person at one size."""
    measured, true = np.stack(seen.measured), np.stack(seen.true)
    scale = _eye_distance(true)[:, None]
    ours = np.array([measures(t) for t in true])
    # Both are divided by the true distance between the eyes: the mouth is judged, not the eyes.
    theirs = np.array([measures(m) for m in measured]) * _eye_distance(measured)[:, None] / scale
    error = np.linalg.norm(measured - true, axis=2) / scale
    closed = ours[:, 0] < 0.005
    slope = _slope(ours[:, 0], theirs[:, 0])
    return {
        "found": float(np.mean(seen.found)),
        "all": float(error.mean()),
        "lips": float(error[:, LIPS].mean()),
        "lips_p95": float(np.quantile(error[:, LIPS].mean(1), 0.95)),
        "gap_r": float(np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1]),
        "gap_slope_low": slope,
        "gap_slope_high": slope,
        "width_r": float(np.corrcoef(ours[:, 1], theirs[:, 1])[0, 1]),
        "eye_r": float(np.corrcoef(ours[:, 2], theirs[:, 2])[0, 1]),
        "iris": float(error[:, IRISES][ours[:, 2] > 0.06].mean()),
        "closed_gap": float(np.median(theirs[closed, 0])) if closed.any() else float("nan"),
        "ms": seen.render_ms,
    }


def _one(job: tuple[int, int, int]) -> tuple[int, int, dict[str, float]]:
    import torch

    torch.set_num_threads(1)
    seed, size, frames = job
    return seed, size, figures(watch(seed, size, frames))


def failures(mean: dict[str, float]) -> list[str]:
    """Figures that miss their limit; a figure that is not a number misses it too."""
    return [n for n, limit, below in LIMITS if not (mean[n] <= limit if below else mean[n] >= limit)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    jobs = [(seed, size, options.frames) for size in options.sizes for seed in options.seeds]
    names = [n for n, _, _ in LIMITS if n != "gap_slope_high"] + ["ms"]
    print("size seed " + " ".join(f"{n:>9}" for n in names))
    rows: dict[int, list[dict[str, float]]] = {size: [] for size in options.sizes}
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for seed, size, found in pool.imap(_one, jobs):
            rows[size].append(found)
            print(
                f"{size:4d} {seed:4d} "
                + " ".join(f"{found[n]:9.3f}" for n in names)
                + "  "
                + " ".join(failures(found)),
                flush=True,
            )
    missed = []
    for size, people in rows.items():
        mean = {n: float(np.mean([p[n] for p in people])) for n in people[0]}
        print(f"{size:4d} mean " + " ".join(f"{mean[n]:9.3f}" for n in names))
        missed += [f"{n} at {size}" for n in failures(mean)]
    if options.json:
        options.json.write_text(json.dumps(rows))
    print("all limits met" if not missed else "missed: " + ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
