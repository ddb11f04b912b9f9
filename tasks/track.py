"""The chosen face through a whole clip, settled: the second stage of extraction.

The plan looks at all frames once: where the camera cuts, who is who, who is meant, where crops lie, and how
that person's face is at rest. Blocks then read their frames with what the plan knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.track.calibration import calibration
from models.track.camera import Camera
from models.track.confidence import confidence, swiftness
from models.track.person import Person, settle
from models.track.smoothing import REACH, smoothed
from models.track.subset68 import DLIB_IN_MESH, subset68
from storage import clips
from storage.clips import ArraySpec, ClipGroup, standard
from storage.errors import RequestError
from tasks._casting import CHOICES, Cast, cast
from tasks._pictures import crop, frames, look

__all__ = ["TrackPlan", "TrackStage"]

F32 = NDArray[np.float32]
_PIXELS = 256
_ARRAYS = (
    "video/crop",
    "track/landmarks",
    "track/landmarks_68",
    "track/pose",
    "track/action_units",
    "track/action_unit_presence",
    "track/gaze",
    "track/confidence",
    "track/sharpness",
    "track/shot",
    "track/crop_placement",
)


@dataclass(frozen=True)
class TrackPlan:
    """What blocks need to know of the whole clip: a few numbers a frame, and the people."""

    cast: Cast
    camera: Camera
    people: Mapping[int, Person]  # by shot's person


@dataclass(frozen=True)
class TrackStage:
    """`track/*` and `video/crop` of a clip.

    `face` is auto (who speaks, else the largest), largest, left, right, or a person's number, those seen
    longest first. `focal` is the lens in pixels, where it is known.
    """

    video: Path
    faces: str
    face: str = "auto"
    focal: float | None = None

    def __post_init__(self) -> None:
        if self.face not in CHOICES and not self.face.isdigit():
            do = f"use one of {', '.join(CHOICES)}, or a number from 0"
            raise RequestError("no such face", where=self.face, do=do)

    def specs(self) -> Sequence[ArraySpec]:
        """The arrays it makes."""
        reader = look(self.video)
        names = list(_ARRAYS)
        if "faces/blendshapes" in self._faces().names:
            names.append("track/blendshapes")
        return standard(names, frames=len(reader), fps=reader.rate, crop=(_PIXELS, _PIXELS))

    def plan(self) -> TrackPlan:
        """One pass over the faces; memory does not grow with the clip but for a few numbers a frame."""
        reader = look(self.video)
        chosen, camera, people = cast(
            self._faces(),
            float(reader.rate),
            self.face,
            Camera.of_picture(*reader.size, self.focal),
            self.focal,
        )
        return TrackPlan(chosen, camera, people)

    def compute(self, plan: TrackPlan, start: int, stop: int) -> Mapping[str, NDArray[Any]]:
        """Rows of one block."""
        low, high = max(start - REACH, 0), min(stop + REACH, len(plan.cast.slot))
        group, rows = self._faces(), slice(start - low, stop - low)
        here, shot = plan.cast.slot[low:high] >= 0, plan.cast.shot[low:high]
        raw = _of_slots(group.read("faces/landmarks", low, high), plan.cast.slot[low:high])
        points = smoothed(raw, here, shot)[rows]
        out = _nothing(stop - start)
        out["track/shot"] = plan.cast.shot[start:stop].copy()
        out["track/landmarks"], out["track/landmarks_68"] = points, subset68(points)
        slots = plan.cast.slot[start:stop]
        score = np.nan_to_num(_of_slots(group.read("faces/score", start, stop), slots))
        out["track/sharpness"] = _of_slots(group.read("faces/sharpness", start, stop), slots)
        if "faces/blendshapes" in group.names:
            out["track/blendshapes"] = _of_slots(group.read("faces/blendshapes", start, stop), slots)
        self._settle(out, plan, start, slots, score, swiftness(raw, here, shot)[rows])
        self._crop(out, plan, start, stop)
        return out

    def _settle(
        self,
        out: Mapping[str, NDArray[Any]],
        plan: TrackPlan,
        start: int,
        slots: NDArray[np.int8],
        score: F32,
        swift: F32,
    ) -> None:
        scale = plan.camera.focal / look_focal(self.video, self.focal)
        for shot in np.unique(out["track/shot"]).tolist():
            rows = np.flatnonzero((out["track/shot"] == shot) & (slots >= 0))
            if shot not in plan.people or not len(rows):
                continue
            told = settle(
                out["track/landmarks"][rows],
                plan.cast.shut[start + rows],
                plan.people[shot],
                plan.camera,
                calibration(),
            )
            pose = told.pose.copy()
            # Solved with a lens that people are filmed with; told for the one OpenFace would assume.
            pose[:, 5] /= scale
            out["track/pose"][rows], out["track/gaze"][rows] = pose, told.gaze
            out["track/action_units"][rows] = told.units
            out["track/action_unit_presence"][rows] = told.presence
            out["track/confidence"][rows] = confidence(score[rows], told.error, swift[rows])

    def _crop(self, out: Mapping[str, NDArray[Any]], plan: TrackPlan, start: int, stop: int) -> None:
        places = plan.cast.placement[start:stop]
        out["track/crop_placement"][:] = places
        for at, planes in enumerate(frames(self.video, start, stop)):
            if plan.cast.slot[start + at] >= 0:
                x, y, side = (float(v) for v in places[at])
                out["video/crop"][at] = crop(planes, x, y, side, _PIXELS)

    def _faces(self) -> ClipGroup:
        return clips.open_clip(self.faces)


def look_focal(video: Path, focal: float | None) -> float:
    """The focal length that poses are told for."""
    return Camera.of_picture(*look(video).size, focal).focal


def _of_slots(values: F32, slots: NDArray[np.int8]) -> F32:
    """Each frame's row of its slot; NaN where no face is meant."""
    out = values[np.arange(len(slots)), np.maximum(slots, 0)].astype(np.float32)
    out[slots < 0] = np.nan
    return out


def _nothing(length: int) -> dict[str, NDArray[Any]]:
    def missing(*shape: int) -> F32:
        return np.full((length, *shape), np.nan, np.float32)

    return {
        "video/crop": np.zeros((length, _PIXELS, _PIXELS, 3), np.uint8),
        "track/landmarks": missing(478, 3),
        "track/landmarks_68": missing(len(DLIB_IN_MESH), 2),
        "track/pose": missing(6),
        "track/action_units": missing(17),
        "track/action_unit_presence": np.zeros((length, 18), np.uint8),
        "track/gaze": missing(2, 3),
        "track/confidence": np.zeros(length, np.float32),
        "track/sharpness": missing(),
        "track/shot": np.zeros(length, np.int32),
        "track/crop_placement": missing(3),
    }
