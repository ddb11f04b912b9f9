"""The largest face of a film, frame by frame, and where canvases and public crops lie on it.

For measurements: a film is looked at without an artifact, nobody is fitted. Canvases lie as they do in
bundles, but on the mean face that is posed onto the landmarks. Private to `tasks.in_sync`.

Shape legend: T frames, S side of a canvas.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.canvas import places
from models.morphable.builtin import builtin
from models.sync.public import FACE_SIDE
from models.track.camera import Camera
from models.track.pose import solve
from models.track.shots import cuts, numbered
from storage.media import VideoReader
from tasks.faces import FacesStage
from tasks.threads import one_thread

__all__ = ["Faces", "faces_of", "places_of", "public_boxes", "public_face"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_STRETCH = 256
# What of the mesh does not follow the jaw: above the upper lip.
_SKULL = np.flatnonzero(builtin().mean[:468, 1] < 8)
_MEDIAN = 13  # frames over which the public protocol settles its boxes
_MORE = 0.4  # and how much of the picture around them it takes along
_GREY = 110


class Faces(NamedTuple):
    """`first` is the film's frame of row 0."""

    landmarks: F32  # (T, 478, 3) pixels, NaN where no face is
    shot: NDArray[np.int32]  # (T,)
    size: tuple[int, int]
    rate: float
    first: int = 0

    @property
    def seen(self) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.landmarks[:, 0, 0]))


@one_thread()
def faces_of(film: Path, first: int = 0, stop: int | None = None) -> Faces:
    """Look at every frame, or at a stretch of them."""
    stage, reader = FacesStage(video=film), VideoReader(film)
    stop = len(reader) if stop is None else min(stop, len(reader))
    blocks = (stage.compute(None, at, min(at + _STRETCH, stop)) for at in range(first, stop, _STRETCH))
    # Of everybody's faces no more than a stretch is held.
    parts = [(_largest(one["faces/landmarks"]), one["faces/change"]) for one in blocks]
    points, changes = (np.concatenate(part) for part in zip(*parts, strict=True))
    middle = points[:, :, :2].mean(1)
    wide = np.linalg.norm(points[:, 33, :2] - points[:, 263, :2], axis=-1)
    moved = np.linalg.norm(np.diff(middle, axis=0, prepend=middle[:1]), axis=-1) > wide
    shot = numbered(cuts(changes, moved))
    return Faces(points, shot, reader.size, float(reader.rate), first)


def _largest(points: F32) -> F32:
    size = np.linalg.norm(points[:, :, 33] - points[:, :, 263], axis=-1)
    chosen = np.where(np.isfinite(size), size, -1).argmax(1)
    return np.asarray(points[np.arange(len(points)), chosen])


def places_of(faces: Faces, side: int) -> Tensor:
    """(T, 2, 3) from mouths' canvases to the film; NaN where no face is."""
    seen, count = faces.seen, len(faces.seen)
    turn, moved = np.zeros((count, 3), np.float32), np.zeros((count, 3), np.float32)
    camera = Camera.of_picture(*faces.size)
    if seen.any():
        shape = builtin().mean[_SKULL].astype(np.float64)
        rows = solve(faces.landmarks[seen][:, _SKULL], shape, camera).rows
        turn[seen], moved[seen] = rows[:, :3], rows[:, 3:]
    who, lens = torch.zeros(builtin().identity.shape[2]), torch.tensor([*camera], dtype=torch.float32)
    pose = (torch.from_numpy(turn), torch.from_numpy(moved), lens.expand(count, -1))
    return places(who, *pose, torch.from_numpy(faces.shot), torch.from_numpy(seen), faces.rate, side)


def public_boxes(landmarks: F32) -> F64:
    """(T, 3) middle x, y and half a side of a run's faces: the mesh's own box, nearly a detector's."""
    low, high = landmarks[:, :, :2].min(1), landmarks[:, :, :2].max(1)
    rows = np.column_stack([(low + high) / 2, (high - low).max(1) / 2]).astype(np.float64)
    padded = np.pad(rows, ((_MEDIAN // 2, _MEDIAN // 2), (0, 0)))
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN, 0), -1)


def public_face(picture: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(224, 224, 3): wider than the box by two fifths on either side and below."""
    x, y, half = box.tolist()
    edge = int(half * (1 + 2 * _MORE))
    wide = np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), constant_values=_GREY)
    left, right = int(x + edge - half * (1 + _MORE)), int(x + edge + half * (1 + _MORE))
    part = wide[max(int(y + edge - half), 0) : int(y + edge + half * (1 + 2 * _MORE)), max(left, 0) : right]
    return np.asarray(cv2.resize(part, (FACE_SIDE, FACE_SIDE)), np.uint8)
