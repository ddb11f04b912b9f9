"""Bundles of canvases: what a renderer is trained from, at the clips' own rate. Private to `tasks.bundles`.

Nothing that a network is given depends on what the mask hides: places and masks follow from the head's pose
and the person's shape, meshes from coefficients, and light is one a shot.

Shape legend: N rows, S side of a canvas, M slots of a memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.canvas import mesh_pictures, mesh_points, places, sample
from models.canvas.mask import framed_masks
from models.canvas.mesh import mesh_vertices
from models.methods import AROUND_S, Stage
from models.morphable.builtin import builtin
from models.training import TRAIN, About, Segment, filling_bundle
from storage.artifacts import Artifact
from storage.errors import RequestError
from storage.home import Home
from storage.media import VideoReader
from tasks._in_time import MEL_STEPS, rows_in_time
from tasks.extract import video_of
from tasks.material import Cut, Material, person_arrays, require_material, seconds_of
from tasks.remember import open_memory
from tasks.threads import one_thread

__all__ = ["canvas_segments", "chosen_pictures", "write_canvases", "write_general_canvases"]

Arrays = Mapping[str, NDArray[Any]]
# Whole pictures are held, which may be large.
_BLOCK = 16


@dataclass(frozen=True, eq=False)
class _Clip:
    """A clip's rows, as tensors, and where each lies in the bundle."""

    material: Material
    fit: Mapping[str, Tensor]
    places: Tensor
    row_of: NDArray[np.int64]  # (T,) row of each frame in the bundle, or -1


# Pictures this small are drawn faster by one thread than shared out, and much faster beside others.
@one_thread()
def write_canvases(
    path: Path,
    home: Home,
    stage: Stage,
    about: About,
    materials: Sequence[Material],
    cut: Cut,
    memory: Artifact | None,
    more: Arrays,
    progress: Callable[[int, int], None] | None,
) -> None:
    """The bundle at `path`: target, mask, mesh and what is seen of it, key, and the memory's slots."""
    segments = canvas_segments(materials, cut)
    require_material(segments)
    rows = segments[-1].stop
    clips_of = [_clip(one, more, segments, stage) for one in materials]
    slots = _slots(home, memory, clips_of) if "slot_keys" in stage.arrays else None
    shapes = _shapes(rows, stage, slots) | {n: (v.shape, v.dtype) for n, v in more.items()}
    tell = Counting(rows, progress)
    with filling_bundle(path, replace(about, segments=tuple(segments)), shapes) as views:
        for name, values in more.items():
            views[name][...] = values
        for one in clips_of:
            _fill(views, home, one, more, stage, tell)
        if slots is not None:
            _fill_slots(views, slots)


