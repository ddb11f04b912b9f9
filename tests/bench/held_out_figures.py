"""What `tests.bench.held_out` tells of a film, and the ridge that it sets beside methods.

The ridge reads the true gap of the lips from half a second of log-mel, fitted on the first film in the same
run; its strength is the best of five contiguous folds.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.judging.films import figures_of
from tasks.material import Material
from tasks.trials import WRONG_S
from tasks.watching import Watched, best_shift, correlation

__all__ = ["Score", "ridge", "score"]

RATE = 25
SPEAKS = 0.5
REACH = 6
RIDGES = 10.0 ** np.arange(1, 6.01, 0.5)


class Score(NamedTuple):
    """Means of a film's figures; not numbers where they cannot be told."""

    opening: float
    late: int | None  # None where lips stand still
    lips: float
    psnr: float


def score(video: Path, made: Watched, truth: Path, true: Watched, unseen: Material) -> Score:
    """As `memdub evaluate` has it, and by how many frames the lips come late."""
    speaks = np.asarray(unseen.group.read("audio/voice_frames"))[: len(true.gaps)] > SPEAKS
    found = figures_of(video, made, truth, true, speaks)
    opening, lips, psnr = (_mean(found[name]) for name in ("opening", "lmd", "psnr"))
    moves = np.isfinite(correlation(made.gaps, true.gaps))
    return Score(opening, best_shift(made.gaps, true.gaps) if moves else None, lips, psnr)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def ridge(learned: Material, seen: Watched, unseen: Material, true: Watched) -> tuple[float, float]:
    """Correlations with the true gap: of the film's own sound, and of the wrong one."""
    x, y = _windows(learned, len(seen.gaps)), np.nan_to_num(seen.gaps, nan=np.nanmean(seen.gaps))
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x = (x - mean) / scale
    asked = [(_windows(unseen, len(true.gaps), shift) - mean) / scale for shift in (0, WRONG_S * RATE)]
    parts = np.array_split(np.arange(len(x)), 5)

    def told(rows: np.ndarray, other: np.ndarray, alpha: float) -> np.ndarray:
        own, usual = x[rows], y[rows].mean()
        solved = np.linalg.solve(own @ own.T + alpha * np.eye(len(own)), y[rows] - usual)
        return np.asarray(other @ (own.T @ solved) + usual)

    def inside(alpha: float) -> float:
        rest = [np.setdiff1d(np.arange(len(x)), part) for part in parts]
        return float(
            np.mean([correlation(told(r, x[p], alpha), y[p]) for r, p in zip(rest, parts, strict=True)])
        )

    best = max(RIDGES, key=inside)
    own, wrong = (correlation(told(np.arange(len(x)), one, best), true.gaps) for one in asked)
    return own, wrong


def _windows(one: Material, count: int, shift: int = 0) -> np.ndarray:
    mel = np.asarray(one.group.read("audio/mel"), np.float64)
    at = ((np.arange(count) + 0.5) * 80 / RATE - 0.5).clip(0, len(mel) - 1).round().astype(int)
    rows = np.roll(mel[at], shift, 0)
    padded = np.pad(rows, ((REACH, REACH), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + count] for i in range(2 * REACH + 1)], 1)
