"""The `fit` stage: coefficients of a morphable model for every frame of a tracked face.

`plan` meets the person of each shot in a bounded number of good and varied frames; `compute` then gives
every frame its expression, pose and light, with neighbours on both sides of a block looked at so that its
borders do not show. Reads the track's arrays only: photographs come from its crops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.fit.appearance import facing, normals, sample, to_crop
from models.fit.choice import Looks, choose, looks
from models.fit.frames import Frames, solve_frames
from models.fit.geometry import Camera, angles
from models.fit.landmarks import FitSettings, Sighted, View, eye_distance, landmarks_of, targets, view_of
from models.fit.light import solve_light
from models.fit.person import Person, Pictures, heads, meet
from models.morphable.model import MorphableModel
from storage import clips
from storage.clips import ArraySpec, ClipGroup
from storage.clips.catalogue import standard
from tasks.morphable import morphable_model

__all__ = ["FitPlan", "FitStage"]

F32 = NDArray[np.float32]

_STRETCH = 2048  # frames read at a time when the whole clip is looked at
_HALO = 12  # frames beyond a block; more than a frame's influence reaches
_PEOPLE_FRAMES = 48  # of a shot, to meet its person
_NEAREST_MM = 600.0
_EVERY_VERTEX = 3  # for light, a third of the vertices say as much as all


@dataclass(frozen=True)
class FitPlan:
    """What the whole clip says: its camera, and the person of every shot that shows one."""

    camera: Camera
    people: Mapping[int, Person]


@dataclass(frozen=True)
class FitStage:
    """Fits a track. `focal` in pixels of the clip; unknown, it is guessed as tracking does (see `_camera`)."""

    track: str
    model: str = "builtin"
    model_path: Path | None = None
    size: tuple[int, int] = (0, 0)
    focal: float | None = None
    settings: FitSettings = field(default_factory=FitSettings)

    def specs(self) -> Sequence[ArraySpec]:
        group = self._group()
        names = [f"fit/{n}" for n in (*_COLUMNS, "error")]
        frames = group.array("track/landmarks").shape[0]
        rate = Fraction(group.attrs.get("fps", 25)).limit_denominator(1001)
        lens = ArraySpec(
            "fit/camera",
            "float32",
            (frames, 3),
            ("time", "lens"),
            "px",
            "focal length, principal point x and y",
        )
        return (*standard(names, frames=frames, fps=rate), lens)

    def plan(self) -> FitPlan:
        """Meets everyone, a shot at a time. Memory holds one shot's chosen frames."""
        torch.set_num_threads(1)
        group, model = self._group(), self._model()
        seen, every = view_of(model), self._looks(group)
        camera = _camera(self.size, every, self.focal)
        people = {}
        for shot in np.unique(every.shot[every.usable]).tolist():
            rows = choose(every, int(shot), _PEOPLE_FRAMES)
            people[int(shot)] = _person(group, model, seen, rows, camera, self.settings)
        return FitPlan(camera, people)

    def compute(self, plan: FitPlan, start: int, stop: int) -> Mapping[str, NDArray[Any]]:
        """Rows of one block; frames without a face, or of a shot without anyone, are missing (NaN)."""
        torch.set_num_threads(1)
        group, model = self._group(), self._model()
        seen = view_of(model)
        frames = group.array("track/landmarks").shape[0]
        low, high = max(start - _HALO, 0), min(stop + _HALO, frames)
        sighted, shot = _sighted(group, low, high), group.read("track/shot", low, high)
        out = {name: np.full((high - low, size), np.nan, np.float32) for name, size in _COLUMNS.items()}
        out["error"] = np.full((high - low, 1), np.nan, np.float32)
        for number in np.unique(shot).tolist():
            person = plan.people.get(int(number))
            if person is None:
                continue
            _fill_person(out, shot == number, person)
            rows = np.flatnonzero((shot == number) & sighted.found)
            if len(rows):
                _fill_frames(out, group, low, rows, sighted, model, seen, person, plan.camera, self.settings)
        kept = {f"fit/{name}": values[start - low : stop - low] for name, values in out.items()}
        kept["fit/error"] = kept["fit/error"][:, 0]
        lens = np.float32([plan.camera.focal, plan.camera.x, plan.camera.y])
        return {**kept, "fit/camera": np.tile(lens, (stop - start, 1))}

    def _group(self) -> ClipGroup:
        return clips.open_clip(self.track)

    def _model(self) -> MorphableModel:
        return morphable_model(self.model, self.model_path)

    def _looks(self, group: ClipGroup) -> Looks:
        frames = group.array("track/landmarks").shape[0]
        parts = []
        for low in range(0, frames, _STRETCH):
            high = min(low + _STRETCH, frames)
            parts.append(
                looks(
                    _sighted(group, low, high),
                    group.read("track/pose", low, high),
                    group.read("track/sharpness", low, high),
                    group.read("track/shot", low, high),
                )
            )
        return Looks.joined(parts)


