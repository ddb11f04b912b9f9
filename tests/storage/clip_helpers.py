"""Small clips for tests, and what worker processes run: importable, as spawned processes need it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from storage import clips

_barrier = None

FRAMES = 600
CROP = (16, 24)
NAMES = ("video/crop", "track/landmarks", "track/pose", "track/confidence")


def specs(names=NAMES, frames=FRAMES):
    return clips.standard(
        names, frames=frames, fps=25, crop=CROP, landmarks=10, speech_frames=2 * frames, mel_frames=frames
    )


def values(name: str, shape, seed: int = 0):
    """The same values for the same array in every process."""
    rng = np.random.default_rng([seed, *name.encode()])
    if name == "video/crop":
        return rng.integers(0, 255, shape, dtype=np.uint8)
    return rng.random(shape, dtype=np.float32)


def write_region(draft: clips.ClipGroup, region, environment=None, names=NAMES) -> int:
    """One worker's part: all arrays of one region. Answers with its process id."""
    os.environ.update(environment or {})
    for name in names:
        whole = values(name, draft.array(name).shape)
        draft.write(name, region.start, whole[region.start : region.stop])
    return os.getpid()


def meet_at(barrier) -> None:
    """Starts a worker process: tells it where to wait for the others."""
    global _barrier
    _barrier = barrier


def write_together(draft: clips.ClipGroup, region, environment=None) -> int:
    _barrier.wait(60)
    return write_region(draft, region, environment)


def read_all(url: str, environment=None) -> dict[str, bytes]:
    os.environ.update(environment or {})
    clip = clips.open_clip(url)
    return {name: clip.read(name).tobytes() for name in NAMES}


def write_until_killed(draft: clips.ClipGroup, name: str, shards: int) -> None:
    """Write the shards in order, and die by SIGKILL when shard number `shards` lies half-way in its place."""
    import signal

    replace = Path.replace
    done = iter(range(shards))

    def deadly(self: Path, target: Path) -> Path:
        if next(done, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = deadly
    for start, stop in draft.regions(name):
        draft.write(name, start, values(name, draft.array(name).shape)[start:stop])
