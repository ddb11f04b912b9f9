"""Is this clip good enough? Figures of its track and sound, warnings in plain words, and rows of frames.

Called by the stage `features`, whose artifact keeps the figures as metrics and the warnings as text, and by
the stage `track` for its rows in the ledger's `frames`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.offset import Offset
from storage.clips import ClipGroup
from storage.ledger.schemas import TABLES
from storage.openface import ACTION_UNITS
from tasks.offset import IN_STEP_FRAMES, described

__all__ = ["WANTS", "Figures", "Preflight", "Want", "frames_table", "preflight", "warnings_of"]

_ROWS = 4096


@dataclass(frozen=True)
class Want:
    """What a method can work with: less is not refused, but said. Sizes are of the clip's own pixels.

    `mouth_px` is the side of a square from the nose's bridge to the chin, which is what DINet redraws.
    """

    seconds: float
    mouth_px: float
    yaw_deg: float
    why: str


WANTS: Mapping[str, Want] = {
    "memface": Want(15, 96, 45, "adapts to a person on 15 s or more, and draws faces at 256 pixels"),
    "synctalkface": Want(1, 64, 45, "is shown one frame of a person, and draws faces at 128 pixels"),
    "facial": Want(120, 128, 45, "learns a person's way to move from two minutes, at 512 pixels"),
    "dinet": Want(10, 128, 30, "moves what five frames show of a near-frontal mouth, at 128 or 256 pixels"),
    "nearest": Want(10, 64, 45, "can only show mouths that it has seen"),
}


@dataclass(frozen=True)
class Figures:
    """One clip in figures; NaN where there was nothing to measure."""

    duration_s: float
    face_share: float  # of the frames in which a face was found
    face_px: float  # median height of the face, brows to chin
    mouth_px: float  # median side of the mouth's square
    size_ratio: float  # the largest face over the smallest in a shot (98th and 2nd percentile)
    yaw_low_deg: float
    yaw_high_deg: float
    pitch_low_deg: float
    pitch_high_deg: float
    turned_share: float  # of the frames with a face, yaw beyond 30 degrees
    sharpness: float  # median; 0.5 and more is crisp, below 0.2 is blurred
    shots: int
    voice_share: float
    loudness_lufs: float  # median while somebody speaks


@dataclass(frozen=True)
class Preflight:
    """Figures and warnings; `told` is the whole report as lines of text."""

    measured: Figures
    warnings: tuple[str, ...] = ()
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offset_line: str = ""

    def figures(self) -> dict[str, float]:
        """For the ledger's metrics: name to value."""
        told = asdict(self.measured).items()
        return {f"preflight_{name}": float(value) for name, value in told if np.isfinite(value)}

    @property
    def told(self) -> tuple[str, ...]:
        m = self.measured
        lines = [
            f"{m.duration_s:.1f} s in {m.shots} shot(s); a face in {m.face_share:.0%} of the frames",
            f"face {m.face_px:.0f} px high, mouth {m.mouth_px:.0f} px, sharpness {m.sharpness:.2f}",
            f"turned {m.yaw_low_deg:.0f} to {m.yaw_high_deg:.0f} degrees sideways, "
            f"{m.pitch_low_deg:.0f} to {m.pitch_high_deg:.0f} up and down",
            f"speech in {m.voice_share:.0%} of the time, {m.loudness_lufs:.0f} LUFS",
            *(() if any(self.offset_line in line for line in self.warnings) else (self.offset_line,)),
            *self.warnings,
        ]
        for name, missing in self.methods.items():
            lines.append(f"{name}: {'; '.join(missing) if missing else 'good'}")
        return tuple(line for line in lines if line)


def preflight(track: ClipGroup, audio: ClipGroup, fps: float | Fraction, *, offset: Offset) -> Preflight:
    """The report on a clip whose groups are these."""
    confidence = track.read("track/confidence")
    seen = confidence > 0
    face, mouth = _sizes(track)
    pose = np.degrees(track.read("track/pose")[:, :2])
    shots = track.read("track/shot")
    voice, loudness = audio.read("audio/voice"), audio.read("audio/loudness")
    speaks = voice > 0.5
    yaw_low, yaw_high = _range(pose[seen, 1])
    pitch_low, pitch_high = _range(pose[seen, 0])
    figures = Figures(
        duration_s=len(seen) / float(fps),
        face_share=float(seen.mean()),
        face_px=_median(face),
        mouth_px=_median(mouth),
        size_ratio=_size_ratio(face, shots),
        yaw_low_deg=yaw_low,
        yaw_high_deg=yaw_high,
        pitch_low_deg=pitch_low,
        pitch_high_deg=pitch_high,
        turned_share=float((np.abs(pose[seen, 1]) > 30).mean()) if seen.any() else np.nan,
        sharpness=_median(track.read("track/sharpness")),
        shots=len(np.unique(shots)),
        voice_share=float(speaks.mean()),
        loudness_lufs=_median(loudness[speaks]),
    )
    return Preflight(figures, warnings_of(figures, offset), _methods(figures), described(offset))


