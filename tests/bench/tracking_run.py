"""Both tracking stages on one video, without a ledger: what the benchmarks of tracking stand on."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from storage import clips
from storage.clips import ClipGroup
from storage.media import normalise
from tasks.chunks import BLOCK, FrameStage
from tasks.faces import FacesStage
from tasks.track import TrackStage

__all__ = ["made", "normalised", "tracked"]


def normalised(video: Path, folder: Path) -> Path:
    """The clip that ingestion would keep of a video."""
    target = folder / f"{video.stem}.clip.mp4"
    if not target.exists():
        normalise(video, target)
    return target


def made(stage: FrameStage, target: Path) -> ClipGroup:
    """The stage's group, computed here and now."""
    cv2.setNumThreads(1)
    shutil.rmtree(target, ignore_errors=True)
    draft = clips.create(target, stage.specs(), {}, token="bench")
    plan = stage.plan()
    for region in draft.regions(*(spec.name for spec in stage.specs() if spec.values is None)):
        begins = range(region.start, region.stop, BLOCK)
        blocks = [stage.compute(plan, at, min(at + BLOCK, region.stop)) for at in begins]
        for name in blocks[0]:
            draft.write(name, region.start, np.concatenate([block[name] for block in blocks]))
    return draft.finish()


def tracked(clip: Path, folder: Path, face: str = "auto", focal: float | None = None) -> ClipGroup:
    """The track of a clip's face."""
    faces = made(FacesStage(clip), folder / f"{clip.stem}.faces.zarr")
    return made(TrackStage(clip, faces.url, face, focal), folder / f"{clip.stem}.track.zarr")