def write_general_canvases(
    path: Path,
    home: Home,
    stage: Stage,
    about: About,
    people: Sequence[Sequence[Material]],
    segments: Sequence[Segment],
    more: Arrays,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """The same of many people, whose segments were chosen already; `speaker` says whose a row is."""
    rows = segments[-1].stop
    shapes = _shapes(rows, stage, None) | {n: (v.shape, v.dtype) for n, v in more.items()}
    shapes["speaker"] = ((rows,), np.int32)
    tell = Counting(rows, progress)
    with filling_bundle(path, replace(about, segments=tuple(segments)), shapes) as views:
        for name, values in more.items():
            views[name][...] = values
        for number, materials in enumerate(people):
            own = person_arrays(materials)
            for one in materials:
                clip = _clip(one, own, segments, stage)
                views["speaker"][clip.row_of[clip.row_of >= 0]] = number
                _fill(views, home, clip, own, stage, tell)


@dataclass
class Counting:
    """Rows done, of all."""

    rows: int
    progress: Callable[[int, int], None] | None
    done: int = 0

    def __call__(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.rows)


def canvas_segments(materials: Sequence[Material], cut: Cut) -> list[Segment]:
    """Only rows that are used: pictures are large."""
    segments: list[Segment] = []
    for one in materials:
        left = np.inf if cut.seconds is None else cut.seconds - seconds_of(segments, TRAIN)
        usable = np.where(one.seen, one.shot, -1)
        for own in cut.segments(one.clip.id, usable, one.rate, left):
            at = segments[-1].stop if segments else 0
            segments.append(own._replace(start=at, stop=at + own.stop - own.start))
    return segments


def _clip(one: Material, more: Arrays, segments: Sequence[Segment], stage: Stage) -> _Clip:
    names = ("rotation", "translation", "camera", "expression", "light")
    fit = {name: torch.from_numpy(one.fit(name)) for name in names}
    for shot in np.unique(one.shot[one.seen]):
        own = torch.from_numpy(one.seen & (one.shot == shot))
        # A frame's own light was estimated from that frame's mouth, too.
        fit["light"][own] = fit["light"][own].median(0).values
    identity, seen = torch.from_numpy(more["identity"]), torch.from_numpy(one.seen)
    turn, moved, camera = fit["rotation"], fit["translation"], fit["camera"]
    shot, rate = torch.from_numpy(one.shot), one.rate
    lain = places(identity, turn, moved, camera, shot, seen, rate, stage.side, stage.framing)
    row_of = np.full(len(one.seen), -1, np.int64)
    for own_run in segments:
        if own_run.clip == one.clip.id:
            length = own_run.stop - own_run.start
            row_of[own_run.first : own_run.first + length] = np.arange(own_run.start, own_run.stop)
    return _Clip(one, fit, lain, row_of)


def _shapes(rows: int, stage: Stage, slots: Mapping[str, NDArray[Any]] | None) -> dict[str, Any]:
    side = stage.side
    square = (rows, side, side)
    known: dict[str, Any] = {
        "target": ((*square, 3), np.uint8),
        "mask": (square, np.uint8),
        "mesh": ((*square, 3), np.uint8),
        "cover": (square, np.uint8),
        "corner": ((rows, side // 2, side // 2), np.int16),
        "share": ((rows, side // 2, side // 2, 2), np.uint8),
        "point": ((rows, mesh_vertices(), 2), np.float32),
        "turn": ((rows, 3), np.float32),
        "key": ((rows, 3 * len(builtin().mouth)), np.float32),
        "sharp": ((rows,), np.float32),
        "around": ((rows, len(AROUND_S), 64), np.float16),
        "sound": ((rows, 2, 111), np.float16),
        "symbols": ((rows, len(AROUND_S), 29), np.float16),
        "mels": ((rows, MEL_STEPS, 80), np.float16),
    }
    shapes = {name: shape for name, shape in known.items() if name in stage.arrays}
    if slots is not None:
        count = len(slots["rows"])
        shapes["slot_keys"] = (slots["keys"].shape, np.float32)
        shapes["slot_patches"] = ((count, side, side, 3), np.uint8)
        shapes["slot_rows"] = ((count,), np.int64)
    return shapes


def _fill(
    views: dict[str, NDArray[Any]], home: Home, one: _Clip, more: Arrays, stage: Stage, tell: Counting
) -> None:
    """A clip's rows, block by block."""
    frames = np.flatnonzero(one.row_of >= 0)
    if not len(frames):
        return
    for name, told in rows_in_time(one.material, stage.arrays).items():
        views[name][one.row_of[frames]] = told[frames]
    with video_of(home, one.material.clip) as video:
        pictures = chosen_pictures(VideoReader(video), frames)
        for start in range(0, len(frames), _BLOCK):
            block = frames[start : start + _BLOCK]
            shown = torch.from_numpy(np.stack(list(itertools.islice(pictures, len(block)))))
            drawn = _drawn(one, block, shown, more, stage)
            for name, values in drawn.items():
                views[name][one.row_of[block]] = values.numpy()
            tell(len(block))


def chosen_pictures(reader: VideoReader, frames: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """The pictures of these frames, which rise; what lies far off is not decoded."""
    cuts = [0, *(np.flatnonzero(np.diff(frames) > 1) + 1).tolist(), len(frames)]
    for a, b in itertools.pairwise(cuts):
        yield from reader.read(int(frames[a]), int(frames[b - 1]) + 1)


def _drawn(
    one: _Clip, frames: NDArray[np.int64], pictures: Tensor, more: Arrays, stage: Stage
) -> dict[str, Tensor]:
    """What is seen of these frames, of that which the stage wants."""
    at, side, wanted = torch.from_numpy(frames), stage.side, set(stage.arrays)
    identity, texture = (torch.from_numpy(more[name]) for name in ("identity", "texture"))
    fit = {name: values[at] for name, values in one.fit.items()}
    lain = one.places[at]
    pose = (fit["rotation"], fit["translation"], fit["camera"])
    out = {"target": sample(pictures, lain, side), "turn": fit["rotation"]}
    if "mask" in wanted:
        alpha = framed_masks(identity, *pose, lain, side, stage.framing)
        # Rounded up: what is hidden a little is hidden.
        out["mask"] = (alpha * 255).ceil().to(torch.uint8)
    if "mesh" in wanted:
        seen = mesh_pictures(identity, texture, fit["expression"], *pose, fit["light"], lain, side)
        out |= {"mesh": seen.pictures, "cover": seen.covers, "corner": seen.corners, "share": seen.shares}
    if "point" in wanted:
        out["point"] = mesh_points(identity, fit["expression"], *pose, lain, side)
    if "key" in wanted:
        key = builtin().mouth_vertices(more["identity"], fit["expression"].numpy())
        out["key"] = torch.from_numpy(key.reshape(len(key), -1))
    return {name: values for name, values in out.items() if name in wanted}


def _slots(home: Home, memory: Artifact | None, clips_of: Sequence[_Clip]) -> dict[str, NDArray[Any]]:
    """Keys and rows of the slots that were taken from the bundle's own frames."""
    if memory is None:
        raise RequestError("this stage needs a memory", do="`memdub remember` first")
    kept_mouths = open_memory(home, memory)
    by_clip = {one.material.clip.id: one.row_of for one in clips_of}
    owners = [by_clip.get(kept_mouths.clips[number]) for number in kept_mouths.clip]
    rows = np.array(
        [-1 if of is None else of[frame] for of, frame in zip(owners, kept_mouths.frame, strict=True)]
    )
    keys = kept_mouths.keys
    # What lies outside the cut is not to be known to training: neither its picture nor its shape.
    kept = rows >= 0
    if not kept.any():
        what = "no slot of the memory lies in the material that is trained on"
        raise RequestError(what, where=memory.id, do="allow more --seconds or remember again")
    return {"keys": keys[kept].reshape(int(kept.sum()), -1).astype(np.float32), "rows": rows[kept]}


def _fill_slots(views: dict[str, NDArray[Any]], slots: Mapping[str, NDArray[Any]]) -> None:
    views["slot_keys"][...] = slots["keys"]
    views["slot_rows"][...] = slots["rows"]
    for number, row in enumerate(slots["rows"]):
        views["slot_patches"][number] = views["target"][row]
