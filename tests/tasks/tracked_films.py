"""Small films of puppets whose truth is known, and the stages run on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from models.puppet import CONTROLS, INDEX, Puppet, about_neck
from storage import clips
from storage.clips import ClipGroup
from storage.media import MediaWriter
from tasks.chunks import BLOCK, FrameStage

SIZE, RATE = 160, 25


@dataclass(frozen=True)
class Acted:
    """Pictures of a puppet and what is true of them."""

    pictures: np.ndarray  # (T, SIZE, SIZE, 3)
    landmarks: np.ndarray  # (T, 478, 3)
    pose: np.ndarray  # (T, 6)
    row: np.ndarray  # (T, controls)


def wave(frames: int, seed: int, pace: float) -> np.ndarray:
    """Smooth noise of deviation 1 without a period."""
    rng = np.random.default_rng(seed)
    kernel = np.exp(-0.5 * (np.arange(-40, 41) / pace) ** 2)
    return np.convolve(rng.standard_normal(frames + 80), kernel / np.sqrt((kernel**2).sum()), "valid")


def act(seed: int, frames: int, *, speaks: bool = True, turn: float = 12, size: int = SIZE) -> Acted:
    """A puppet that opens its mouth at random (or keeps it shut), blinks now and then, and turns its head."""
    puppet = Puppet(seed, size, supersample=1)
    rows = np.zeros((frames, len(CONTROLS)), np.float32)
    if speaks:
        rows[:, INDEX["jaw_open"]] = np.clip(0.3 + 0.3 * wave(frames, seed, 2.0), 0, 0.9)
    angles = np.radians([3, turn, 3]) * np.stack([wave(frames, seed + k, 14) for k in (1, 2, 3)], 1).clip(
        -2, 2
    )
    pictures, truths = [], []
    for row, angle in zip(rows, angles, strict=True):
        pose = about_neck(angle, puppet.rest_pose)
        pictures.append(puppet.render(row, pose))
        truths.append(puppet.truth(row, pose))
    landmarks, poses = (np.stack([getattr(t, name) for t in truths]) for name in ("landmarks", "pose"))
    return Acted(np.stack(pictures), landmarks, poses, rows)


def write(path: Path, pictures: np.ndarray) -> Path:
    """A clip as ingestion keeps it."""
    height, width = pictures.shape[1:3]
    with MediaWriter(path, (width, height), RATE) as film:
        for picture in pictures:
            film.write_frame(np.ascontiguousarray(picture))
    return path


def rows_of(stage: FrameStage) -> dict[str, np.ndarray]:
    """All rows, block by block."""
    plan, frames = stage.plan(), stage.specs()[0].shape[0]
    parts = [stage.compute(plan, at, min(at + BLOCK, frames)) for at in range(0, frames, BLOCK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def stored(stage: FrameStage, target: Path, rows: Mapping[str, Any] | None = None) -> ClipGroup:
    """The rows as a published group."""
    draft = clips.create(target, stage.specs(), {}, token="test")
    for name, values in (rows or rows_of(stage)).items():
        draft.write(name, 0, values)
    return draft.finish()


def turned(path: Path, pictures: np.ndarray) -> Path:
    """A recording of a phone held on its side: the picture lies, and a mark says how to turn it."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "14"})
        stream.height, stream.width, stream.pix_fmt = pictures.shape[2], pictures.shape[1], "yuv420p"
        stream.set_display_rotation(-90)
        for picture in pictures:
            lying = np.ascontiguousarray(np.rot90(picture, 1))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(lying, format="rgb24")))
        out.mux(stream.encode())
    return path
