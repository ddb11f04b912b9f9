"""What anybody sees who watches a finished video: how far its lips are open, frame by frame.

For reports and comparisons: the video is read as a stranger's would be, nothing of how it was made is known.
Called by `tasks.evaluating`, by flows that write pages, and by benchmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.morphable.builtin import builtin
from models.track.eyes import EYE_POINTS, closures, openings
from storage.media import VideoReader
from tasks.faces import FacesStage
from tasks.threads import one_thread

__all__ = ["Watched", "best_shift", "correlation", "mouth_sheet", "smaller", "watch"]

F64 = NDArray[np.float64]
_UPPER, _LOWER, _CORNERS = (82, 13, 312), (87, 14, 317), (33, 263)
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
    gaps, mouths, lips, eyes = (np.concatenate(part) for part in zip(*parts, strict=True))
    rate = float(VideoReader(video).rate)
    seen = np.isfinite(gaps)
    shut = closures(eyes.astype(np.float32), seen, np.zeros(len(seen), np.int32), rate)
    return Watched(gaps, mouths, lips, shut.astype(np.float64), rate, first)


def _seen(points: NDArray[np.float32]) -> tuple[F64, F64, F64, F64]:
    size = np.linalg.norm(points[:, :, _CORNERS[0]] - points[:, :, _CORNERS[1]], axis=-1)
    rows, largest = np.arange(len(points)), np.where(np.isfinite(size), size, -1).argmax(1)
    face, size = points[rows, largest].astype(np.float64), size[rows, largest].astype(np.float64)
    apart = np.linalg.norm(face[:, _UPPER] - face[:, _LOWER], axis=-1).mean(-1)
    middle = face[:, [*_UPPER, *_LOWER], :2].mean(1)
    eyes = openings(face[:, EYE_POINTS].astype(np.float32)).astype(np.float64)
    return apart / size, np.column_stack([middle, size]), face[:, builtin().mouth, :2], eyes


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
