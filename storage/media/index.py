"""The packet index of a file: the timestamps of its frames, found without decoding any.

For this package only. Memory is a few whole numbers a frame (about 8 bytes), never pixels.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from storage.media._libav import packets

__all__ = ["FrameIndex", "SoundSpan", "scan"]

# A program stream stamps few of its frames; what libav counts on from there differs after a seek.
_UNSEEKABLE = {"mpeg"}


@dataclass(frozen=True)
class FrameIndex:
    """Shown frames in display order, and the packets at which decoding may start.

    `timed` is False where the file keeps no presentation times (raw streams, AVI with B-frames): frames
    are then counted. Where packets cannot be told apart after a seek, `keys` is empty.
    """

    times: NDArray[np.int64]
    keys: NDArray[np.int64]
    tick: Fraction
    last_duration: int
    timed: bool

    def __len__(self) -> int:
        return len(self.times)

    @property
    def start_s(self) -> float:
        """The container's time of the first shown frame."""
        return float(int(self.times[0]) * self.tick) if len(self.times) else 0.0


@dataclass(frozen=True)
class SoundSpan:
    """First and last moment of the sound, in the container's seconds."""

    start_s: float
    end_s: float
    packets: int


@dataclass
class _Frames:
    shown: array[int] = field(default_factory=lambda: array("q"))
    keys: array[int] = field(default_factory=lambda: array("q"))
    untimed: int = 0
    last: tuple[int, int] = (-(2**62), 0)

    def add(self, packet: Packet[Stream]) -> None:
        if packet.size == 0 or packet.is_corrupt or _is_hidden(packet):
            return
        if packet.pts is None:
            self.untimed += 1
            return
        if packet.is_keyframe:
            self.keys.append(packet.pts)
        # What lies before the start of an edit list must be decoded, yet is never shown.
        if not packet.is_discard:
            self.shown.append(packet.pts)
            self.last = max(self.last, (packet.pts, packet.duration or 0))

    def index(self, stream: VideoStream) -> FrameIndex:
        tick = stream.time_base or Fraction(1, 1000)
        container = stream.container.format.name
        # AVI orders its packets by decoding time alone, and libav can only guess at the rest.
        if self.untimed or (container == "avi" and stream.codec_context.has_b_frames):
            return _counted(len(self.shown) + self.untimed, stream)
        times = np.unique(np.frombuffer(self.shown, np.int64)) if self.shown else np.empty(0, np.int64)
        keys = np.unique(np.frombuffer(self.keys, np.int64)) if self.keys else np.empty(0, np.int64)
        if container in _UNSEEKABLE:
            keys = keys[:0]
        usual = int(np.median(np.diff(times))) if len(times) > 1 else 0
        return FrameIndex(times, keys, tick, self.last[1] or usual, timed=True)


def _is_hidden(packet: Packet[Stream]) -> bool:
    # VP8 keeps its invisible reference frames in packets of their own; bit 4 of the header shows them.
    return packet.stream.codec_context.name == "vp8" and not bytes(packet)[0] & 0x10


def _counted(frames: int, stream: VideoStream) -> FrameIndex:
    rate = stream.guessed_rate or stream.average_rate or Fraction(25)
    return FrameIndex(np.arange(frames, dtype=np.int64), np.empty(0, np.int64), 1 / rate, 1, timed=False)


@dataclass
class _Sound:
    start: int | None = None
    end: int = 0
    packets: int = 0

    def add(self, packet: Packet[Stream]) -> None:
        if packet.size == 0 or packet.is_discard:
            return
        self.packets += 1
        if packet.pts is not None:
            self.start = packet.pts if self.start is None else min(self.start, packet.pts)
            self.end = max(self.end, packet.pts + (packet.duration or 0))

    def span(self, stream: AudioStream) -> SoundSpan:
        tick = stream.time_base or Fraction(1, 1000)
        first = self.start or 0
        # The stream's own start leaves out the encoder's priming samples, which are never heard.
        start = first if stream.start_time is None else max(first, stream.start_time)
        return SoundSpan(float(start * tick), float(max(self.end, start) * tick), self.packets)


def scan(
    source: InputContainer, video: VideoStream | None, audio: AudioStream | None
) -> tuple[FrameIndex | None, SoundSpan | None]:
    """Reads all packets of the two tracks once."""
    frames, sound = _Frames(), _Sound()
    wanted: list[Stream] = [stream for stream in (video, audio) if stream is not None]
    for packet in packets(source, wanted):
        if packet.stream is video:
            frames.add(packet)
        else:
            sound.add(packet)
    return (
        None if video is None else frames.index(video),
        None if audio is None else sound.span(audio),
    )
