"""Ingest: one file of footage becomes one clip, checked, and the same clip for ever.

Called by `flows.ingest`. A clip is named by the file's content, so the same footage under another name
is the same clip.
"""

from __future__ import annotations

import errno
import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage import consent
from storage.artifacts import Artifact, Made, produce
from storage.errors import NoSpace, WorkError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.media import Normalised, Probe, probe
from storage.media import normalise_apart as normalise
from storage.recipes import RawSource, Recipe, hash_file
from storage.text import printable
from tasks.footage import IngestOptions, hash_footage, inspect, refuse_unfilmed

__all__ = ["CLIP", "Progress", "ingest_file"]

STAGE = "ingest"
STAGE_VERSION = 2
CLIP = "clip.mp4"
CRF, PRESET = 14, "fast"
# Pictures that the encoder looks ahead at before it writes the first of them.
HELD_BACK = 40

Progress = Callable[[int, int], None]


def ingest_file(
    home: Home,
    source: Path,
    identity: str,
    options: IngestOptions | None = None,
    *,
    progress: Progress | None = None,
    waiting: Callable[[str], None] | None = None,
) -> Artifact:
    """The clip of `source`, made unless it is there already."""
    options = options or IngestOptions()
    allowed = functools.partial(consent.require, home, check_slug(identity), "ingest")
    record = allowed()
    sha256 = hash_footage(source, home.settings)
    refuse_unfilmed(Ledger(home.objects), record, sha256, source)
    # Also what is there already is looked at: a refusal must not depend on what was done before.
    info = inspect(source, home.settings, options)
    options = options.effective(info)
    recipe = _recipe(source, sha256, identity, options)

    def make(workspace: Path) -> Made:
        target = workspace / CLIP
        clip = _normalise(info, target, options, home.settings.stall_seconds, progress)
        _agree(clip, probe(target))
        if hash_file(source) != sha256:
            raise WorkError("the file changed while it was read", where=source, do="run again")
        return Made(clips=[_clip_row(recipe, identity, clip)])

    clip = produce(home, recipe, make, identity=identity, waiting=waiting, allowed=allowed)
    if clip.reused:
        Ledger(home.objects).retire(identity, [clip.id], None)  # it is wanted again
    return clip


def _recipe(source: Path, sha256: str, identity: str, options: IngestOptions) -> Recipe:
    parameters = {
        "identity": identity,
        "rate": None if options.rate is None else str(options.rate),
        "max_side": options.max_side,
        "crf": CRF,
        "preset": PRESET,
    }
    raw = RawSource("footage", sha256, printable(source.name))
    return Recipe("clip", STAGE, STAGE_VERSION, parameters, raw=(raw,))


def _normalise(
    info: Probe, target: Path, options: IngestOptions, stall_seconds: float, progress: Progress | None
) -> Normalised:
    reached = _Reached()

    def watch(frames: int, total: int) -> None:
        # The writer removes its file when it fails, so what it took is noted while it works. It writes
        # in large pieces: only as one arrives do the frames and the bytes belong together.
        written = _bytes_in(target.parent)
        if written > reached.bytes:
            reached.frames, reached.total, reached.bytes = frames, total, written
        if progress is not None:
            progress(frames, total)

    try:
        return normalise(
            info.path,
            target,
            stall_seconds=stall_seconds,
            rate=options.rate,
            max_side=options.max_side,
            crf=CRF,
            preset=PRESET,
            progress=watch,
        )
    except (NoSpace, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _no_space(info, target, reached) from error


@dataclass
class _Reached:
    """How far the writing of a clip had come."""

    frames: int = 0
    total: int = 0
    bytes: int = 0

    @property
    def whole_bytes(self) -> float:
        """What the whole clip would take, by what was written of it; 0 if that was too little to tell."""
        written = self.frames - HELD_BACK
        return self.bytes * self.total / written if written > 4 else 0.0


def _no_space(info: Probe, target: Path, reached: _Reached) -> NoSpace:
    free = shutil.disk_usage(target.parent).free
    # It did not fit into what is free now that the part is gone: it needs more than that.
    needed = max(reached.whole_bytes or info.size_bytes, free * 1.1 + 100_000)
    return NoSpace(
        f"the clip needs about {needed / 1e6:.1f} MB and {free / 1e6:.1f} MB are free",
        where=os.fspath(target.parent.parent.parent),
        do="free some space and run again",
    )


def _bytes_in(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file())


def _agree(clip: Normalised, stored: Probe) -> None:
    """The stored file, read as a stranger would, holds what was meant."""
    video = stored.video
    if video is None or video.frames != clip.frames or video.rate != clip.rate or video.variable:
        raise WorkError("the stored clip is not what was written", where=clip.source.path, do="report this")
    if clip.sound_rate is not None:
        late = abs((stored.audio.duration_s if stored.audio else 0.0) - video.duration_s)
        if late > 0.5 / float(clip.rate):
            raise WorkError(
                f"sound and picture differ by {late:.3f} s", where=clip.source.path, do="report this"
            )


def _clip_row(recipe: Recipe, identity: str, clip: Normalised) -> dict[str, object]:
    source, video = clip.source, clip.source.video
    assert video is not None
    return {
        "id": recipe.id,
        "identity": identity,
        "source_name": printable(source.path.name),
        "source_sha256": recipe.raw[0].sha256,
        "source_bytes": source.size_bytes,
        "source_container": source.container,
        "source_codec": video.codec,
        "source_frames": video.frames,
        "source_variable_rate": video.variable,
        "source_rotation_deg": video.rotation,
        "source_audio_codec": source.audio.codec if source.audio else None,
        "frames": clip.frames,
        "rate_num": clip.rate.numerator,
        "rate_den": clip.rate.denominator,
        "duration_s": clip.duration_s,
        "width_px": clip.size[0],
        "height_px": clip.size[1],
        "silent": clip.sound_rate is None,
        "sound_rate_hz": clip.sound_rate,
        "sound_channels": clip.channels,
    }
