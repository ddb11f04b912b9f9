"""Bundles of whole performances: sound, and what head, lids and face do, 30 rows a second of any clip's rate.

Private to `tasks.bundles`. What a person's pose is scored by comes from rows that are trained on alone.

Shape legend: N rows of a bundle, T frames of a clip, K clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.facial.columns import COLUMNS, Statistics, to_columns
from models.facial.config_performer import RATE
from models.training import TRAIN, Segment
from tasks.audio import frames_from_speech
from tasks.material import Cut, Material, seconds_of

__all__ = ["performance_rows"]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


def performance_rows(
    materials: Sequence[Material], cut: Cut
) -> tuple[list[Segment], dict[str, NDArray[np.generic]]]:
    """symbols30 (N, 29), performed (N, 71), trust (N,), clip (N,); clip_mean and clip_std (K, 71)."""
    segments: list[Segment] = []
    parts: list[dict[str, F32]] = []
    own: list[Statistics] = []
    at = 0
    for one in materials:
        rows, usable = _rows_of(one)
        left = np.inf if cut.seconds is None else cut.seconds - seconds_of(segments, TRAIN)
        found = cut.segments(one.clip.id, usable, RATE, left)
        segments += [s._replace(start=s.start + at, stop=s.stop + at) for s in found]
        own.append(_statistics(rows["performed"], rows["trust"], found))
        parts.append(rows)
        at += len(usable)
    arrays: dict[str, NDArray[np.generic]] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    arrays["clip"] = np.repeat(np.arange(len(parts)), [len(part["trust"]) for part in parts]).astype(np.int32)
    arrays["clip_mean"] = np.stack([one.mean.numpy() for one in own])
    arrays["clip_std"] = np.stack([one.std.numpy() for one in own])
    return segments, arrays


def _statistics(performed: F32, trust: F32, segments: Sequence[Segment]) -> Statistics:
    """Of rows that are trained on; of a clip that is held out whole, of all that it has."""
    runs = [s for s in segments if s.split == TRAIN] or list(segments)
    if not runs:
        return Statistics(torch.zeros(performed.shape[1]), torch.ones(performed.shape[1]))
    rows, told = (np.concatenate([x[s.start : s.stop] for s in runs]) for x in (performed, trust))
    return Statistics.of(torch.from_numpy(rows), torch.from_numpy(told))


def _rows_of(one: Material) -> tuple[dict[str, F32], I64]:
    """Rows of a clip, and the number of the shot in which each lies, -1 where there is no face."""
    low, high, part = _between(len(one.seen), one.rate)
    performed, trust, there = _frames_of(one)
    usable = there[low] & there[high] & (one.shot[low] == one.shot[high])
    # Of angles the shorter way; a head that is upside down may pass through half a turn.
    step = performed[high] - performed[low]
    step[:, :3] = (step[:, :3] + 180) % 360 - 180
    rows = {
        "symbols30": _symbols(one, len(low)),
        "performed": np.where(usable[:, None], performed[low] + part[:, None] * step, 0),
        "trust": np.where(usable, np.minimum(trust[low], trust[high]), 0),
    }
    told = {name: np.asarray(value, np.float32) for name, value in rows.items()}
    return told, np.where(usable, one.shot[low], -1)


def _between(frames: int, rate: float) -> tuple[I64, I64, F32]:
    """The frames between which each row at 30 a second is read, at the middle of its time, and how far on."""
    count = int(frames / rate * RATE + 1e-6)
    at = np.clip((np.arange(count) + 0.5) * rate / RATE - 0.5, 0, frames - 1)
    low = np.floor(at + 1e-6).astype(np.int64)
    part = np.where(at - low > 1e-6, at - low, 0).astype(np.float32)
    return low, np.minimum(low + (part > 0), frames - 1), part


def _frames_of(one: Material) -> tuple[F32, F32, NDArray[np.bool_]]:
    """(T, 71) of a clip's own frames, how far they are believed, and which have all of it."""
    lids = one.blinks
    rotation, translation, camera, expression = (
        torch.from_numpy(np.nan_to_num(one.fit(name)))
        for name in ("rotation", "translation", "camera", "expression")
    )
    blink = torch.from_numpy(np.nan_to_num(lids))
    # The fit's camera looks through the picture's middle, which tells the picture's sides.
    width, height = np.maximum(2 * one.fit("camera")[one.seen][:1, 1:], 1).round().astype(int).sum(0).tolist()
    there = one.seen & np.isfinite(lids)
    if not there.any():
        return np.zeros((len(there), COLUMNS), np.float32), one.trust, there
    columns = to_columns(rotation, translation, camera, blink, expression, height, width)
    return columns.numpy(), one.trust, there


def _symbols(one: Material, count: int) -> F32:
    """(count, 29): what is heard at each row, in step with the picture."""
    rows = one.group.read("audio/deepspeech")
    return frames_from_speech(rows, count, RATE, one.sound_late_s, log_probabilities=True)
