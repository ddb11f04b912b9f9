"""Bundles of canvases that stand still: what render-to-video is trained from, at the clips' own rate.

A row holds the frame, the rendered face of its fit, where the eyes are on it and how far they are shut. Each
shot has one canvas: a hole that takes the head wherever it goes, and what lies behind it. Private to
`tasks.bundles` and `tasks.general`.

Shape legend: N rows, K shots, S side of a canvas, T frames of a clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.canvas import sample
from models.canvas.face import face_pictures
from models.canvas.still import UNKNOWN, Plate, Standing, in_shots, plate_of
from models.canvas.template import light_of_shots
from models.methods import Stage
from models.training import TRAIN, About, Segment, filling_bundle
from storage.home import Home
from storage.media import VideoReader
from tasks._canvases import Counting, canvas_segments, chosen_pictures
from tasks.extract import video_of
from tasks.material import Cut, Material, person_arrays, require_material
from tasks.threads import one_thread

__all__ = ["plates_of", "standing_of", "write_general_stills", "write_stills"]

Arrays = Mapping[str, NDArray[Any]]
_BLOCK = 16
_LOOKED_AT = 48  # frames of a shot that tell what lies behind a head


@dataclass(frozen=True, eq=False)
class _Shots:
    """A clip with its canvases."""

    material: Material
    standing: Standing
    fit: Mapping[str, Tensor]
    own: Arrays


@one_thread()
def write_stills(
    path: Path,
    home: Home,
    stage: Stage,
    about: About,
    materials: Sequence[Material],
    cut: Cut,
    more: Arrays,
    progress: Callable[[int, int], None] | None,
) -> None:
    """The bundle of one person at `path`."""
    segments = canvas_segments(materials, cut)
    require_material(segments)
    write_general_stills(path, home, stage, about, [materials], segments, more, progress, general=False)


def write_general_stills(
    path: Path,
    home: Home,
    stage: Stage,
    about: About,
    people: Sequence[Sequence[Material]],
    segments: Sequence[Segment],
    more: Arrays,
    progress: Callable[[int, int], None] | None = None,
    *,
    general: bool = True,
) -> None:
    """The same of many people, whose segments were chosen already; `speaker` says whose a row is."""
    rows, tell = segments[-1].stop, Counting(segments[-1].stop, progress)
    clips = [(n, _shots(one, person_arrays(own), stage)) for n, own in enumerate(people) for one in own]
    count = sum(len(clip.standing.shots) for _, clip in clips)
    shapes = _shapes(rows, count, stage.side) | {n: (v.shape, v.dtype) for n, v in more.items()}
    if general:
        shapes["speaker"] = ((rows,), np.int32)
    with filling_bundle(path, replace(about, segments=tuple(segments)), shapes) as views:
        for name, values in more.items():
            views[name][...] = values
        first = 0
        for number, clip in clips:
            for start, stop in _fill(views, home, clip, segments, first, tell):
                if general:
                    views["speaker"][start:stop] = number
            first += len(clip.standing.shots)


def _shapes(rows: int, shots: int, side: int) -> dict[str, Any]:
    return {
        "target": ((rows, side, side, 3), np.uint8),
        "render": ((rows, side, side, 3), np.uint8),
        "eyes": ((rows, side, side), np.uint8),
        "shut": ((rows,), np.float32),
        "still": ((rows,), np.int32),
        "plate": ((shots, side, side, 3), np.uint8),
        "hole": ((shots, side, side), np.uint8),
        "hidden": ((shots, side, side), np.uint8),
    }


def _shots(one: Material, own: Arrays, stage: Stage) -> _Shots:
    names = ("rotation", "translation", "camera", "expression", "light")
    fit = {name: torch.from_numpy(one.fit(name)) for name in names}
    shot, seen = torch.from_numpy(one.shot), torch.from_numpy(one.seen)
    # A frame's own light was estimated from that frame's mouth, too.
    fit["light"] = light_of_shots(fit["light"], shot, seen)
    return _Shots(one, standing_of(one, torch.from_numpy(own["identity"]), stage.side), fit, own)


def standing_of(
    one: Material, identity: Tensor, side: int, within: tuple[int, int] | None = None
) -> Standing:
    """The canvases of a clip's shots, or of those alone that reach into `within`."""
    turn, moved, camera = (torch.from_numpy(one.fit(name)) for name in ("rotation", "translation", "camera"))
    shot, seen = torch.from_numpy(one.shot), torch.from_numpy(one.seen)
    shown = seen if within is None else in_shots(shot, seen, within)
    return Standing(identity, turn, moved, camera, shot, shown, side)


