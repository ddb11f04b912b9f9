"""The standard arrays of a clip, in one table: shape, dimensions, units, labels.

For whoever writes a clip: `standard(["track/landmarks", "track/pose"], frames=..., fps=...)` gives these
arrays and the coordinates of their dimensions, ready for `clips.create`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.blendshapes import BLENDSHAPES
from storage.clips.specs import ArraySpec, check_specs, single_shard
from storage.errors import RequestError
from storage.openface import ACTION_UNITS, PRESENCE_UNITS

__all__ = ["STANDARD", "SYMBOLS", "Row", "standard"]

SYMBOLS = (" ", *"abcdefghijklmnopqrstuvwxyz", "'", "<blank>")
SPEECH_RATE = 50.0


@dataclass(frozen=True)
class Row:
    """One line of the table. `finite`: a missing value here is an error, not a frame without a face."""

    dims: tuple[str, ...]
    units: str
    about: str
    dtype: str = "float32"
    finite: bool = False
    one_writer: bool = False


def _fit(dim: str, units: str, about: str) -> Row:
    return Row(("time", dim), units, about)


STANDARD: Mapping[str, Row] = {
    "video/crop": Row(("time", "y", "x", "channel"), "1", "face crop, RGB", "uint8"),
    "faces/landmarks": Row(
        ("time", "face", "landmark", "axis"), "px", "raw mesh points of every face, in the clip's own pixels"
    ),
    "faces/score": Row(("time", "face"), "1", "0 to 1, 0 where there is no such face", finite=True),
    "faces/sharpness": Row(("time", "face"), "1", "focus of the face's picture"),
    "faces/change": Row(("time",), "1", "how much the picture differs from the one before", finite=True),
    "faces/blendshapes": Row(("time", "face", "blendshape"), "1", "MediaPipe's, 0 to 1"),
    "track/landmarks": Row(("time", "landmark", "axis"), "px", "mesh points in the clip's own pixels"),
    "track/landmarks_68": Row(("time", "point", "plane_axis"), "px", "dlib's 68 points"),
    "track/pose": Row(("time", "component"), "rad, mm", "head pose in OpenFace's camera frame"),
    "track/action_units": Row(("time", "action_unit"), "1", "intensity, 0 to 5"),
    "track/action_unit_presence": Row(
        ("time", "presence_unit"), "1", "1 where the action unit is seen", "uint8"
    ),
    "track/gaze": Row(("time", "eye", "axis"), "1", "unit vector of each eye in the camera frame"),
    "track/confidence": Row(("time",), "1", "0 to 1, 0 where no face was found", finite=True),
    "track/sharpness": Row(("time",), "1", "focus of the face's picture"),
    "track/shot": Row(("time",), "1", "number of the camera's shot, from 0", "int32"),
    "track/crop_placement": Row(
        ("time", "placement"), "px", "the crop's upper left corner and its side, in the clip's own pixels"
    ),
    "track/blendshapes": Row(("time", "blendshape"), "1", "MediaPipe's, 0 to 1"),
    "audio/deepspeech": Row(
        ("speech_time", "symbol"), "1", "log-probability of a symbol, 50 a second", "float32", True, True
    ),
    "audio/deepspeech_frames": Row(
        ("time", "symbol"), "1", "log-probability of a symbol, one row a video frame", "float32", True, True
    ),
    "audio/mel": Row(("mel_time", "mel_band"), "1", "log-mel energy", "float32", True, True),
    "audio/loudness": Row(("speech_time",), "LUFS", "momentary loudness", "float32", True, True),
    "audio/loudness_frames": Row(
        ("time",), "LUFS", "momentary loudness, one value a video frame", "float32", True, True
    ),
    "audio/voice": Row(("speech_time",), "1", "0 to 1, 0 where nobody speaks", "float32", True, True),
    "audio/voice_frames": Row(
        ("time",), "1", "0 to 1, 0 where nobody speaks, one value a video frame", "float32", True, True
    ),
    "fit/identity": _fit("identity_k", "1", "shape coefficients of the person"),
    "fit/expression": _fit("expression_k", "1", "expression coefficients"),
    "fit/texture": _fit("texture_k", "1", "texture coefficients"),
    "fit/light": _fit("light_k", "1", "spherical harmonics, 9 a colour"),
    "fit/rotation": _fit("angle", "rad", "rotation of the head"),
    "fit/translation": _fit("axis", "mm", "translation of the head in OpenFace's camera frame"),
    "fit/camera": Row(
        ("time", "lens"), "px", "focal length, and where the optical axis meets the clip's picture"
    ),
    "fit/error": Row(("time",), "1", "mean distance of landmarks from the model's, in eye distances"),
}

_SIZES = {
    "mel_band": 80,
    "point": 68,
    "identity_k": 80,
    "expression_k": 64,
    "texture_k": 80,
    "light_k": 27,
}

_LABELS: Mapping[str, tuple[str, ...]] = {
    "axis": ("x", "y", "z"),
    "angle": ("pitch", "yaw", "roll"),
    "channel": ("red", "green", "blue"),
    "component": ("pitch", "yaw", "roll", "x", "y", "z"),
    "eye": ("image_left", "image_right"),
    "plane_axis": ("x", "y"),
    "lens": ("focal", "x", "y"),
    "placement": ("x", "y", "side"),
    "presence_unit": tuple(f"AU{n:02}" for n in PRESENCE_UNITS),
    "blendshape": BLENDSHAPES,
    "action_unit": tuple(f"AU{n:02}" for n in ACTION_UNITS),
    "symbol": SYMBOLS,
}


@dataclass(frozen=True)
class _Clock:
    length: int
    rate: float


def standard(
    names: Iterable[str],
    *,
    frames: int,
    fps: float | Fraction,
    crop: tuple[int, int] = (256, 256),
    landmarks: int = 478,
    faces: int = 1,
    speech_frames: int = 0,
    mel_frames: int = 0,
    mel_rate: float = 80.0,
) -> tuple[ArraySpec, ...]:
    """The named standard arrays of a clip of `frames` frames, and their coordinates.

    `crop` is (height, width). Give `speech_frames` and `mel_frames` when an array on that clock is named.
    """
    clocks = {
        "time": _Clock(frames, float(fps)),
        "speech_time": _Clock(speech_frames, SPEECH_RATE),
        "mel_time": _Clock(mel_frames, mel_rate),
    }
    sizes = {**_SIZES, "y": crop[0], "x": crop[1], "landmark": landmarks, "face": faces}
    sizes |= {dim: len(labels) for dim, labels in _LABELS.items()}
    sizes |= {dim: clock.length for dim, clock in clocks.items()}
    arrays = [_array(name, sizes) for name in names]
    check_specs(arrays)
    wanted = dict.fromkeys((spec.name.split("/")[0], dim) for spec in arrays for dim in spec.dims)
    coordinates = [_coordinate(group, dim, clocks, sizes[dim]) for group, dim in wanted]
    return (*arrays, *(spec for spec in coordinates if spec is not None))


def _array(name: str, sizes: Mapping[str, int]) -> ArraySpec:
    row = STANDARD.get(name)
    if row is None:
        raise RequestError("no standard array has this name", where=name, do="build an ArraySpec for it")
    shape = tuple(sizes[dim] for dim in row.dims)
    if shape[0] < 1:
        raise RequestError(f"the length of {row.dims[0]!r} was not given", where=name)
    chunk, shard = single_shard(shape, np.dtype(row.dtype).itemsize) if row.one_writer else (None, None)
    return ArraySpec(name, row.dtype, shape, row.dims, row.units, row.about, row.finite, chunk, shard)


def _coordinate(group: str, dim: str, clocks: Mapping[str, _Clock], size: int) -> ArraySpec | None:
    if clock := clocks.get(dim):
        times: NDArray[Any] = np.arange(clock.length) / clock.rate
        return _values(group, dim, times, "float64", "s", "time from the clip's first frame")
    if labels := _LABELS.get(dim):
        return _values(group, dim, np.array(labels, dtype=np.dtypes.StringDType()), "string", "", "")
    if dim == "landmark":
        return _values(group, dim, np.arange(size, dtype="int16"), "int16", "1", "index in the face mesh")
    # Pixels and coefficients are counted from zero: a stored index would say nothing.
    return None


def _values(group: str, dim: str, values: NDArray[Any], dtype: str, units: str, about: str) -> ArraySpec:
    return ArraySpec(f"{group}/{dim}", dtype, values.shape, (dim,), units, about, values=values)
