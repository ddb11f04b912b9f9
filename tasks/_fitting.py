"""A morphable model fitted to a tracked face: the person of each shot first, then every frame.

Reads the track's arrays only: photographs come from its crops. Private to `tasks.fit`, which imports this,
and PyTorch with it, where the work is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.fit.block import fit_rows
from models.fit.choice import Looks, choose, evenly, looks
from models.fit.geometry import Camera
from models.fit.landmarks import FitSettings, Sighted, View, eye_distance, landmarks_of, view_of
from models.fit.person import Person, Pictures, meet, watch
from models.morphable.model import MorphableModel
from storage.clips import ClipGroup
from tasks.fit import COLUMNS

__all__ = ["FitPlan", "plan_of", "rows_of"]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

_STRETCH = 2048  # frames read at a time when the whole clip is looked at
_HALO = 12  # frames beyond a block; more than a frame's influence reaches
# Frames in which people are met, and watched turning: of a shot, of all shots, and of a shot at least.
# A film with many cuts must not take longer than one without.
_MET, _MET_IN_ALL, _MET_AT_LEAST = 48, 144, 8
_WATCHED, _WATCHED_IN_ALL, _WATCHED_AT_LEAST = 256, 768, 24
_NEAREST_MM, _EYES_MM = 600.0, 61.0


@dataclass(frozen=True)
class FitPlan:
    """What the whole clip says: its camera, and the person of every shot that shows one."""

    camera: Camera
    people: Mapping[int, Person]


def plan_of(group: ClipGroup, model: MorphableModel, size: tuple[int, int], focal: float | None) -> FitPlan:
    """Meets everyone, a shot at a time, and holds one shot's chosen frames."""
    torch.set_num_threads(1)
    settings = FitSettings()
    seen, every = view_of(model), _looks(group)
    camera = _camera(size, every, focal)
    people = {}
    shots = np.unique(every.shot[every.usable]).tolist()
    met, watched = _frames_of_a_shot(len(shots))
    for shot in shots:
        person = _met(group, model, seen, choose(every, int(shot), met), camera, settings)
        rows = evenly(every, int(shot), watched)
        people[int(shot)] = _watched(group, model, seen, person, rows, camera, settings)
    return FitPlan(camera, people)


def rows_of(
    group: ClipGroup, model: MorphableModel, plan: FitPlan, start: int, stop: int
) -> Mapping[str, NDArray[Any]]:
    """Rows of one block; frames without a face are missing (NaN), but for what their shot knows."""
    torch.set_num_threads(1)
    frames = group.array("track/landmarks").shape[0]
    low, high = max(start - _HALO, 0), min(stop + _HALO, frames)
    sighted, shot = _sighted(group, low, high), group.read("track/shot", low, high)
    out: dict[str, F32] = {
        n: np.full((high - low, width), np.nan, np.float32) for n, width in COLUMNS.items()
    }
    out["error"] = np.full(high - low, np.nan, np.float32)
    for number, person in plan.people.items():
        whole = shot == number
        out["identity"][whole], out["texture"][whole] = person.identity, person.texture
        rows = np.flatnonzero(whole & sighted.found)
        if len(rows):
            pictures, settings = _Reader(group, low, rows), FitSettings()
            _fill(out, rows, pictures, sighted, model, person, plan.camera, settings)
    lens = np.array([plan.camera.focal, plan.camera.x, plan.camera.y], np.float32)
    kept = {f"fit/{name}": values[start - low : stop - low] for name, values in out.items()}
    return {**kept, "fit/camera": np.tile(lens, (stop - start, 1))}