def plates_of(
    one: Material, standing: Standing, reader: VideoReader, free: NDArray[np.bool_]
) -> dict[int, Plate]:
    """What lies behind the head, by shot that has `free` frames; no other is looked at."""
    found = {}
    for number, still in standing.shots.items():
        rows = np.flatnonzero(one.seen & free & (one.shot == number))
        if not len(rows):
            continue
        rows = np.unique(rows[np.linspace(0, len(rows) - 1, min(_LOOKED_AT, len(rows))).astype(int)])
        # One by one: whole pictures may be large.
        canvases = [_canvas(reader, int(row), still.place, standing.side) for row in rows]
        found[number] = plate_of(torch.cat(canvases), standing.heads(torch.from_numpy(rows), still))
    return found


def _learned(one: Material, segments: Sequence[Segment]) -> NDArray[np.bool_]:
    """Frames (T,) that are trained on; of a clip that is held out whole, all."""
    own = [run for run in segments if run.clip == one.clip.id]
    runs = [run for run in own if run.split == TRAIN] or own
    told = np.zeros(len(one.seen), np.bool_)
    for run in runs:
        told[run.first : run.first + run.stop - run.start] = True
    return told


def _canvas(reader: VideoReader, frame: int, place: Tensor, side: int) -> Tensor:
    """(1, S, S, 3) of one frame."""
    picture = next(iter(reader.read(frame, frame + 1)))
    return sample(torch.from_numpy(picture)[None], place[None], side)


def _fill(
    views: dict[str, NDArray[Any]],
    home: Home,
    clip: _Shots,
    segments: Sequence[Segment],
    first: int,
    tell: Counting,
) -> Iterator[tuple[int, int]]:
    """A clip's rows, segment by segment; those that were written."""
    one, standing = clip.material, clip.standing
    number_of = {shot: first + k for k, shot in enumerate(standing.shots)}
    shut = np.nan_to_num(one.blinks)
    with video_of(home, one.clip) as video:
        reader = VideoReader(video)
        plates = plates_of(one, standing, reader, _learned(one, segments))
        for shot, still in standing.shots.items():
            views["hole"][number_of[shot]] = (still.hole * 255).ceil().numpy()
            views["hidden"][number_of[shot]] = still.hidden.numpy()
            views["plate"][number_of[shot]] = plates[shot].pixels.numpy() if shot in plates else UNKNOWN
        for run in (run for run in segments if run.clip == one.clip.id):
            frames = np.arange(run.first, run.first + run.stop - run.start)
            number = int(one.shot[frames[0]])
            views["still"][run.start : run.stop] = number_of[number]
            views["shut"][run.start : run.stop] = shut[frames]
            pictures = chosen_pictures(reader, frames)
            for begin in range(0, len(frames), _BLOCK):
                block = frames[begin : begin + _BLOCK]
                seen = torch.from_numpy(np.stack([next(pictures) for _ in block]))
                at = slice(run.start + begin, run.start + begin + len(block))
                for name, values in _drawn(clip, block, seen, number).items():
                    views[name][at] = values.numpy()
                tell(len(block))
            yield run.start, run.stop


def _drawn(clip: _Shots, frames: NDArray[np.int64], pictures: Tensor, shot: int) -> dict[str, Tensor]:
    at, standing = torch.from_numpy(frames), clip.standing
    place = standing.shots[shot].place.expand(len(frames), -1, -1)
    fit = {name: values[at] for name, values in clip.fit.items()}
    identity, texture = (torch.from_numpy(clip.own[name]) for name in ("identity", "texture"))
    pose = (fit["rotation"], fit["translation"], fit["camera"], fit["light"])
    faces = face_pictures(identity, texture, fit["expression"], *pose, place, standing.side)
    target = sample(pictures, place, standing.side)
    return {"target": target, "render": faces.pictures, "eyes": faces.eyes}