def _sizes(track: ClipGroup) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Height of the face, and side of the square around the mouth, of every frame, in pixels."""
    heights, sides = [], []
    frames = track.array("track/landmarks_68").shape[0]
    for start in range(0, frames, _ROWS):
        points = track.read("track/landmarks_68", start, min(start + _ROWS, frames)).astype(np.float64)
        lowest = points[:, :, 1].max(1)
        heights.append(lowest - points[:, :, 1].min(1))
        width = np.abs(points[:, 54, 0] - points[:, 48, 0])
        sides.append(1.05 * np.maximum(lowest - points[:, 29, 1], width))
    return np.concatenate(heights), np.concatenate(sides)


def _median(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _range(values: NDArray[Any]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2, 98])
    return float(low), float(high)


def _size_ratio(face: NDArray[Any], shots: NDArray[Any]) -> float:
    ranges = [_range(face[shots == shot]) for shot in np.unique(shots)]
    return float(np.nanmax([high / low if low > 0 else np.nan for low, high in ranges] + [1.0]))


def warnings_of(m: Figures, offset: Offset) -> tuple[str, ...]:
    """What is wrong with a clip for any method, most important first."""
    checks = (
        (m.face_share == 0, "no face was found"),
        (0 < m.face_share < 0.9, f"no face in {1 - m.face_share:.0%} of the frames: they are of no use"),
        (m.voice_share < 0.05, "hardly anybody speaks: nothing can be learned about the mouth"),
        (
            0.05 <= m.voice_share < 0.4,
            f"nobody speaks in {1 - m.voice_share:.0%} of the time: less is learned than its length says",
        ),
        (m.loudness_lufs < -45, f"the speech is very quiet ({m.loudness_lufs:.0f} LUFS)"),
        (m.sharpness < 0.2, "the face is blurred: so will be what is learned from it"),
        (m.turned_share > 0.3, f"the head is turned away by more than 30 degrees in {m.turned_share:.0%}"),
        (m.size_ratio > 1.5, f"the face changes its size by a factor of {m.size_ratio:.1f} within a shot"),
        (m.shots > 1, f"{m.shots} shots: the person may look different in each"),
    )
    said = [text for wrong, text in checks if wrong]
    spoken = m.voice_share >= 0.05 and m.face_share > 0
    if spoken and not offset.confident:
        said.append(described(offset))
    elif spoken and abs(offset.frames) >= IN_STEP_FRAMES:
        said.append(f"{described(offset)}: what is extracted is corrected for it")
    return tuple(said)


def _methods(m: Figures) -> dict[str, tuple[str, ...]]:
    """For each method, what it would want more of."""
    return {name: tuple(_lacking(m, want)) for name, want in WANTS.items()}


def _lacking(m: Figures, want: Want) -> list[str]:
    lacking = []
    if m.duration_s * m.face_share < want.seconds:
        lacking.append(f"wants {want.seconds:.0f} s of a face, there are {m.duration_s * m.face_share:.1f}")
    if not m.mouth_px >= want.mouth_px:
        lacking.append(f"wants a mouth of {want.mouth_px:.0f} px, it has {m.mouth_px:.0f}")
    if max(abs(m.yaw_low_deg), abs(m.yaw_high_deg)) > want.yaw_deg:
        lacking.append(f"wants the head within {want.yaw_deg:.0f} degrees")
    if lacking:
        lacking.append(f"it {want.why}")
    return lacking


def frames_table(track: ClipGroup, *, clip: str, artifact: str, identity: str) -> pa.Table:
    """The ledger's rows of a track, one a frame; null where there is no face."""
    schema = TABLES["frames"].schema
    confidence = track.read("track/confidence")
    pose, units = track.read("track/pose"), track.read("track/action_units")
    frames, fps = len(confidence), float(track.attrs["fps"])
    columns: dict[str, Any] = {
        "clip": pa.repeat(clip, frames),
        "artifact": pa.repeat(artifact, frames),
        "identity": pa.repeat(identity, frames),
        "frame": np.arange(frames, dtype=np.int32),
        "time_s": np.arange(frames) / fps,
        "confidence": confidence,
        "sharpness": track.read("track/sharpness"),
    }
    columns |= {f"rotation_{axis}_rad": pose[:, k] for k, axis in enumerate("xyz")}
    columns |= {f"translation_{axis}_mm": pose[:, 3 + k] for k, axis in enumerate("xyz")}
    columns |= {f"au{unit:02d}": units[:, k] for k, unit in enumerate(ACTION_UNITS)}
    if set(schema.names) - set(columns):
        raise KeyError(f"frames has columns that tracks do not fill: {set(schema.names) - set(columns)}")
    arrays = [_column(columns[name], schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values.cast(kind)
    return pa.array(np.ascontiguousarray(values), type=kind, from_pandas=True)
