"""People who were never filmed: canvases of faces on which a dark mouth opens as far as expressions say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.canvas.framing import FACE
from models.methods import AROUND_S
from models.morphable.builtin import builtin
from models.sync.config import SyncConfig
from models.sync.network import SyncNet
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, write_bundle
from models.training.teachers import as_arrays

__all__ = ["arrays", "bundle", "teacher"]


def arrays(frames: int = 60, people: int = 2, side: int = 64, seed: int = 0) -> dict[str, np.ndarray]:
    """A bundle's rows: whoever's skin is lighter, everybody's jaw opens as a wave of the sound does."""
    draw = np.random.default_rng(seed)
    rows, jaw = frames * people, builtin().names.index("jaw_open")
    phase = draw.uniform(0, 6, people).repeat(frames) + 0.7 * np.tile(np.arange(frames), people)
    opening = 0.5 + 0.5 * np.sin(phase)
    around = np.zeros((rows, len(AROUND_S), 64), np.float16)
    around[..., jaw] = 0.5 + 0.5 * np.sin(phase[:, None] + 0.7 * 25 * np.array(AROUND_S))
    box = FACE.box(side)
    size = box[0].stop - box[0].start
    y, x = (np.arange(side) + 0.5 - (part.start + size / 2) for part in box)
    skin = np.linspace(150, 220, people).astype(np.uint8).repeat(frames)
    target = np.repeat(skin[:, None, None, None], side, 1).repeat(side, 2).repeat(3, 3)
    for row, gap in enumerate(opening):
        hole = (x[None] / (0.2 * size)) ** 2 + (y[:, None] / (0.02 * size + 0.16 * size * gap)) ** 2 < 1
        target[row][hole] = (70, 20, 25)
        target[row][hole & (y[:, None] < 0)] = (235, 230, 220)
    mask = np.zeros((rows, side, side), np.uint8)
    mask[:, box[0].start + 4 : box[0].stop - 2, box[1].start + 3 : box[1].stop - 3] = 255
    key = np.zeros((rows, 40, 3), np.float32)
    key[:, [list(builtin().mouth).index(v) for v in (14, 87, 317)], 1] = 10 * opening[:, None]
    told = (0.3 * draw.standard_normal((rows, 2, 111))).astype(np.float16)
    told[..., 40] = opening[:, None]
    mels = (0.3 * draw.standard_normal((rows, 16, 80))).astype(np.float16)
    mels[..., :20] += opening[:, None, None].astype(np.float16)
    return {
        "target": target,
        "mask": mask,
        "around": around,
        "sound": told,
        "mels": mels,
        "key": key.reshape(rows, 120),
        "turn": np.zeros((rows, 3), np.float32),
        "sharp": np.ones(rows, np.float32),
        "speaker": np.arange(people, dtype=np.int32).repeat(frames),
    }


def segments(frames: int, people: int) -> Sequence[Segment]:
    """The last fifth of everybody's frames is held out."""
    cut = frames * 4 // 5
    out = []
    for k in range(people):
        at = k * frames
        out.append(Segment(f"clip{k}", at, at + cut, 25.0, TRAIN))
        out.append(Segment(f"clip{k}", at + cut, at + frames, 25.0, HELD_OUT, cut))
    return out


def teacher(seed: int = 1) -> dict[str, np.ndarray]:
    """A sync expert that knows nothing, as a bundle brings it."""
    torch.manual_seed(seed)
    expert = SyncNet(SyncConfig.preset("smoke"))
    return as_arrays("sync", {f"expert/{name}": value.numpy() for name, value in expert.state_dict().items()})


def bundle(
    path: Path,
    method: str,
    stage: str,
    config: Mapping[str, Any],
    *,
    frames: int = 60,
    people: int = 2,
    side: int = 64,
    **more: Any,
) -> Bundle:
    """Of `people`; of one person's own where that is 0. `more`: arrays to add, None to leave out; `plan`."""
    plan = more.pop("plan", {})
    count = max(people, 1)
    told = arrays(frames, count, side) | more.pop("arrays", {}) | more
    if not people:
        del told["speaker"]
    about = About(method, stage, "smoke", config, seed=4, plan=plan, segments=segments(frames, count))
    return Bundle(write_bundle(path, about, {name: x for name, x in told.items() if x is not None}))
