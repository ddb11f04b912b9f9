"""The one place that opens media files with libav: safely, silently, and with plain errors.

For the modules of this package only. A source is untrusted: only local files and only real media
containers are opened, so a playlist named .mp4 cannot make the library read something else.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from storage.errors import MediaError, MemdubError, NoSpace
from storage.media._boxes import missing_index

__all__ = ["audio_stream", "decoded", "open_source", "packets", "plain_errors", "video_stream"]

_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,ivf,obu,mxf,asf,flv,"
    "ogg,wav,w64,aiff,caf,au,mp3,aac,flac,ac3,eac3,dts,amr,wv,ape,tta,dv,nut,rm,wtv,gxf,yuv4mpegpipe"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file", "fflags": "+genpts"}
_UNREADABLE = (av.error.InvalidDataError, av.error.EOFError, av.error.ArgumentError)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def plain_errors(path: Path, doing: str = "read") -> Iterator[None]:
    """Turns what libav and the system say into one line of ours."""
    try:
        yield
    except MemdubError:
        raise
    except (av.FFmpegError, OSError) as error:
        raise _translated(error, path, doing) from error


def _translated(error: Exception, path: Path, doing: str) -> MemdubError:
    number = getattr(error, "errno", None)
    if number in _FULL:
        return NoSpace("no room left for this file", where=path, do="free some space or choose another home")
    if isinstance(error, FileNotFoundError):
        return MediaError("no such file", where=path, do="check the path")
    if isinstance(error, PermissionError):
        return MediaError(f"may not {doing} this file", where=path, do="check its permissions")
    # A container that is not on the list is an invalid argument to libav.
    if isinstance(error, _UNREADABLE):
        return MediaError(
            missing_index(path) or "not a video or sound file that can be read",
            where=path,
            do="copy it again from where it came, or convert it with another program",
        )
    said = getattr(error, "strerror", None) or type(error).__name__
    return MediaError(f"cannot {doing} this file ({said})", where=path, do="check that it plays elsewhere")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise MediaError("is a folder, not a media file", where=path, do="name a file in it")
    if path.stat().st_size == 0:
        raise MediaError("the file is empty (zero bytes)", where=path, do="copy it again from where it came")


@contextmanager
def open_source(path: str | Path) -> Iterator[InputContainer]:
    """Opens a media file for reading; every error inside the block comes out as MediaError."""
    path = Path(path)
    with plain_errors(path):
        _check_file(path)
        # The prefix keeps names with a colon from being taken for a protocol.
        with av.open(f"file:{path}", "r", container_options=_OPTIONS, metadata_errors="replace") as source:
            yield source


def packets(source: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
    """All packets of these tracks, the last one empty."""
    try:
        yield from source.demux(list(streams))
    except IndexError as error:
        # PyAV cannot name a track that libav discovers on the way.
        what = "its tracks change along the way"
        raise MediaError(what, where=source.name.removeprefix("file:"), do="convert it to MP4") from error


def decoded(packet: Packet[Any]) -> list[Any]:
    """The frames of a packet; none of a damaged one, whatever number its decoder fails with."""
    try:
        return packet.decode()
    except MemoryError:
        raise
    except av.FFmpegError:
        return []


def _first(streams: Iterator[Stream], best: Stream | None) -> Stream | None:
    usable = [stream for stream in streams if stream.codec_context is not None]
    return best if best in usable else next(iter(usable), None)


def video_stream(source: InputContainer) -> VideoStream | None:
    """The picture track: never a cover image, nor a thumbnail track."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    moving = (s for s in source.streams.video if not s.disposition & still)
    stream = _first(moving, source.streams.best("video"))
    return stream if isinstance(stream, VideoStream) else None


def audio_stream(source: InputContainer) -> AudioStream | None:
    """The sound track: the default one that can be decoded (phones add spatial tracks that cannot)."""
    stream = _first(iter(source.streams.audio), source.streams.best("audio"))
    return stream if isinstance(stream, AudioStream) else None
