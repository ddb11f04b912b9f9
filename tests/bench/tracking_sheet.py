"""Draws what tracking says over what it saw: points, axes, gaze, action units, and the crop beside it.

    python -m tests.bench.tracking_sheet OUT.png VIDEO... [--frames N]

A row a video (any that can be ingested), to be looked at by a person.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.track.camera import Camera, rotations
from storage.clips import ClipGroup
from storage.media import VideoReader
from storage.openface import ACTION_UNITS
from tests.bench.tracking_run import normalised, tracked

SIDE = 384
POINT, MESH, GAZE = (0, 255, 0), (255, 255, 0), (255, 0, 255)
AXES = ((255, 60, 60), (60, 255, 60), (80, 120, 255))


def sheet(video: Path, track: ClipGroup, frames: int) -> np.ndarray:
    """One row: picture and crop of some frames spread over the video."""
    length = track.array("track/shot").shape[0]
    reader = VideoReader(video)
    tiles = []
    for at in np.linspace(0, length - 1, frames + 2)[1:-1].astype(int).tolist():
        picture = next(iter(reader.read(at, at + 1)))
        tiles += [drawn(picture, track, at), _cropped(track, at)]
    return np.concatenate(tiles, axis=1)


def drawn(picture: np.ndarray, track: ClipGroup, at: int) -> np.ndarray:
    """The surroundings of the crop, enlarged, with everything on it."""
    x, y, side = (float(v) for v in track.read("track/crop_placement", at, at + 1)[0])
    if not np.isfinite(side):
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    zoom = SIDE / side
    matrix = np.array([[zoom, 0, (0.5 - x) * zoom - 0.5], [0, zoom, (0.5 - y) * zoom - 0.5]])
    canvas = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)

    def put(point: np.ndarray) -> tuple[int, int]:
        return tuple(((np.asarray(point[:2]) - (x, y)) * zoom * 16 - 8).round().astype(int).tolist())

    mesh = track.read("track/landmarks", at, at + 1)[0]
    for point in mesh:
        cv2.circle(canvas, put(point), 8, MESH, -1, cv2.LINE_AA, 4)
    for point in track.read("track/landmarks_68", at, at + 1)[0]:
        cv2.circle(canvas, put(point), 24, POINT, -1, cv2.LINE_AA, 4)
    _axes(canvas, put, picture.shape, track, at, mesh)
    _bars(canvas, track.read("track/action_units", at, at + 1)[0])
    confidence = float(track.read("track/confidence", at, at + 1)[0])
    sharpness = float(track.read("track/sharpness", at, at + 1)[0])
    told = f"{at}  conf {confidence:.2f}  sharp {sharpness:.2f}"
    cv2.putText(canvas, told, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
    return canvas


def _axes(canvas, put, shape, track, at, mesh) -> None:
    pose = track.read("track/pose", at, at + 1)[0].astype(np.float64)
    camera = Camera.of_picture(shape[1], shape[0])
    turn, place = rotations(pose[None, :3])[0], pose[3:]
    for axis, colour in zip(60 * np.eye(3) * (1, 1, -1), AXES, strict=True):
        # Drawn without perspective: with OpenFace's short lens the axes would swell.
        ends = camera.project(np.stack([place, place + (turn @ axis) * (1, 1, 0)]))
        cv2.line(canvas, put(ends[0]), put(ends[1]), colour, 2, cv2.LINE_AA, 4)
    for iris, look in zip((468, 473), track.read("track/gaze", at, at + 1)[0], strict=True):
        length = np.linalg.norm(mesh[33] - mesh[263]) * 0.5
        cv2.line(canvas, put(mesh[iris]), put(mesh[iris, :2] + look[:2] * length), GAZE, 2, cv2.LINE_AA, 4)


def _bars(canvas: np.ndarray, units: np.ndarray) -> None:
    for row, (unit, value) in enumerate(zip(ACTION_UNITS, np.nan_to_num(units), strict=True)):
        y = SIDE - 10 * len(ACTION_UNITS) + 10 * row
        cv2.rectangle(canvas, (22, y), (22 + round(12 * float(value)), y + 7), (255, 180, 0), -1)
        cv2.putText(canvas, str(unit), (2, y + 8), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (255, 255, 255), 1)


def _cropped(track: ClipGroup, at: int) -> np.ndarray:
    return cv2.resize(track.read("video/crop", at, at + 1)[0], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for video in options.videos:
            clip = normalised(video, Path(folder))
            rows.append(sheet(clip, tracked(clip, Path(folder)), options.frames))
            print(video.name, flush=True)
    cv2.imwrite(str(options.out), np.concatenate(rows)[..., ::-1])


if __name__ == "__main__":
    main()
