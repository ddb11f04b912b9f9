"""Sound against picture on real clips: what is found, how surely, and what becomes of shifts and of
strangers.

python -m tests.bench.offset [FOLDER]       (footage: MEMDUB_FOOTAGE, else ../shared/data/video)

Clips are tracked as extraction tracks them; FOLDER keeps the tracks for another time. A shift moves the sound
against the picture and fills up with silence; a stranger is another clip's sound, from two places in it.
Lips are read by a table learned from puppets alone. Some numbers were chosen with an eye on these clips: that
lips part a frame earlier than a puppet's and less when rounded, the ridge, the doubt, the slack, and how much
the opening counts in placing the peak.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.audio import RATE
from models.offset import Offset
from storage.media import VideoReader
from tasks.audio import AudioBackend, find_backend, sound_of
from tasks.offset import correction_s, measure_offset, seen_lips
from tests.bench.tracking_run import normalised, tracked

SHIFTS = tuple(range(-15, 16, 3))
HERE = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Clip:
    """What is seen and heard in one."""

    name: str
    fps: float
    motion: np.ndarray
    shots: np.ndarray
    sound: np.ndarray


def clips(folder: Path) -> Iterator[Clip]:
    videos = sorted((Path(os.environ.get("MEMDUB_FOOTAGE", HERE)) / "video").glob("*"))
    for video in videos:
        path = normalised(video, folder)
        done = folder / f"{path.stem}.track.zarr"
        if done.exists():
            from storage.clips import open_clip

            track = open_clip(done)
        else:
            track = tracked(path, folder)
        motion, shots = seen_lips(track)
        yield Clip(
            video.stem, float(VideoReader(path).rate), motion, shots, np.concatenate(list(sound_of(path)))
        )


def measured(clip: Clip, sound: np.ndarray, backend: AudioBackend) -> Offset:
    rows = np.concatenate(list(backend.stream([sound.astype(np.float32)])))
    return measure_offset(clip.motion, rows, clip.fps, clip.shots)


def shifted(clip: Clip, frames: int) -> np.ndarray:
    """The sound later by so many frames, as long as before."""
    samples = round(abs(frames) / clip.fps * RATE)
    silence = np.zeros(samples, np.float32)
    if frames >= 0:
        return np.concatenate([silence, clip.sound])[: len(clip.sound)]
    return np.concatenate([clip.sound[samples:], silence])


def strange(clip: Clip, other: Clip, start_s: float) -> np.ndarray:
    sound = np.zeros(len(clip.sound), np.float32)
    part = other.sound[round(start_s * RATE) :][: len(sound)]
    sound[: len(part)] = part
    return sound


def report(all_clips: list[Clip], backend: AudioBackend) -> None:
    print(
        "clip                       frames  confidence  spread  moved by   "
        "when shifted: worst error, least confidence"
    )
    for clip in all_clips:
        found = measured(clip, clip.sound, backend)
        moved = {frames: measured(clip, shifted(clip, frames), backend) for frames in SHIFTS}
        worst = max(abs(one.frames - found.frames - frames) for frames, one in moved.items())
        least = min(one.confidence for one in moved.values())
        print(
            f"{clip.name:26} {found.frames:6.2f}  {found.confidence:10.3f}  {found.spread:6.2f}  "
            f"{correction_s(found) * clip.fps:8.2f}   {worst:5.2f}  {least:5.3f}"
        )
    far = [
        measured(clip, strange(clip, other, start), backend).confidence
        for clip in all_clips
        for other in all_clips
        for start in (0.0, 1.0)
        if clip is not other
    ]
    sure = sum(confidence >= 0.5 for confidence in far)
    print(
        f"strangers' sound: {sure} of {len(far)} pairs with confidence .5 or more; the surest {max(far):.3f}"
    )


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else name)
        folder.mkdir(parents=True, exist_ok=True)
        report(list(clips(folder)), find_backend("embedded"))


if __name__ == "__main__":
    main()
