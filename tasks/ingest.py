"""Ingest: one file of footage becomes one clip, checked, and the same clip for ever.

Called by `flows.ingest`. A clip is named by the file's content, so the same footage under another name
is the same clip.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from storage import consent
from storage.artifacts import Artifact, Made, find_whole, produce
from storage.errors import MediaError, NoSpace, RequestError, WorkError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.media import Normalised, Probe, check, normalise, probe
from storage.recipes import RawSource, Recipe, hash_file

__all__ = ["CLIP", "SUFFIXES", "IngestOptions", "Progress", "find_footage", "ingest_file"]

STAGE = "ingest"
STAGE_VERSION = 1
CLIP = "clip.mp4"
CRF, PRESET = 14, "fast"
SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".flv", ".3gp", ".ogv"}
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class IngestOptions:
    """What the user may choose."""

    rate: Fraction | None = None  # None: the footage's own
    max_side: int | None = None  # None: the footage's own size
    silent_ok: bool = False


def find_footage(paths: Iterable[Path]) -> list[Path]:
    """The files that `paths` mean: files as they are, folders as the videos in them."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(
            p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not _is_hidden(p, path)
        )
        if not inside:
            kinds = "mp4, mov, mkv, webm, avi"
            raise MediaError("a folder without any video", where=path, do=f"put {kinds} files there")
        found.extend(inside)
    if not found:
        raise RequestError("no video was named", do="name files or folders")
    return list(dict.fromkeys(found))


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
    consent.require(home, check_slug(identity), "ingest")
    recipe = _recipe(source, identity, options)
    found = find_whole(home, Ledger(home.objects), recipe, identity)
    info = None if found else _checked(home, source, options)

    def make(workspace: Path) -> Made:
        target = workspace / CLIP
        clip = _normalise(info or _checked(home, source, options), target, options, progress)
        _agree(clip, probe(target))
        if hash_file(source) != recipe.raw[0].sha256:
            raise WorkError("the file changed while it was read", where=source, do="run again")
        return Made(clips=[_clip_row(recipe, identity, clip)])

    return produce(home, recipe, make, identity=identity, waiting=waiting)


def _recipe(source: Path, identity: str, options: IngestOptions) -> Recipe:
    parameters = {
        "identity": identity,
        "rate": None if options.rate is None else str(options.rate),
        "max_side": options.max_side,
        "crf": CRF,
        "preset": PRESET,
    }
    return Recipe(
        "clip", STAGE, STAGE_VERSION, parameters, raw=(RawSource("footage", _hash(source), source.name),)
    )


def _hash(source: Path) -> str:
    try:
        return hash_file(source)
    except FileNotFoundError as error:
        raise MediaError("no such file", where=source, do="check the name") from error
    except OSError as error:
        raise MediaError(f"cannot be read ({error.strerror})", where=source, do="check it") from error


def _checked(home: Home, source: Path, options: IngestOptions) -> Probe:
    settings = home.settings
    info = probe(source)
    check(
        info,
        silent_ok=options.silent_ok,
        min_seconds=settings.min_seconds,
        min_side=settings.min_side,
        max_bytes=settings.max_video_bytes,
    )
    return info


def _normalise(info: Probe, target: Path, options: IngestOptions, progress: Progress | None) -> Normalised:
    done = [0, 1]

    def watch(frames: int, total: int) -> None:
        done[:] = frames, total
        if progress is not None:
            progress(frames, total)

    try:
        return normalise(
            info.path,
            target,
            rate=options.rate,
            max_side=options.max_side,
            crf=CRF,
            preset=PRESET,
            progress=watch,
        )
    except (NoSpace, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _no_space(info, target, done[0] / max(1, done[1])) from error


def _no_space(info: Probe, target: Path, share_done: float) -> NoSpace:
    """How much was needed: what had been written, scaled up, or the footage's size if that was little."""
    written = sum(path.stat().st_size for path in target.parent.iterdir() if path.is_file())
    needed = written / share_done if share_done > 0.05 else info.size_bytes
    free = shutil.disk_usage(target.parent).free + written
    return NoSpace(
        f"the clip needs about {max(needed, free + 1) / 1e6:.1f} MB and {free / 1e6:.1f} MB are free",
        where=os.fspath(target.parent.parent.parent),
        do="free some space and run again",
    )


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
        "source_name": source.path.name,
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


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