_COLUMNS = {"identity": 80, "expression": 64, "texture": 80, "rotation": 3, "light": 27, "translation": 3}


def _camera(size: tuple[int, int], every: Looks, focal: float | None) -> Camera:
    """OpenFace's rule, unless it puts the face nearer than anyone is filmed: then the picture was cut out of a
    larger one, and the lens is as long as a face at arm's length asks for."""
    guess = Camera.of_picture(*size, focal)
    if focal is not None or not every.usable.any():
        return guess
    eyes = float(np.median(every.eyes[every.usable]))
    return Camera.of_picture(*size, max(guess.focal, eyes * _NEAREST_MM / 61.0))


def _sighted(group: ClipGroup, low: int, high: int) -> Sighted:
    return landmarks_of(
        group.read("track/landmarks", low, high),
        group.read("track/landmarks_68", low, high),
        group.read("track/confidence", low, high),
    )


def _person(
    group: ClipGroup,
    model: MorphableModel,
    seen: View,
    rows: NDArray[np.int64],
    camera: Camera,
    settings: FitSettings,
) -> Person:
    parts = [_sighted(group, r, r + 1) for r in rows.tolist()]
    points = torch.from_numpy(np.concatenate([p.points for p in parts]))
    belief = torch.from_numpy(np.concatenate([p.belief for p in parts]))
    crops = np.concatenate([group.read("video/crop", r, r + 1) for r in rows.tolist()])
    places = np.concatenate([group.read("track/crop_placement", r, r + 1) for r in rows.tolist()])
    pictures = Pictures(torch.from_numpy(crops), torch.from_numpy(places))
    return meet(model, seen, points, belief, eye_distance(points), pictures, camera, settings)


def _fill_person(out: Mapping[str, F32], rows: NDArray[np.bool_], person: Person) -> None:
    out["identity"][rows], out["texture"][rows] = person.identity, person.texture


def _fill_frames(
    out: Mapping[str, F32],
    group: ClipGroup,
    low: int,
    rows: NDArray[np.int64],
    sighted: Sighted,
    model: MorphableModel,
    seen: View,
    person: Person,
    camera: Camera,
    settings: FitSettings,
) -> None:
    """Solve the rows of one shot and put them where they belong."""
    points = torch.from_numpy(sighted.points[rows])
    eyes = eye_distance(points)
    goal = targets(seen, points, torch.from_numpy(sighted.belief[rows]), settings, eyes)
    identity = torch.from_numpy(person.identity)
    neutral = seen.mean + seen.identity @ identity
    links = torch.from_numpy((np.diff(rows) == 1).astype(np.float32))
    depth = points[:, torch.from_numpy(seen.points), 2]
    f = solve_frames(seen, goal, depth, neutral, links, camera, settings)
    shape = neutral + (f.expression @ seen.expression.reshape(-1, seen.expression.shape[2]).T).reshape(
        len(rows), -1, 3
    )
    pixels = camera.project(shape @ f.rotation.transpose(1, 2) + f.translation[:, None])
    out["error"][rows] = ((pixels - goal.pixels).norm(dim=-1).mean(1) / eyes)[:, None].numpy()
    out["expression"][rows] = f.expression.numpy()
    out["rotation"][rows] = angles(f.rotation).numpy()
    out["translation"][rows] = f.translation.numpy()
    for part in _parts(len(rows)):
        crops = group.read("video/crop", low + int(rows[part][0]), low + int(rows[part][-1]) + 1)
        crops = crops[rows[part] - rows[part][0]]
        places = group.read("track/crop_placement", low, low + int(rows[-1]) + 1)[rows[part]]
        pictures = Pictures(torch.from_numpy(crops), torch.from_numpy(places))
        few = Frames(*(a[part] for a in f))
        out["light"][rows[part]] = _light(model, person, few, pictures, camera).numpy()


def _parts(count: int, size: int = 64) -> Iterator[slice]:
    return (slice(at, min(at + size, count)) for at in range(0, count, size))


def _light(
    model: MorphableModel, person: Person, f: Frames, pictures: Pictures, camera: Camera
) -> torch.Tensor:
    """Each frame's light, held to the shot's."""
    every = torch.arange(0, len(model.mean))
    head = heads(model, torch.from_numpy(person.identity), f.expression)
    seen = head @ f.rotation.transpose(1, 2) + f.translation[:, None]
    normal = normals(seen, torch.from_numpy(model.triangles).long())
    some = every[::_EVERY_VERTEX]
    seen, normal = seen[:, some], normal[:, some]
    places = to_crop(camera.project(seen), pictures.placement, pictures.crops.shape[1])
    colours, inside = sample(pictures.crops, places)
    weight = ((facing(seen, normal) - 0.1) / 0.5).clamp(0, 1) * inside
    albedo = torch.from_numpy(model.albedo(person.texture))[some].clamp(0.02, 1)
    return solve_light(
        normal, albedo.expand(len(seen), -1, -1), colours, weight, torch.from_numpy(person.light), 3.0
    )
