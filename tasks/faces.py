"""Every face of every frame, as the mesh sees it: the first stage of extraction.

A face is followed from frame to frame in the square that its last landmarks give; faces are looked for where
none is followed, after a jump of the picture, and once in a while for others that came in. Each block begins
a few frames early and from nothing, so that its rows are the same whoever computes them, and when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.track.regions import Region, overlap, region_of, to_picture
from models.track.shots import THUMBNAIL, change, plain
from storage.clips import ArraySpec, standard
from tasks._finding import search
from tasks._mediapipe import MeshNetwork, Reading, mesh
from tasks._pictures import Planes, frames, look, patch, thumbnail

__all__ = ["FacesStage", "FollowSettings"]

F32 = NDArray[np.float32]
POINTS, BLENDSHAPES = 478, 52


@dataclass(frozen=True)
class FollowSettings:
    """When a face counts as seen, and how often others are looked for."""

    present: float = 0.5  # of the mesh's score
    sure: float = 0.9  # a followed face that a jump of the picture does not put in doubt
    jump: float = 0.25  # change of the picture after which faces are looked for again
    look_every: int = 25  # frames between looks for faces that came in
    deep_every: int = 5  # frames between thorough looks while there is no face at all
    same: float = 0.3  # overlap of two squares that are one face
    warm_up: int = 4  # frames before a block that are followed but not kept


@dataclass(frozen=True)
class FacesStage:
    """`faces/*` of a clip. `bundle` is MediaPipe's face_landmarker.task, for the backend `task`."""

    video: Path
    backend: str = "mesh"
    bundle: Path | None = None
    most_faces: int = 4
    settings: FollowSettings = field(default_factory=FollowSettings)

    def specs(self) -> Sequence[ArraySpec]:
        """The arrays it makes."""
        reader = look(self.video)
        names = ["faces/landmarks", "faces/score", "faces/sharpness", "faces/change"]
        if self.backend == "task":
            names.append("faces/blendshapes")
        return standard(names, frames=len(reader), fps=reader.rate, faces=self.most_faces)

    def plan(self) -> None:
        """Nothing needs the whole clip here."""

    def compute(self, plan: None, start: int, stop: int) -> Mapping[str, NDArray[Any]]:
        """Rows of one block."""
        rows = _empty(stop - start, self.most_faces)
        bundle = None if self.bundle is None else str(self.bundle)
        follower = _Follower(mesh(self.backend, bundle), self.most_faces, self.settings)
        begin = max(start - self.settings.warm_up, 0)
        for index, planes in zip(count(begin), frames(self.video, begin, stop), strict=False):
            seen = follower.step(index, planes)
            if index >= start:
                rows["faces/change"][index - start] = follower.change
                _put(rows, index - start, seen)
        if self.backend != "task":
            del rows["faces/blendshapes"]
        return rows


@dataclass(frozen=True)
class _Face:
    region: Region  # where to look next
    points: F32  # in the picture's pixels
    score: float
    sharpness: float
    blendshapes: F32 | None


def _empty(length: int, faces: int) -> dict[str, NDArray[Any]]:
    return {
        "faces/landmarks": np.full((length, faces, POINTS, 3), np.nan, np.float32),
        "faces/score": np.zeros((length, faces), np.float32),
        "faces/sharpness": np.full((length, faces), np.nan, np.float32),
        "faces/change": np.zeros(length, np.float32),
        "faces/blendshapes": np.full((length, faces, BLENDSHAPES), np.nan, np.float32),
    }


def _put(rows: Mapping[str, NDArray[Any]], at: int, seen: Sequence[_Face | None]) -> None:
    for slot, face in enumerate(seen):
        if face is None:
            continue
        rows["faces/landmarks"][at, slot] = face.points
        rows["faces/score"][at, slot] = face.score
        rows["faces/sharpness"][at, slot] = face.sharpness
        if face.blendshapes is not None:
            rows["faces/blendshapes"][at, slot] = face.blendshapes


class _Follower:
    """Faces by slot, from frame to frame. What it remembers begins and ends with a block."""

    def __init__(self, network: MeshNetwork, most: int, settings: FollowSettings) -> None:
        self.change = 0.0
        self._network, self._settings = network, settings
        self._slots: list[_Face | None] = [None] * most
        self._thumbnail: F32 | None = None
        self._begun = False

    def step(self, index: int, planes: Planes) -> Sequence[_Face | None]:
        """The faces of the next frame, by slot."""
        self._compare(planes)
        jumped = self.change > self._settings.jump
        had = sum(face is not None for face in self._slots)
        self._slots = [None if face is None else self._read(planes, face.region) for face in self._slots]
        self._drop_doubles()
        has = sum(face is not None for face in self._slots)
        if not self._begun or jumped or has < max(had, 1) or index % self._settings.look_every == 0:
            deep = not self._begun or jumped or had > 0 or index % self._settings.deep_every == 0
            self._look(planes, deep and has == 0, jumped)
        self._begun = True
        return self._slots

    def _compare(self, planes: Planes) -> None:
        small = plain(thumbnail(planes, THUMBNAIL))
        self.change = 0.0 if self._thumbnail is None else change(self._thumbnail, small)
        self._thumbnail = small

    def _look(self, planes: Planes, thorough: bool, jumped: bool) -> None:
        places = search(planes, thorough)
        if jumped:
            self._doubt(places)
        for place in places:
            if None not in self._slots:
                return
            if self._known(place):
                continue
            # Twice: the detector's square is rough, and the mesh reads best in its own.
            first = self._read(planes, place)
            face = None if first is None else self._read(planes, first.region)
            if face is not None and not self._known(face.region):
                self._slots[self._slots.index(None)] = face

    def _doubt(self, places: Sequence[Region]) -> None:
        """After a jump of the picture, a square in which only something like a face is left is given up."""
        for slot, face in enumerate(self._slots):
            if face is None or face.score >= self._settings.sure:
                continue
            if not any(overlap(place, face.region) >= self._settings.same for place in places):
                self._slots[slot] = None

    def _known(self, place: Region) -> bool:
        return any(
            face is not None and overlap(place, face.region) >= self._settings.same for face in self._slots
        )

    def _drop_doubles(self) -> None:
        """Two squares that slid onto one face."""
        for slot, face in enumerate(self._slots):
            earlier = [other for other in self._slots[:slot] if other is not None]
            if face and any(overlap(face.region, o.region) >= self._settings.same for o in earlier):
                self._slots[slot] = None

    def _read(self, planes: Planes, place: Region) -> _Face | None:
        picture, bright = patch(planes, place, self._network.side)
        reading = self._network(picture)
        if reading.score < self._settings.present:
            return None
        return _face(reading, place, bright)


def _face(reading: Reading, place: Region, bright: NDArray[np.uint8]) -> _Face:
    points = to_picture(reading.points, place)
    return _Face(region_of(points), points, reading.score, _sharpness(bright), reading.blendshapes)


def _sharpness(bright: NDArray[np.uint8]) -> float:
    """Fine detail over all detail in the middle of the square: alike for faces near or far, dim or lit."""
    side = bright.shape[0]
    face = bright[side // 5 : -side // 5, side // 5 : -side // 5]
    fine = cv2.Laplacian(face, cv2.CV_16S)
    deviation = float(cv2.meanStdDev(face)[1][0, 0])
    return float(cv2.meanStdDev(fine)[1][0, 0]) / (deviation + 2.0)
