"""Who is meant, through all shots of a clip: one pass over the faces. Private to `tasks.track`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.track.calibration import calibration
from models.track.camera import Camera
from models.track.eyes import EYE_POINTS, closures, openings
from models.track.people import CHOICES, Sighting, Trail, choose, jumps, people, trails
from models.track.person import Person, bones, meet
from models.track.placement import Anchor, anchors, place
from models.track.shots import cuts, numbered
from storage.clips import ClipGroup

__all__ = ["CHOICES", "Cast", "cast"]

F32 = NDArray[np.float32]
_STRETCH, _NEAR = 2048, 64
_CORNERS, _LIPS = (33, 263), (13, 14)
# Frames that a person, and the bones of a face in one shot, are learnt from.
_PERSON_FRAMES, _BONE_FRAMES = 200, 24
# Bones of one person differ by half a millimetre from shot to shot, those of two people by one to three.
# Where two are never seen together there is most likely one.
_SAME_MM, _SAME_ALONE_MM = 1.6, 2.2
# Nearer than this nobody is filmed: the picture was cut out of a larger one, and the lens is longer.
_NEAREST_MM, _CORNERS_MM = 600.0, 86.1


@dataclass(frozen=True)
class Cast:
    """Frame by frame: which slot is meant (-1 none), in which shot, and where the crop lies."""

    slot: NDArray[np.int8]  # (T,)
    shot: NDArray[np.int32]  # (T,)
    placement: F32  # (T, 3) px; NaN where no face is meant
    shut: F32  # (T,) how far the eyes are shut, told against what is around


def cast(
    group: ClipGroup, rate: float, face: str, camera: Camera, focal: float | None
) -> tuple[Cast, Camera, dict[int, Person]]:
    """Watch the whole clip; returns also the lens that poses are solved with, and who is in which shot."""
    seen, anchor, opening, changes = _watch(group)
    shot = numbered(cuts(changes, jumps(seen)))
    slot = np.full(len(shot), -1, np.int8)
    placement = np.full((len(shot), 3), np.nan, np.float32)
    found = trails(seen, shot, rate)
    if not found:
        return Cast(slot, shot, placement, placement[:, 0]), camera, {}
    camera = _lens(camera, seen, focal)
    mine = _meant(group, found, seen, face, camera)
    for trail in mine:
        slot[trail.frames] = trail.slots
    _place(placement, slot, shot, anchor, rate)
    known = _person(group, slot, camera) if mine else None
    own = opening[np.arange(len(slot)), np.maximum(slot, 0)]
    shut = closures(own, slot >= 0, shot, rate)
    return Cast(slot, shot, placement, shut), camera, {} if known is None else {t.shot: known for t in mine}


def _watch(group: ClipGroup) -> tuple[Sighting, Anchor, F32, F32]:
    length = group.array("faces/score").shape[0]
    parts = []
    for low, high in _stretches(length):
        points = group.read("faces/landmarks", low, high)
        anchor = anchors(points)
        size = np.linalg.norm(points[:, :, _CORNERS[0]] - points[:, :, _CORNERS[1]], axis=-1)
        gap = np.linalg.norm(points[:, :, _LIPS[0], :2] - points[:, :, _LIPS[1], :2], axis=-1) / size
        lids = openings(points[:, :, EYE_POINTS].reshape(-1, len(EYE_POINTS), 3)).reshape(*size.shape, 2)
        parts.append((points[:, :, _CORNERS, :2].mean(2), size, gap, anchor.centre, anchor.scale, lids))
    columns = [np.concatenate(column).astype(np.float32) for column in zip(*parts, strict=True)]
    return Sighting(*columns[:3]), Anchor(*columns[3:5]), columns[5], group.read("faces/change")


def _stretches(length: int) -> Iterator[tuple[int, int]]:
    return ((low, min(low + _STRETCH, length)) for low in range(0, length, _STRETCH))


def _lens(camera: Camera, seen: Sighting, focal: float | None) -> Camera:
    if focal is not None:
        return camera
    size = float(np.median(seen.size[seen.there]))
    return camera._replace(focal=max(camera.focal, size * _NEAREST_MM / _CORNERS_MM))


def _meant(group: ClipGroup, found: list[Trail], seen: Sighting, face: str, camera: Camera) -> list[Trail]:
    """The chosen person's trails."""
    if len(found) == 1:
        found[0].person = 0
        return found if face in (*CHOICES, "0") else []
    shapes = np.stack([_shape(group, trail, camera) for trail in found])
    together = bool((seen.there.sum(1) > 1).any())
    count = people(found, shapes, _SAME_MM if together else _SAME_ALONE_MM)
    person = choose(found, seen, face, count)
    return [trail for trail in found if trail.person == person]


def _shape(group: ClipGroup, trail: Trail, camera: Camera) -> F32:
    picked = _spread(len(trail.frames), _BONE_FRAMES)
    frames, slots = (np.array(values)[picked] for values in (trail.frames, trail.slots))
    return bones(_gathered(group, frames, slots), camera, calibration())


def _spread(length: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, length - 1, most).astype(np.int64))


def _gathered(group: ClipGroup, frames: NDArray[np.int64], slots: NDArray[np.int64]) -> F32:
    """Mesh points (N, 478, 3) of single faces; frames that lie together are read together."""
    parts = []
    for near in np.unique(frames // _NEAR):
        mine = frames // _NEAR == near
        low, high = int(frames[mine][0]), int(frames[mine][-1]) + 1
        parts.append(group.read("faces/landmarks", low, high)[frames[mine] - low, slots[mine]])
    return np.concatenate(parts)


def _place(
    placement: F32, slot: NDArray[np.int8], shot: NDArray[np.int32], anchor: Anchor, rate: float
) -> None:
    """Squares of every shot in which the person is."""
    rows = np.arange(len(slot))
    centre = anchor.centre[rows, np.maximum(slot, 0)].copy()
    scale = np.where(slot >= 0, anchor.scale[rows, np.maximum(slot, 0)], np.nan).astype(np.float32)
    for number in np.unique(shot[slot >= 0]).tolist():
        here = np.flatnonzero(shot == number)
        middles, side = place(Anchor(centre[here], scale[here]), rate)
        placement[here, :2], placement[here, 2] = middles - side / 2, side
    placement[slot < 0] = np.nan


def _person(group: ClipGroup, slot: NDArray[np.int8], camera: Camera) -> Person:
    """Learnt from frames spread over all that is seen of the person."""
    there = np.flatnonzero(slot >= 0)
    picked = there[_spread(len(there), _PERSON_FRAMES)]
    return meet(_gathered(group, picked, slot[picked].astype(np.int64)), camera, calibration())