def _frames_of_a_shot(shots: int) -> tuple[int, int]:
    met = max(min(_MET, _MET_IN_ALL // max(shots, 1)), _MET_AT_LEAST)
    return met, max(min(_WATCHED, _WATCHED_IN_ALL // max(shots, 1)), _WATCHED_AT_LEAST)


def _camera(size: tuple[int, int], every: Looks, focal: float | None) -> Camera:
    """OpenFace's rule, unless it puts the face nearer than anyone is filmed.

    Then the picture was cut out of a larger one, and its lens is as long as the nearest face asks for.
    """
    guess = Camera.of_picture(*size, focal)
    if focal is not None or not every.usable.any():
        return guess
    eyes = float(np.median(every.eyes[every.usable]))
    return Camera.of_picture(*size, max(guess.focal, eyes * _NEAREST_MM / _EYES_MM))


def _looks(group: ClipGroup) -> Looks:
    frames = group.array("track/landmarks").shape[0]
    parts = []
    for low in range(0, frames, _STRETCH):
        high = min(low + _STRETCH, frames)
        pose, sharpness, shot = (group.read(f"track/{n}", low, high) for n in ("pose", "sharpness", "shot"))
        parts.append(looks(_sighted(group, low, high), pose, sharpness, shot))
    return Looks.joined(parts)


def _sighted(group: ClipGroup, low: int, high: int) -> Sighted:
    names = ("landmarks", "landmarks_68", "confidence")
    return landmarks_of(*(group.read(f"track/{n}", low, high) for n in names))


def _sighted_rows(group: ClipGroup, rows: I64) -> Sighted:
    """Scattered rows, a stretch of the clip at a time: their chunks are read once."""
    parts = []
    for key in np.unique(rows // 128).tolist():
        own = rows[rows // 128 == key]
        stretch = _sighted(group, int(own[0]), int(own[-1]) + 1)
        parts.append(Sighted(*(a[own - own[0]] for a in stretch)))
    return Sighted(*(np.concatenate(a) for a in zip(*parts, strict=True)))


def _met(
    group: ClipGroup, model: MorphableModel, seen: View, rows: I64, camera: Camera, settings: FitSettings
) -> Person:
    sighted = _sighted_rows(group, rows)
    points, belief = torch.from_numpy(sighted.points), torch.from_numpy(sighted.belief)

    def pictures(part: I64) -> Pictures:
        names = ("video/crop", "track/crop_placement")
        arrays = (np.concatenate([group.read(n, r, r + 1) for r in rows[part].tolist()]) for n in names)
        return Pictures(*(torch.from_numpy(a) for a in arrays))

    return meet(model, seen, points, belief, eye_distance(points), pictures, camera, settings)


def _watched(
    group: ClipGroup,
    model: MorphableModel,
    seen: View,
    person: Person,
    rows: I64,
    camera: Camera,
    settings: FitSettings,
) -> Person:
    sighted = _sighted_rows(group, rows)
    points, belief = torch.from_numpy(sighted.points), torch.from_numpy(sighted.belief)
    return watch(model, seen, person, points, belief, eye_distance(points), camera, settings)


class _Reader:
    """Crops of a block's rows, read where they are asked for."""

    def __init__(self, group: ClipGroup, low: int, rows: I64) -> None:
        self.group, self.rows = group, rows + low

    def __call__(self, part: slice) -> Pictures:
        rows = self.rows[part]
        first, last = int(rows[0]), int(rows[-1]) + 1
        names = ("video/crop", "track/crop_placement")
        arrays = (self.group.read(n, first, last)[rows - first] for n in names)
        return Pictures(*(torch.from_numpy(a) for a in arrays))


def _fill(
    out: Mapping[str, F32],
    rows: I64,
    pictures: _Reader,
    sighted: Sighted,
    model: MorphableModel,
    person: Person,
    camera: Camera,
    settings: FitSettings,
) -> None:
    """Solve the rows of one shot and put them where they belong."""
    follows = np.diff(rows) == 1
    points, belief = sighted.points[rows], sighted.belief[rows]
    solved = fit_rows(model, view_of(model), person, points, belief, follows, pictures, camera, settings)
    for name, values in solved._asdict().items():
        out[name][rows] = values
