"""Joins films that were written one after the other into one, with sound, without coding pictures anew.

For whoever writes a long film in pieces: by several threads, or by runs that were interrupted. Every piece
is a film of `MediaWriter` with the same settings and without sound; it begins with a key frame, as all do.
Anyone may call this.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from storage.errors import MediaError
from storage.media._libav import open_source, plain_errors, video_stream
from storage.media.writer import MediaWriter

__all__ = ["MediaJoiner"]

# Frames by which x264 codes ahead of showing. A piece of one or two frames says less of itself.
_DELAY = 2


class MediaJoiner(MediaWriter):
    """A context manager: write_sound as ever, and write_piece instead of write_frame."""

    def __init__(
        self,
        path: str | Path,
        first: Path,
        size: tuple[int, int],
        rate: Fraction,
        sound_rate: int | None = None,
        channels: int = 1,
    ) -> None:
        super().__init__(path, size, rate, sound_rate, channels)
        self._first = first
        self._sent = 0

    def _add_video(self, file: OutputContainer) -> VideoStream:
        with open_source(self._first) as source:
            template = video_stream(source)
            assert template is not None
            stream = file.add_stream_from_template(template)
        stream.time_base = 1 / self.rate
        return stream

    def write_piece(self, path: Path) -> None:
        """All pictures of a piece, after those that are there."""
        with plain_errors(self.path, "write"):
            count = 0
            for packet in self._packets(path):
                self._mux([packet])
                count += 1
            if not count:
                raise MediaError("has no pictures", where=path, do="make it again")
            self.frames += count
            self._send_sound(self._sound_until())

    def _packets(self, path: Path) -> Iterator[Packet[Any]]:
        """Its packets, on the whole film's clock."""
        with open_source(path) as source:
            stream = video_stream(source)
            assert stream is not None
            tick = self.rate * Fraction(stream.time_base or 1 / self.rate)
            for packet in source.demux(stream):
                if packet.pts is None:
                    continue
                packet.pts = round(packet.pts * tick) + self.frames
                packet.dts = self._sent - _DELAY
                self._sent += 1
                packet.duration, packet.time_base, packet.stream = 1, 1 / self.rate, self._video
                yield packet

    def _finish(self) -> None:
        if not self.frames:
            raise MediaError("no piece was written", where=self.path, do="give it at least one")
        assert self._file is not None
        self._send_sound(self._sound_until(), last=True)
        if self._sound is not None:
            self._mux(self._sound.encode(None))
        self._file.close()
        self._file = None
