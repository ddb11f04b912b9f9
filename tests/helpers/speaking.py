"""Mouths that follow symbols as `models.offset` reads them: the least that a sync expert learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.morphable.builtin import builtin
from models.offset import read_lips
from models.sync.config import SyncConfig
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, write_bundle

__all__ = ["spoken", "spoken_bundle"]


def spoken(frames: int, seed: int, side: int = 64, late: int = 0) -> dict[str, np.ndarray]:
    """Rows of one clip: pictures, sound that comes so many frames late, and the mouth as fitted."""
    draw = np.random.default_rng(seed)
    log, motion = _symbols(draw, frames)
    sound = np.zeros((frames, 2, 111), np.float32)
    sound[..., :29] = np.roll(log, 2 * late, 0).reshape(frames, 2, 29)
    sound[..., 29], sound[..., 30] = -20 + draw.standard_normal((frames, 2)), 1.0
    sound[..., 31:] = draw.standard_normal((frames, 2, 80))
    return {
        "target": _pictures(draw, motion[:, 0], side),
        "sound": sound.astype(np.float16),
        "key": _keys(motion),
    }


def _symbols(draw: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities (2 T, 29), each held for a while, and what lips do then (T, 2), 0 to 1."""
    held = np.repeat(draw.integers(0, 29, 2 * frames), draw.integers(3, 9, 2 * frames))[: 2 * frames]
    log = np.full((2 * frames, 29), -9.0, np.float32)
    log[np.arange(2 * frames), held] = -0.01
    motion = read_lips(log)[::2]
    return log, np.clip(0.5 + 0.25 * (motion - motion.mean(0)) / motion.std(0), 0, 1)


def _pictures(draw: np.random.Generator, opening: np.ndarray, side: int) -> np.ndarray:
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    skin = draw.integers(120, 230, 3)
    target = np.broadcast_to(skin.astype(np.uint8), (len(opening), side, side, 3)).copy()
    for frame, gap in enumerate(opening):
        target[frame][(x / 0.16) ** 2 + (y / (0.02 + 0.16 * gap)) ** 2 < 1] = (60, 20, 25)
    return target


def _keys(motion: np.ndarray) -> np.ndarray:
    mouth = list(builtin().mouth)
    key = np.repeat(builtin().mean[mouth][None], len(motion), 0).astype(np.float32)
    for upper, lower in ((13, 14), (82, 87), (312, 317)):
        key[:, mouth.index(lower), 1] = key[:, mouth.index(upper), 1] + 1 + 8 * motion[:, 0]
    for corner, side in ((61, -1), (291, 1)):
        key[:, mouth.index(corner), 0] += 3 * side * motion[:, 1]
    return key.reshape(len(motion), -1)


def spoken_bundle(
    path: Path, config: SyncConfig, late: tuple[int, ...] = (0, 0), frames: int = 150, **plan: object
) -> Bundle:
    """A clip for each of `late`, the last third of it held out."""
    parts = [spoken(frames, seed, late=by) for seed, by in enumerate(late)]
    runs, cut = [], frames * 2 // 3
    for number in range(len(parts)):
        at = number * frames
        runs.append(Segment(f"clip{number}", at, at + cut, 25.0, TRAIN))
        runs.append(Segment(f"clip{number}", at + cut, at + frames, 25.0, HELD_OUT, cut))
    about = About("sync", "expert", "smoke", config.as_dict(), seed=3, plan=plan, segments=tuple(runs))
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    arrays["speaker"] = np.repeat(np.arange(len(parts), dtype=np.int32), frames)
    return Bundle(write_bundle(path, about, arrays))
