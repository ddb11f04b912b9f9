"""Fitting's figures: on real clips, on puppets whose truth is known, and what it costs.

    python -m tests.bench.fitting [--models builtin ict] [--parts real puppets identity]

Prints a table for each and exits 1 when a limit is missed. Milliseconds are of one core's time; real clips
are tracked anew beside each fit. Films of puppets are kept under the temporary folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from models.fit.choice import choose
from models.fit.landmarks import FitSettings, view_of
from models.fit.person import Person
from tasks import _fitting as stage_of
from tasks.fit import FitStage
from tests.bench.fitting_run import MOUTH_AT, fitted, people, puppet_clip, real_clips, track_of
from tests.bench.footage import real_footage

LIMITS = {"error": 0.03, "opening": 0.93, "width": 0.90, "yaw": 0.30, "ratio": 1 / 3, "peak": 1500.0}
SEEDS = range(8)


def _model_path(model: str) -> Path | None:
    footage = real_footage()
    return None if model == "builtin" or footage is None else footage / "models" / "ict_facekit.npz"


def real(models: Sequence[str]) -> list[str]:
    """Reprojection, and cost beside tracking's."""
    missed = []
    print("clip                          model    error  p95   fit ms  track ms  focal  shots  peak MB")
    for name, clip in real_clips().items():
        _, tracking = track_of(clip, again=True)
        for model in models:
            f = fitted(clip, model, _model_path(model))
            error = f.rows["fit/error"]
            mean, p95 = float(np.nanmean(error)), float(np.nanquantile(error, 0.95))
            print(
                f"{name:29s} {model:8s} {mean:.4f} {p95:.4f} {f.ms:6.2f} {tracking:8.2f} "
                f"{f.plan.camera.focal:7.0f} {len(f.plan.people):5d} {f.peak_mb:8.0f}",
                flush=True,
            )
            missed += [f"error of {name} by {model}"] * bool(mean > LIMITS["error"])
            missed += [f"memory on {name}"] * bool(f.peak_mb > LIMITS["peak"])
            missed += [f"time on {name} by {model}"] * bool(f.ms > tracking)
    return missed


def _apart(points: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=1))


def _r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-9 and b.std() > 1e-9 else 0.0


def puppets(models: Sequence[str]) -> list[str]:
    """Mouths in the canonical pose against the truth, and expressions against the head's turn."""
    missed = []
    for model in models:
        print(f"{model}: seed  error  opening r  width r  largest |r| with yaw  of them over 0.3")
        rows = []
        for seed in SEEDS:
            clip, truth = puppet_clip(seed, 0, 150, True)
            f = fitted(clip, model, _model_path(model))
            face = f.stage._model()
            there = np.isfinite(f.rows["fit/error"])
            e = f.rows["fit/expression"][there]
            mouth = face.mouth_vertices(f.plan.people[0].identity, e)
            # The built-in order of mouth vertices: outer ring, then inner; corners and middles by place.
            opening, width = _apart(mouth, 25, 35), _apart(mouth, 0, 10)
            true = truth["mouth"][there]
            lips = face.coefficients_of(("jaw", "lips"))
            turns = np.abs([_r(truth["pose"][there, 1], e[:, k]) for k in lips])
            rows.append(
                (
                    float(np.nanmean(f.rows["fit/error"])),
                    _r(opening, _apart(true, MOUTH_AT[13], MOUTH_AT[14])),
                    _r(width, _apart(true, MOUTH_AT[61], MOUTH_AT[291])),
                    float(turns.max()),
                    float((turns > LIMITS["yaw"]).sum()),
                )
            )
            print(f"{seed:13d} " + "  ".join(f"{v:8.3f}" for v in rows[-1]), flush=True)
        mean = np.mean(rows, axis=0)
        print("         mean " + "  ".join(f"{v:8.3f}" for v in mean))
        missed += [f"opening by {model}"] * bool(mean[1] < LIMITS["opening"])
        missed += [f"width by {model}"] * bool(mean[2] < LIMITS["width"])
        missed += [f"yaw by {model}"] * bool(max(r[3] for r in rows) > LIMITS["yaw"])
    return missed


def _met(clip: Path, parts: int) -> list[Person]:
    """The person of each part of a clip on its own."""
    group, _ = track_of(clip)
    stage = fitted_stage(clip)
    model, seen = stage._model(), view_of(stage._model())
    every = stage_of._looks(group)
    frames = len(every.shot)
    every = replace(every, shot=(np.arange(frames) * parts // frames).astype(np.int32))
    camera = stage_of._camera(stage.size, every, None)
    found = []
    for part in range(parts):
        rows = choose(every, part, stage_of._MET)
        if len(rows) >= 20:
            found.append(stage_of._met(group, model, seen, rows, camera, FitSettings()))
    return found


def fitted_stage(clip: Path) -> FitStage:
    from storage.media import VideoReader

    return FitStage(track_of(clip)[0].url, size=VideoReader(clip).size)


def _variation(found: Sequence[Sequence[np.ndarray]]) -> tuple[float, float]:
    """Deviation within people and between them."""
    means = np.stack([np.mean(p, axis=0) for p in found])
    inside = sum(((np.stack(p) - m) ** 2).sum() for p, m in zip(found, means, strict=True))
    within = np.sqrt(inside / sum(len(p) - 1 for p in found))
    return float(within), float(np.sqrt(((means - means.mean(0)) ** 2).sum() / (len(means) - 1)))


def identity() -> list[str]:
    """How much a person's identity varies between clips, against how much people differ; texture, too."""
    from models.morphable import builtin

    torch.set_num_threads(1)
    groups = {"puppets, 3 lights": [[_met(c, 1)[0] for c in people(s)] for s in SEEDS]}
    clips = real_clips()
    if clips:
        groups["real, parts of clips"] = [
            _met(c, 4 if n.startswith("senator_60s") else 2) for n, c in clips.items()
        ]
    root = np.sqrt(len(builtin().mean))
    shape, colour = (m.reshape(-1, 80) / root for m in (builtin().identity, 100 * builtin().texture))
    units = [
        ("identity", "coefficients", np.eye(80)),
        ("identity", "mm of vertices", shape),
        ("texture", "coefficients", np.eye(80)),
        ("texture", "% of white", colour),
    ]
    missed = []
    print("people, in        within  between  ratio")
    for name, found in groups.items():
        for what, unit, matrix in units:
            within, between = _variation([[matrix @ getattr(x, what) for x in p] for p in found])
            print(f"{name}, {what} in {unit}: {within:.3f} {between:.3f} {within / between:.3f}")
            over = what == "identity" and within / between > LIMITS["ratio"]
            missed += [f"identity of {name} in {unit}"] * bool(over)
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["builtin", "ict"])
    parser.add_argument("--parts", nargs="+", default=["real", "puppets", "identity"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [m for m in options.models if m == "builtin" or _model_path(m)]
    missed: list[str] = []
    if "real" in options.parts:
        missed += real(models)
    if "puppets" in options.parts:
        missed += puppets(models)
    if "identity" in options.parts:
        missed += identity()
    print("all limits met" if not missed else "missed: " + ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
