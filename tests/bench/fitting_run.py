"""Clips, tracks and fits that the benchmarks of fitting share, kept in the temporary folder."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.puppet import MOUTH, Puppet, about_neck
from storage import clips
from storage.clips import ClipGroup
from storage.media import MediaWriter, VideoReader
from tasks._fitting import FitPlan
from tasks.fit import FitStage
from tests.bench.footage import real_footage
from tests.bench.puppet_faces import motion
from tests.bench.tracking_run import normalised, tracked

__all__ = ["Fitted", "fitted", "folder", "people", "puppet_clip", "real_clips", "track_of"]

RATE = 25


def folder() -> Path:
    place = Path(tempfile.gettempdir()) / "memdub-fitting"
    place.mkdir(exist_ok=True)
    return place


def real_clips() -> dict[str, Path]:
    """Every real clip there is, by name, as ingestion would keep it."""
    footage = real_footage()
    if footage is None:
        return {}
    videos = [*sorted((footage / "video").iterdir()), footage / "openface" / "webcam_320x240.mp4"]
    return {video.stem: normalised(video, folder()) for video in videos}


def puppet_clip(seed: int, take: int, frames: int, mirrored: bool) -> tuple[Path, Mapping[str, np.ndarray]]:
    """A film and its truth. Takes differ in motion and, from the second on, in light.

    `mirrored` plays the same faces once more with the head turned the other way, so that what the face
    does and how the head is turned have no correlation at all.
    """
    clip = folder() / f"puppet{seed}-{take}-{frames}{'m' if mirrored else ''}.mp4"
    notes = clip.with_suffix(".npz")
    if not notes.exists():
        rows, angles = motion(seed + 1000 * take, frames)
        if mirrored:
            rows, angles = np.tile(rows, (2, 1)), np.concatenate([angles, angles * [1, -1, 1]])
        puppet, truths = Puppet(seed, 256, light=None if take == 0 else 50 + 10 * take + seed), []
        with MediaWriter(clip, (256, 256), RATE) as film:
            for row, angle in zip(rows, angles, strict=True):
                pose = about_neck(angle, puppet.rest_pose)
                film.write_frame(puppet.render(row, pose))
                truths.append(puppet.truth(row, pose))
        np.savez(notes, mouth=np.stack([t.mouth for t in truths]), pose=np.stack([t.pose for t in truths]))
    return clip, dict(np.load(notes))


def track_of(clip: Path, *, again: bool = False) -> tuple[ClipGroup, float]:
    """The clip's track, and the milliseconds a frame it took; NaN where it was there already."""
    target, spent = folder() / f"{clip.stem}.track.zarr", float("nan")
    if again or not target.exists():
        start = time.process_time()
        track = tracked(clip, folder())
        spent = 1000 * (time.process_time() - start) / len(track.read("track/shot"))
    return clips.open_clip(target), spent


class Fitted(NamedTuple):
    stage: FitStage
    plan: FitPlan
    rows: Mapping[str, np.ndarray]
    ms: float  # a frame, planning included
    peak_mb: float


def fitted(clip: Path, model: str = "builtin", path: Path | None = None) -> Fitted:
    """A fit of the whole clip, here and now."""
    track, _ = track_of(clip)
    reader = VideoReader(clip)
    stage = FitStage(track.url, model, path, reader.size)
    stage._model()
    frames = len(track.read("track/shot"))
    start = time.process_time()
    plan = stage.plan()
    blocks = [stage.compute(plan, at, min(at + 256, frames)) for at in range(0, frames, 256)]
    ms = 1000 * (time.process_time() - start) / frames
    rows = {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
    return Fitted(stage, plan, rows, ms, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def people(seed: int) -> list[Path]:
    """Three clips of one puppet, in different motion and light."""
    return [puppet_clip(seed, take, 100, False)[0] for take in range(3)]


MOUTH_AT = {int(v): i for i, v in enumerate(MOUTH)}
