"""Which mouths of clips to remember: keys and places of every frame, the choice, and the chosen pictures.

Private to tasks; `tasks.remember` makes an artifact of it. Shape legend: T frames of a clip, M slots, S side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.canvas import mesh_points, places, sample
from models.memory.explicit import Selection, gates, select, smallest
from models.morphable import builtin
from storage.clips import ClipGroup
from storage.errors import MediaError
from storage.media import VideoReader

__all__ = [
    "Frames",
    "by_chance",
    "choose",
    "first_share",
    "frames_of",
    "identity_of",
    "lain",
    "owners",
    "pictures",
]

F32 = NDArray[np.float32]
_FIT = ("identity", "expression", "rotation", "translation", "camera")


class Frames(NamedTuple):
    """What is known of a clip's frames before any picture is read; places on canvases of `side` pixels."""

    keys: F32  # (T, 40, 3)
    places: torch.Tensor  # (T, 2, 3)
    sharpness: F32
    confidence: F32
    error: F32
    rotation: F32
    expression: F32
    translation: F32
    camera: F32


def frames_of(group: ClipGroup, side: int, identity: F32 | None = None) -> Frames:
    """Keys and places of every frame of a clip; `identity` (80,) is whose neutral mouth keys start from."""
    fit = {name: group.read(f"fit/{name}").astype(np.float32) for name in _FIT}
    seen = (group.read("track/confidence") > 0) & np.isfinite(fit["expression"]).all(1)
    own = fit["identity"][seen].mean(0) if seen.any() else np.zeros(80, np.float32)
    keys = np.full((len(seen), len(builtin().mouth), 3), np.nan, np.float32)
    whose = own if identity is None else identity
    keys[seen] = builtin().mouth_vertices(whose, fit["expression"][seen])
    at = places(
        torch.from_numpy(own),
        torch.from_numpy(fit["rotation"]),
        torch.from_numpy(fit["translation"]),
        torch.from_numpy(fit["camera"]),
        torch.from_numpy(group.read("track/shot")),
        torch.from_numpy(seen),
        float(group.attrs["fps"]),
        side,
    )
    sharpness, confidence = (group.read(f"track/{name}") for name in ("sharpness", "confidence"))
    error = group.read("fit/error") if "fit/error" in group.names else np.zeros(len(seen), np.float32)
    moving = (fit[name] for name in ("rotation", "expression", "translation", "camera"))
    return Frames(keys, at, sharpness, confidence, error, *moving)


def identity_of(groups: Sequence[ClipGroup]) -> F32:
    """One neutral face (80,) for all clips: the mean of what was fitted."""
    rows = [group.read("fit/identity") for group in groups]
    every = np.concatenate(rows)
    every = every[np.isfinite(every).all(1)]
    if not len(every):
        raise MediaError("no frame shows a face", where=groups[0].url, do="ingest other footage")
    return np.asarray(every.mean(0), np.float32)


def first_share(frames: Frames, share: float) -> Frames:
    """The first part of a clip: the rest is kept for judging."""
    stop = round(len(frames.keys) * share)
    return Frames(**{name: values[:stop] for name, values in frames._asdict().items()})


def choose(
    frames: Sequence[Frames], slots: int, seed: int, where: str
) -> tuple[Selection, NDArray[np.int64]]:
    """The selection, and the rows of all frames that it was made from."""
    open_ = [gates(f.keys, f.sharpness, f.confidence, f.error, f.rotation, slots) for f in frames]
    usable = np.flatnonzero(np.concatenate(open_))
    if len(usable) < 2:
        raise MediaError("no frame shows a mouth well enough", where=where, do="ingest sharper footage")
    keys = np.concatenate([f.keys for f in frames])[usable].reshape(len(usable), -1)
    return select(keys, slots, seed), usable


def by_chance(frames: Sequence[Frames], usable: NDArray[np.int64], count: int) -> float:
    keys = np.concatenate([f.keys for f in frames])[usable].reshape(len(usable), -1)
    draw = np.random.default_rng(1)
    return float(np.mean([smallest(keys[draw.choice(len(keys), count, replace=False)]) for _ in range(5)]))


def owners(frames: Sequence[Frames], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clip and frame of rows that are counted through all clips."""
    starts = np.cumsum([0, *(len(f.keys) for f in frames)])
    of = np.searchsorted(starts, rows, side="right") - 1
    return of, rows - starts[of]


def lain(
    frames: Sequence[Frames], of: NDArray[np.int64], row: NDArray[np.int64], identity: F32, side: int
) -> F32:
    """Where the mesh lay on the canvases of these rows, in shares of their side: (M, V, 2)."""

    def told(name: str) -> torch.Tensor:
        rows = [np.asarray(getattr(frames[a], name)[b]) for a, b in zip(of, row, strict=True)]
        return torch.from_numpy(np.stack(rows))

    pose = (told("rotation"), told("translation"), told("camera"))
    points = mesh_points(torch.from_numpy(identity), told("expression"), *pose, told("places"), side)
    return np.asarray(points.numpy())


def pictures(
    videos: Sequence[AbstractContextManager[Path]],
    frames: Sequence[Frames],
    of: NDArray[np.int64],
    row: NDArray[np.int64],
    side: int,
) -> NDArray[np.uint8]:
    out = np.zeros((len(of), side, side, 3), np.uint8)
    for number, opened in enumerate(videos):
        mine = np.flatnonzero(of == number)
        if not len(mine):
            continue
        with opened as video:
            for slot, picture in _picked(VideoReader(video), mine, row):
                at = frames[number].places[row[slot]][None]
                out[slot] = sample(torch.from_numpy(picture)[None], at, side)[0].numpy()
    return out


def _picked(
    video: VideoReader, slots: NDArray[np.int64], row: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Slots with their frames' pictures, in the order of the film, which is read once."""
    waiting = sorted(slots.tolist(), key=lambda slot: int(row[slot]))
    first = int(row[waiting[0]])
    for number, picture in enumerate(video.read(first, int(row[waiting[-1]]) + 1), first):
        while waiting and int(row[waiting[0]]) == number:
            yield waiting.pop(0), picture
