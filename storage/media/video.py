"""Reads pictures at a constant rate, any range exactly. Anyone may call this.

Reading in chunks gives the very bytes that reading straight through gives: a range is entered at a
key frame before it, frames that a decoder cannot rebuild from there (open GOP, gradual refresh) are
not trusted, and a frame that cannot be decoded at all is replaced by the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from typing import Literal

import numpy as np
from av.container import InputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from storage.errors import MediaError
from storage.media._libav import decoded, open_source, packets, video_stream
from storage.media.index import FrameIndex
from storage.media.picture import Format, Painter
from storage.media.probe import require_video, survey
from storage.media.timeline import Timeline

__all__ = ["Threads", "VideoReader"]

Threads = Literal["AUTO", "FRAME", "SLICE", "NONE"]
_Decoded = tuple[int, VideoFrame]


class VideoReader:
    """Upright, square-pixel, 8-bit frames of a file at a constant rate.

    Memory: about eight bytes a frame for the index, and a handful of pictures while reading. Each
    `read` opens the file for itself, so several may run at once.
    """

    def __init__(
        self,
        path: str | Path,
        rate: Fraction | None = None,
        size: tuple[int, int] | None = None,
        *,
        form: Format = "rgb24",
        threads: Threads = "AUTO",
        thread_count: int = 0,
    ) -> None:
        self.path = Path(path)
        found, index = survey(self.path)
        self.info = found
        picture = require_video(found)
        assert index is not None
        self.rate = Fraction(rate or picture.rate)
        if self.rate <= 0:
            raise MediaError(
                f"cannot be read at {self.rate} frames a second", where=path, do="ask for more than 0"
            )
        self.size = size or picture.display_size
        if form == "yuv420p" and any(side % 2 for side in self.size):
            raise MediaError("planes of 4:2:0 need even sides", where=path, do='read it as "rgb24"')
        self._form: Format = form
        self._threads, self._thread_count = threads, thread_count
        self._index = index
        self.timeline = Timeline(self._index.times, self._index.tick, self._index.last_duration, self.rate)

    def __len__(self) -> int:
        return len(self.timeline)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return self.read()

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Frames start to stop of the even timeline: (H, W, 3), gray (H, W), planes (H * 3 / 2, W)."""
        stop = len(self) if stop is None else min(stop, len(self))
        if start < 0:
            raise ValueError(f"start is {start}, below 0")
        return self._pictures(start, stop) if start < stop else iter(())

    def _pictures(self, start: int, stop: int) -> Iterator[NDArray[np.uint8]]:
        painter = Painter(self.size, require_video(self.info).orientation, self._form)
        frames = self._enter(int(self._index.times[self.timeline.source(start)]))
        held, coming = next(frames), next(frames, None)
        painted: NDArray[np.uint8] | None = None
        for slot in range(start, stop):
            wanted = int(self._index.times[self.timeline.source(slot)])
            while coming is not None and coming[0] <= wanted:
                held, coming, painted = coming, next(frames, None), None
            if painted is None:
                painted = painter.paint(held[1])
                yield painted
            else:
                yield painted.copy()

    def _enter(self, wanted: int) -> Iterator[_Decoded]:
        """Decoded frames from the last one not later than the wanted time (else from the first)."""
        for key in _ways_in(self._index, wanted):
            frames = self._decoded(key, wanted)
            before: list[_Decoded] = []
            for found in frames:
                if found[0] >= wanted:
                    if found[0] == wanted or before or key is None:
                        return chain(before if found[0] > wanted else [], [found], frames)
                    break
                before = [found]
            else:
                if before:
                    return iter(before)
        raise MediaError("no frame can be decoded", where=self.path, do="export the video again")

    def _decoded(self, key: int | None, wanted: int) -> Iterator[_Decoded]:
        """(time, frame) of the shown frames that this way in gives rightly, in display order."""
        with open_source(self.path) as source:
            stream = video_stream(source)
            assert stream is not None
            stream.thread_type = self._threads
            stream.codec_context.thread_count = self._thread_count
            numbers, last = count(), -(2**63)
            for landed, frame in _from_key(source, stream, self._index, key, wanted):
                stamp = frame.pts if self._index.timed else next(numbers)
                if stamp is None or stamp <= last or (landed is not None and stamp < landed):
                    continue
                # What a decoder makes up for damage depends on what it saw before.
                if frame.is_corrupt:
                    continue
                # A recovery point that is no picture of its own is right only some frames later.
                if stamp == landed and frame.pict_type not in (PictureType.I, PictureType.NONE):
                    return
                last = stamp
                yield stamp, frame


def _ways_in(index: FrameIndex, wanted: int) -> Iterator[int | None]:
    """Key frames to try, nearest first; None is the beginning of the file."""
    last = int(np.searchsorted(index.keys, wanted, side="right")) - 1
    for back in (0, 1, 4, 16):
        if last - back > 0:
            yield int(index.keys[last - back])
    yield None


def _from_key(
    source: InputContainer, stream: VideoStream, index: FrameIndex, key: int | None, wanted: int
) -> Iterator[tuple[int | None, VideoFrame]]:
    """Decoded frames with the key frame that decoding began at; nothing where that one is too late."""
    landed: int | None = None
    if key is not None:
        source.seek(key, stream=stream)
    for packet in packets(source, [stream]):
        # Some containers seek to no key frame in particular: wait for the next one.
        if key is not None and landed is None:
            if packet.pts is None or not packet.is_keyframe:
                continue
            landed = packet.pts
            if landed > wanted or landed not in index.keys:
                return
        for frame in decoded(packet):
            yield landed, frame
