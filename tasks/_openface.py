"""A track as the rows of OpenFace's table. For `tasks.export` only; see there for the conventions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.track.camera import Camera
from models.track.subset68 import DLIB_IN_MESH
from storage.clips import ClipGroup
from storage.openface import ACTION_UNITS, PRESENCE_UNITS

__all__ = ["Layout", "columns", "formats", "lines", "numbers"]

Layout = Literal["full", "2d"]
F64 = NDArray[np.float64]
_Part = tuple[Sequence[str], str]
_EYE_POINTS, _POINTS, _MODES = 56, 68, 34
_ROWS = 1024


def _flat(axes: str) -> list[str]:
    return [f"{axis}_{i}" for axis in axes for i in range(_POINTS)]


# Names of columns, and how many digits OpenFace gives them (points: one more than it does).
_HEAD: tuple[_Part, ...] = (
    (("frame", "face_id"), "%.0f"),
    (("timestamp",), "%.3f"),
    (("confidence",), "%.2f"),
    (("success",), "%.0f"),
)
_PLANE: _Part = (_flat("xy"), "%.2f")
_GAZE: _Part = ([f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"], "%.6f")
_ANGLE: _Part = (("gaze_angle_x", "gaze_angle_y"), "%.3f")
_EYES: _Part = ([f"eye_lmk_{axis}_{i}" for axis in "xyXYZ" for i in range(_EYE_POINTS)], "%.1f")
_PLACE: _Part = (("pose_Tx", "pose_Ty", "pose_Tz"), "%.1f")
_TURN: _Part = (("pose_Rx", "pose_Ry", "pose_Rz"), "%.3f")
_SOLID: _Part = (_flat("XYZ"), "%.2f")
_RIGID = ("p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty")
_SHAPE: _Part = ([*_RIGID, *(f"p_{i}" for i in range(_MODES))], "%.3f")
_UNITS: _Part = ([f"AU{n:02}_r" for n in ACTION_UNITS], "%.2f")
_PRESENCE: _Part = ([f"AU{n:02}_c" for n in PRESENCE_UNITS], "%.1f")
_LAYOUTS: dict[str, tuple[_Part, ...]] = {
    "2d": (*_HEAD, _PLANE),
    "full": (*_HEAD, _GAZE, _ANGLE, _EYES, _PLACE, _TURN, _PLANE, _SOLID, _SHAPE, _UNITS, _PRESENCE),
}


def columns(layout: Layout = "full") -> list[str]:
    """OpenFace's header."""
    return [name for names, _ in _LAYOUTS[layout] for name in names]


def formats(layout: Layout) -> list[str]:
    """A printf format for each column."""
    return [form for names, form in _LAYOUTS[layout] for _ in names]


def lines(group: ClipGroup, size: tuple[int, int], layout: Layout, comma: str) -> Iterator[str]:
    """The header and a line a frame; read in stretches."""
    yield comma.join(columns(layout)) + "\n"
    frames, line = group.array("track/confidence").shape[0], comma.join(formats(layout)) + "\n"
    for start in range(0, frames, _ROWS):
        for row in numbers(group, start, min(start + _ROWS, frames), size, layout):
            yield line % tuple(row.tolist())


def numbers(group: ClipGroup, start: int, stop: int, size: tuple[int, int], layout: Layout) -> F64:
    """(stop - start, columns): zeros where there is no face, NaN in what is not measured."""

    def read(name: str) -> F64:
        return group.read(f"track/{name}", start, stop).astype(np.float64).reshape(stop - start, -1)

    confidence, frame = read("confidence"), np.arange(start, stop, dtype=np.float64)[:, None]
    head = [frame + 1, 0 * frame, frame / float(group.attrs["fps"]), confidence]
    points = read("landmarks_68").reshape(-1, _POINTS, 2)
    plane = np.concatenate([points[..., 0], points[..., 1]], 1)
    if layout == "2d":
        told = plane
    else:
        gaze, pose = read("gaze"), read("pose")
        solid = _solid(group, start, stop, points, pose, size)
        nothing = np.full((stop - start, len(_EYES[0])), np.nan)
        shape = np.full((stop - start, len(_SHAPE[0])), np.nan)
        units = [read("action_units"), read("action_unit_presence")]
        told = np.concatenate(
            [gaze, _gaze_angle(gaze), nothing, pose[:, 3:], pose[:, :3], plane, solid, shape, *units], 1
        )
    seen = (confidence > 0) & np.isfinite(plane).all(1, keepdims=True)
    measured = np.array([not name.startswith(("eye_lmk", "p_")) for name in columns(layout)[5:]])
    told[:, measured] = np.where(seen, np.nan_to_num(told[:, measured]), 0)
    return np.concatenate([*head, seen.astype(np.float64), told], 1)


def _gaze_angle(gaze: F64) -> F64:
    """Both eyes' mean direction, as OpenFace has it: to the picture's right, and downwards."""
    mean = gaze.reshape(-1, 2, 3).mean(1)
    return np.stack([np.arctan2(mean[:, 0], -mean[:, 2]), np.arctan2(mean[:, 1], -mean[:, 2])], -1)


def _solid(group: ClipGroup, start: int, stop: int, points: F64, pose: F64, size: tuple[int, int]) -> F64:
    """X, Y, Z in millimetres of the 68 points: on the rays of the camera that the pose is told for."""
    focal, x, y = Camera.of_picture(*size)
    away = pose[:, 5:]
    depth = group.read("track/landmarks", start, stop)[:, DLIB_IN_MESH, 2].astype(np.float64) * away / focal
    z = (away + depth) * _size_kept(group, start, stop, depth.mean(1, keepdims=True) / away, focal)
    solid = [(points[..., 0] - x) * z / focal, (points[..., 1] - y) * z / focal, z]
    return np.concatenate(solid, 1)


def _size_kept(group: ClipGroup, start: int, stop: int, deeper: F64, focal: float) -> F64 | float:
    """What the shorter lens that is assumed makes larger of a face behind the head's origin, taken back."""
    if "fit/camera" not in group.names:
        return 1.0
    lens = group.read("fit/camera", start, stop)[:, :1].astype(np.float64)
    return np.asarray((1 + deeper * focal / lens) / (1 + deeper))
