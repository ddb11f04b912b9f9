"""What anybody sees who watches a finished video: how far its lips are open, how its head is turned.

For reports and comparisons: the video is read as a stranger's would be, nothing of how it was made is known.
Called by `tasks.judged`, by flows that write pages, and by benchmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.morphable.builtin import builtin
from models.track.calibration import calibration
from models.track.camera import Camera
from models.track.eyes import EYE_POINTS, closures, openings
from models.track.pose import solve
from models.track.smoothing import low_pass, runs
from storage.media import VideoReader
from tasks.faces import FacesStage
from tasks.threads import one_thread

__all__ = ["Watched", "best_shift", "correlation", "mouth_sheet", "smaller", "turns", "watch"]

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
_UPPER, _LOWER, _CORNERS = (82, 13, 312), (87, 14, 317), (33, 263)
# Whose means are the middles of the eyes, the tip of the nose, the corners of the mouth.
_MARKS = ((33, 133), (362, 263), (4, 4), (61, 61), (291, 291))
# Nearer than this nobody is filmed: the picture was cut out of a larger one, and the lens is longer.
_NEAREST_MM, _CORNERS_MM = 600.0, 86.1
_STEADY_S = 0.1  # heads turn more slowly; what is faster is the noise of single frames
_STRETCH = 256
_TILE = 120


class Watched(NamedTuple):
    """A video's largest face, frame by frame from `first` on; NaN where there is none."""

    gaps: F64  # (T,) between the inner lips, over the distance between the eyes' outer corners
    mouths: F64  # (T, 3) middle of the lips x, y and that distance, pixels
    lips: F64  # (T, 40, 2) landmarks of the lips, pixels
    shut: F64  # (T,) 0 to 1, how far the eyes are
    rate: float
    first: int = 0
    turn: F64 = np.zeros((0, 3))  # (T, 3) the head's angles, degrees, as `models.track.camera` has them
    marks: F64 = np.zeros((0, 5, 2))  # (T, 5, 2) eyes, nose, corners of the mouth, left first, pixels


class _Seen(NamedTuple):
    """The same of a stretch, and what is made out only of all of it."""

    gaps: F64
    mouths: F64
    lips: F64
    marks: F64
    eyes: F32  # (T, 2) openings
    skull: F32  # (T, N, 3) points that neither lips nor lids nor jaw move


@one_thread()
def watch(video: Path, first: int = 0, stop: int | None = None) -> Watched:
    """Look at every frame, or at a stretch of them."""
    stage = FacesStage(video=video)
    frames = next(spec.shape[0] for spec in stage.specs() if spec.name == "faces/score")
    frames = frames if stop is None else min(stop, frames)
    parts = [
        _seen(stage.compute(None, start, min(start + _STRETCH, frames))["faces/landmarks"])
        for start in range(first, frames, _STRETCH)
    ]
    seen = _Seen(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    film = VideoReader(video)
    rate, known = float(film.rate), np.isfinite(seen.gaps)
    shut = closures(seen.eyes, known, np.zeros(len(known), np.int32), rate).astype(np.float64)
    turn = turns(seen.skull, seen.mouths[:, 2], film.size, rate)
    return Watched(seen.gaps, seen.mouths, seen.lips, shut, rate, first, turn, seen.marks)


def _seen(points: F32) -> _Seen:
    size = np.linalg.norm(points[:, :, _CORNERS[0]] - points[:, :, _CORNERS[1]], axis=-1)
    rows, largest = np.arange(len(points)), np.where(np.isfinite(size), size, -1).argmax(1)
    face, size = points[rows, largest].astype(np.float64), size[rows, largest].astype(np.float64)
    apart = np.linalg.norm(face[:, _UPPER] - face[:, _LOWER], axis=-1).mean(-1)
    middle = face[:, [*_UPPER, *_LOWER], :2].mean(1)
    return _Seen(
        apart / size,
        np.column_stack([middle, size]),
        face[:, builtin().mouth, :2],
        face[:, _MARKS, :2].mean(2),
        openings(face[:, EYE_POINTS].astype(np.float32)),
        face[:, calibration().rigid].astype(np.float32),
    )


def turns(skull: F32, eyes: F64, size: tuple[int, int], rate: float) -> F64:
    """Angles (T, 3), degrees, of a head's rigid points (T, N, 3), px, whose eyes are so far (T,) apart.

    Good for how far and how fast a head turns: a mouth that speaks makes a few degrees a second of it. Where
    somebody looks to on average is known less well, since no bones are learnt: `tasks.track` tells that.
    """
    told = np.full((len(skull), 3), np.nan)
    known = np.isfinite(eyes)
    if known.any():
        camera = Camera.of_picture(*size)
        lens = max(camera.focal, float(np.median(eyes[known])) * _NEAREST_MM / _CORNERS_MM)
        told[known] = _angles(skull[known], camera._replace(focal=lens))
    for run in runs(known, np.zeros(len(known), np.int32)):
        told[run] = low_pass(told[run], _STEADY_S * rate)
    return told


def _angles(skull: F32, camera: Camera) -> F64:
    shape = calibration().face[calibration().rigid].astype(np.float64)
    parts = [skull[start : start + _STRETCH] for start in range(0, len(skull), _STRETCH)]
    turned = np.concatenate([solve(part, shape, camera).rows[:, :3] for part in parts])
    return np.asarray(np.degrees(turned))


def mouth_sheet(videos: Sequence[tuple[Path, Watched]], columns: int = 12) -> bytes:
    """A JPEG: a row of mouths a video, at the same evenly spread moments, each as wide as the eyes apart."""
    length = min(len(seen.gaps) for _, seen in videos)
    moments = np.linspace(0, length - 1, columns + 2).astype(int)[1:-1]
    rows = [np.hstack([_mouth(video, seen, int(at)) for at in moments]) for video, seen in videos]
    coded = cv2.imencode(".jpg", np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return bytes(coded.tobytes())


def smaller(sheet: bytes, width: int) -> bytes:
    """The same JPEG so many pixels wide."""
    picture = cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    size = (width, round(width * picture.shape[0] / picture.shape[1]))
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", shrunk, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())


def _mouth(video: Path, seen: Watched, frame: int) -> NDArray[np.uint8]:
    x, y, size = seen.mouths[frame]
    if not np.isfinite(size):
        return np.zeros((_TILE, _TILE, 3), np.uint8)
    at = seen.first + frame
    picture = next(iter(VideoReader(video).read(at, at + 1)))
    step = 1.15 * size / _TILE
    back = np.array([[step, 0, x - step * _TILE / 2], [0, step, y - step * _TILE / 2]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    tile = cv2.warpAffine(picture, back, (_TILE, _TILE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(tile, np.uint8)


def correlation(a: F64, b: F64) -> float:
    """Of two curves, where both are known; NaN where one of them stands still."""
    count = min(len(a), len(b))
    a, b = a[:count], b[:count]
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 3 or np.ptp(a[known]) == 0 or np.ptp(b[known]) == 0:
        return float("nan")
    return float(np.corrcoef(a[known], b[known])[0, 1])


def best_shift(a: F64, b: F64, most: int = 10) -> int:
    """Frames by which `a` comes later than `b` where they are most alike."""
    scores = {}
    for shift in range(-most, most + 1):
        late, early = (a[shift:], b) if shift >= 0 else (a, b[-shift:])
        scores[shift] = np.nan_to_num(correlation(late, early), nan=-1.0)
    return max(scores, key=lambda shift: scores[shift])
