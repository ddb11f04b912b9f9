"""A glimpse of a film for whoever looks at its run: mouths through the film, and lips against the voice.

    seen = glimpse(Path("out.mp4"))     # small pictures as bytes, for a page or a database

Looks at the first twenty seconds. Called by `flows.shown`; nothing is made of what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.media import VideoReader, probe, read_sound
from tasks.faces import FacesStage
from tasks.threads import one_thread

__all__ = ["Glimpse", "glimpse", "lip_opening", "loudness"]

F32 = NDArray[np.float32]
Picture = NDArray[np.uint8]

SECONDS, MOUTHS, SIDE = 20.0, 8, 88
_RATE = 16_000
# Points of the mesh: inner lips above and below, corners of the mouth, forehead and chin.
_UPPER, _LOWER, _LEFT, _RIGHT, _BROW, _CHIN = 13, 14, 61, 291, 10, 152
_QUIET_DB = -50.0
_WIDTH, _HEIGHT = MOUTHS * SIDE, 132
_LIPS, _VOICE, _PAPER, _INK = (30, 30, 190), (226, 214, 200), (255, 255, 255), (96, 96, 96)


@dataclass(frozen=True)
class Glimpse:
    """Two pictures, and how well what they show goes together."""

    mouths: bytes  # a JPEG: some frames, around the mouth where a face was found
    curve: bytes  # a PNG: how far the lips are apart, over how loud it is
    seen: float  # share of frames with a face
    together: float | None  # correlation of lips and loudness; None where there is nothing to compare


@one_thread()
def glimpse(film: Path) -> Glimpse:
    """What a person would look at first."""
    video = VideoReader(film)
    rate = float(video.rate)
    frames = min(len(video), max(1, int(SECONDS * rate)))
    points = _face(film, frames)
    lips, loud = lip_opening(points), _voice(film, frames, rate)
    seen = np.isfinite(lips)
    return Glimpse(
        _mouths(video, points, frames),
        _drawn(lips, loud, frames / rate),
        float(seen.mean()),
        _correlation(lips, loud),
    )


def lip_opening(points: F32) -> F32:
    """By frame, the gap of the inner lips as a share of the face's height; NaN where no face was seen."""
    gap = np.linalg.norm(points[:, _UPPER, :2] - points[:, _LOWER, :2], axis=-1)
    face = np.linalg.norm(points[:, _BROW, :2] - points[:, _CHIN, :2], axis=-1)
    return np.asarray(gap / np.maximum(face, 1e-6), np.float32)


def loudness(sound: F32, frames: int, rate: float, sound_rate: int = _RATE) -> F32:
    """By frame, decibels of the sound's power, from the quiet on."""
    edges = np.minimum((np.arange(frames + 1) * sound_rate / rate).astype(np.int64), len(sound))
    total = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    power = (total[edges[1:]] - total[edges[:-1]]) / np.maximum(np.diff(edges), 1)
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power, 1e-12)), _QUIET_DB), np.float32)


def _face(film: Path, frames: int) -> F32:
    """The first face's landmarks by frame, in the picture's pixels; NaN where there is none."""
    stage = FacesStage(film, most_faces=1)
    return np.asarray(stage.compute(None, 0, frames)["faces/landmarks"][:, 0], np.float32)


def _voice(film: Path, frames: int, rate: float) -> F32:
    if probe(film).audio is None:
        return np.full(frames, _QUIET_DB, np.float32)
    return loudness(read_sound(film, _RATE, stop_s=frames / rate), frames, rate)


def _correlation(lips: F32, loud: F32) -> float | None:
    both = np.isfinite(lips)
    if both.sum() < 10 or np.ptp(lips[both]) == 0 or np.ptp(loud[both]) == 0:
        return None
    return float(np.corrcoef(lips[both], loud[both])[0, 1])


def _mouths(video: VideoReader, points: F32, frames: int) -> bytes:
    chosen = np.unique(np.linspace(0, frames - 1, MOUTHS).astype(int))
    cells = [_cell(next(video.read(int(at), int(at) + 1)), points[at]) for at in chosen]
    return _coded(".jpg", np.concatenate(cells, 1)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])


def _cell(frame: Picture, points: F32) -> Picture:
    """The mouth and what is around it; the middle of the picture where no face is."""
    height, width = frame.shape[:2]
    if np.isfinite(points).all():
        left, right = points[_LEFT, :2], points[_RIGHT, :2]
        centre, side = (left + right) / 2, 2.2 * float(np.linalg.norm(right - left))
    else:
        centre, side = np.array([width / 2, height / 2], np.float32), float(min(height, width))
    scale = SIDE / max(side, 1.0)
    move = np.array([[scale, 0, SIDE / 2 - scale * centre[0]], [0, scale, SIDE / 2 - scale * centre[1]]])
    return np.asarray(cv2.warpAffine(frame, move, (SIDE, SIDE), flags=cv2.INTER_AREA), np.uint8)


def _drawn(lips: F32, loud: F32, seconds: float) -> bytes:
    """Loudness as a hill, the lips as a line over it, a mark a second."""
    paper = np.full((_HEIGHT, _WIDTH, 3), _PAPER, np.uint8)
    hill = _curve((loud - _QUIET_DB) / max(float(np.ptp(loud)), 10.0))
    ground = np.array([[_WIDTH - 1, _HEIGHT - 16], [0, _HEIGHT - 16]], np.int32)
    cv2.fillPoly(paper, [np.concatenate([hill, ground])], _VOICE)
    top = float(np.nanmax(lips)) if np.isfinite(lips).any() else 0.0
    known = np.isfinite(lips)
    line = _curve(np.where(known, lips, 0) / max(top, 1e-6))
    for part in np.split(np.arange(len(lips)), np.flatnonzero(np.diff(known)) + 1):
        if known[part[0]]:
            cv2.polylines(paper, [line[part]], False, _LIPS, 2, cv2.LINE_AA)
    for second in range(int(seconds) + 1):
        at = int(second / seconds * (_WIDTH - 1))
        cv2.line(paper, (at, _HEIGHT - 16), (at, _HEIGHT - 12), _INK, 1)
        if seconds < 12 or second % 5 == 0:
            cv2.putText(paper, f"{second}", (at + 2, _HEIGHT - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.35, _INK, 1)
    return _coded(".png", paper, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _curve(values: NDArray[Any]) -> NDArray[np.int32]:
    x = np.linspace(0, _WIDTH - 1, len(values)) if len(values) > 1 else np.zeros(1)
    y = (_HEIGHT - 16) - np.clip(values, 0, 1) * (_HEIGHT - 22)
    return np.stack([x, y], 1).astype(np.int32)


def _coded(suffix: str, picture: NDArray[Any], how: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, np.ascontiguousarray(picture), how)
    assert done
    return data.tobytes()
