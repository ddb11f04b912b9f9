"""What may be ingested: which files are meant, and whether one can be used, before any work on it.

Called by `tasks.ingest` and `flows.ingest`. Nothing is opened before it is known to be a regular file: a
pipe or a device could keep us waiting for ever.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pyarrow.compute as pc

from storage.consent import Consent
from storage.errors import ConsentError, MediaError, RequestError
from storage.home import Home, Settings
from storage.ledger import Ledger
from storage.media import Probe, check, probe_apart
from storage.recipes import hash_file
from tasks.raw import is_footage

__all__ = [
    "IngestOptions",
    "find_footage",
    "hash_footage",
    "inspect",
    "refuse_unfilmed",
]


@dataclass(frozen=True)
class IngestOptions:
    """What the user may choose."""

    rate: Fraction | None = None  # None: the footage's own
    max_side: int | None = None  # None: the footage's own size
    silent_ok: bool = False

    def effective(self, info: Probe) -> IngestOptions:
        """The same without what changes nothing: the same clip must not have two recipes."""
        if info.video is None:
            return self
        rate = None if self.rate == info.video.rate else self.rate
        shrinks = self.max_side is not None and self.max_side < max(info.video.display_size)
        return IngestOptions(rate, self.max_side if shrinks else None, self.silent_ok)


def find_footage(paths: Iterable[Path], home: Home, identity: str) -> list[Path]:
    """The files that `paths` mean: files as they are, folders as the videos in them.

    Of folders inside the home only the identity's own footage counts: not ours, and not other people's.
    """
    found: list[Path] = []
    for path in paths:
        if not _is_folder(path):
            found.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if is_footage(file, path, home, identity))
        if not inside:
            kinds = "mp4, mov, mkv, webm, avi"
            raise MediaError("a folder without any video", where=path, do=f"put {kinds} files there")
        found.extend(inside)
    if not found:
        raise RequestError("no video was named", do="name files or folders")
    return list(dict.fromkeys(found))


def hash_footage(source: Path, settings: Settings) -> str:
    """The SHA-256 of a file that is one and is not too large; raises MediaError for any other."""
    _require_file(source, settings.max_video_bytes)
    try:
        return hash_file(source)
    except OSError as error:
        raise _unreadable(source, error) from error


def inspect(source: Path, settings: Settings, options: IngestOptions) -> Probe:
    """What the file is; raises MediaError if the pipeline cannot use it."""
    _require_file(source, settings.max_video_bytes)
    info = probe_apart(source, stall_seconds=settings.stall_seconds)
    check(info, silent_ok=True, min_seconds=settings.min_seconds, min_side=settings.min_side)
    if info.audio is None and not options.silent_ok:
        do = "give footage with its sound, or add --silent-ok"
        raise MediaError("has no sound", where=source, do=do)
    return info


def refuse_unfilmed(ledger: Ledger, consent: Consent, sha256: str, source: Path) -> None:
    """Under a puppet's name only a puppet's film may be ingested: nobody agreed to anything there."""
    if not consent.synthetic:
        return
    edges = ledger.rows("lineage")
    films = edges.filter(
        pc.and_(pc.equal(edges["child"], f"sha256:{sha256}"), pc.equal(edges["role"], "filmed"))
    )
    makers = (ledger.find(parent) for parent in films["parent"].to_pylist())
    if not any(maker is not None and maker["kind"] == "puppet" for maker in makers):
        what = f"{consent.identity} is a puppet, and this is no film of a puppet"
        raise ConsentError(what, where=source, do="choose another name for a real person")


def _require_file(source: Path, most: int) -> None:
    try:
        state = source.stat()
    except OSError as error:
        raise _unreadable(source, error) from error
    if not stat.S_ISREG(state.st_mode):
        raise MediaError("not a regular file", where=source, do="name a video file")
    if state.st_size > most:
        size = f"is {state.st_size / 1e9:.2f} GB, over the limit of {most / 1e9:.2f} GB"
        raise MediaError(size, where=source, do="cut it into parts or raise MEMDUB_MAX_VIDEO_BYTES")


def _unreadable(source: Path, error: OSError) -> MediaError:
    if isinstance(error, FileNotFoundError):
        return MediaError("no such file", where=source, do="check the name")
    return MediaError(f"cannot be read ({error.strerror})", where=source, do="check it")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # looking at it as a file will say what is wrong
