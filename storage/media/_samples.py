"""Streams of samples: decoding, placing on the timeline, resampling. For `sound` alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from storage.errors import MediaError
from storage.media._libav import audio_stream, decoded, open_source, packets

__all__ = ["Samples", "native_blocks", "resampled"]

_GAP = 0.030  # seconds off at once: a hole or an overlap, mended on the spot
_JUMP = 600.0  # seconds of silence that no recording has: timestamps gone wrong
_DRIFT = 0.005  # seconds off on average: a clock that runs wrong, mended by stretching one block
_MEMORY = 2.0  # seconds over which that average runs; container jitter stays below it


@dataclass(frozen=True)
class Samples:
    """(n, channels) float32 at a rate."""

    data: NDArray[np.float32]
    rate: int

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> Samples:
        return Samples(self.data[part], self.rate)


class _Mixer:
    """Brings decoded frames to float32 of one channel count; formats may change along the way."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._key: tuple[str, str, int] | None = None

    def mix(self, frame: AudioFrame) -> NDArray[np.float32]:
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if key != self._key:
            self._key = key
            self._swr = AudioResampler("flt", frame.layout, frame.sample_rate)
            self._weights = _weights(frame.layout, self._channels)
        count = frame.layout.nb_channels
        data = np.concatenate([_unpacked(part, count) for part in self._swr.resample(frame)])
        return data if self._weights is None else data @ self._weights


_SIDES = {"FL": (1, 0), "FR": (0, 1), "FC": (0.7, 0.7), "LFE": (0, 0)}
_SIDES |= {"BL": (0.5, 0), "BR": (0, 0.5), "SL": (0.5, 0), "SR": (0, 0.5)}


def _weights(layout: AudioLayout, channels: int) -> NDArray[np.float32] | None:
    """How much of each channel goes into each output: no more than one in all, so that nothing clips.

    swresample does this too, but louder from codecs that decode to floats than from those that do not.
    """
    count = layout.nb_channels
    if count == channels:
        return None
    if channels > 2:
        return np.eye(count, channels, dtype=np.float32)
    sides = np.array([_SIDES.get(channel.name, (0.5, 0.5)) for channel in layout.channels], np.float32)
    if len(sides) != count or not sides.any():
        sides = np.ones((count, 2), np.float32)
    sides = sides.sum(axis=1, keepdims=True) if channels == 1 else sides
    return np.asarray(sides / np.maximum(sides.sum(axis=0), 1e-6), np.float32)


class _Placer:
    """Lays blocks end to end on the timeline, by their timestamps."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate, self._channels = rate, channels
        self.at = 0
        self._lean = 0.0
        self._begun = False

    def place(self, due: int | None, data: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        off = 0 if due is None else due - self.at
        if not self._begun or abs(off) > _GAP * self._rate:
            yield from self._silence(max(0, off))
            data = data[max(0, -off) :]
            self._begun, self._lean = self._begun or len(data) > 0, 0.0
        elif due is not None:
            data = self._held(off, data)
        self.at += len(data)
        if len(data):
            yield data

    def _silence(self, samples: int) -> Iterator[NDArray[np.float32]]:
        while samples > 0:
            part = min(samples, self._rate)
            self.at += part
            samples -= part
            yield np.zeros((part, self._channels), np.float32)

    def _held(self, off: int, data: NDArray[np.float32]) -> NDArray[np.float32]:
        self._lean += (off - self._lean) * min(1.0, len(data) / (_MEMORY * self._rate))
        shift = round(self._lean)
        if abs(shift) <= _DRIFT * self._rate or len(data) + shift < 2:
            return data
        self._lean = 0.0
        return _stretched(data, len(data) + shift)


def _stretched(data: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    places = np.linspace(0, len(data) - 1, length)
    columns = [np.interp(places, np.arange(len(data)), column) for column in data.T]
    return np.stack(columns, axis=1).astype(np.float32)


def native_blocks(path: Path, zero: Fraction | None, channels: int) -> Iterator[Samples]:
    """Everything from the container's time `zero` on (None: from the first sample), at the native rate."""
    mixer = _Mixer(channels)
    placer: _Placer | None = None
    rate = 0
    for frame in _frames(path):
        if placer is None:
            rate, placer = frame.sample_rate, _Placer(frame.sample_rate, channels)
        data = mixer.mix(frame)
        if frame.sample_rate != rate:
            data = _stretched(data, max(2, round(len(data) * rate / frame.sample_rate)))
        stamp = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if zero is None:
            zero = stamp or Fraction(0)
        due = None if stamp is None else round((stamp - zero) * rate)
        if due is not None and due - placer.at > _JUMP * rate:
            what = f"its sound jumps by {(due - placer.at) / rate:.0f} s"
            raise MediaError(what, where=path, do="export the file again")
        for placed in placer.place(due, data):
            yield Samples(placed, rate)


def _frames(path: Path) -> Iterator[AudioFrame]:
    with open_source(path) as source:
        stream = audio_stream(source)
        for packet in packets(source, [stream]) if stream else ():
            # The gap that a damaged packet leaves is filled at the next timestamp.
            yield from decoded(packet)


def resampled(blocks: Iterator[Samples], rate: int) -> Iterator[Samples]:
    """The same sound at another rate; as many samples as the duration asks for."""
    swr: AudioResampler | None = None
    got = given = channels = 0
    source_rate = rate
    for block in blocks:
        source_rate = block.rate
        if source_rate == rate:
            yield block
            continue
        if swr is None:
            channels = block.data.shape[1]
            layout = _layout(channels)
            swr = AudioResampler("flt", layout, rate)
        frame = _as_frame(block, got)
        got += len(block)
        for part in swr.resample(frame):
            given += part.samples
            yield Samples(_unpacked(part, channels), rate)
    if swr is not None:
        wanted = round(got * rate / source_rate) - given
        for part in swr.resample(None):
            yield Samples(_unpacked(part, channels)[: max(0, wanted)], rate)
            wanted -= part.samples


def _layout(channels: int) -> str:
    return {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")


def _as_frame(block: Samples, at: int) -> AudioFrame:
    packed = np.ascontiguousarray(block.data).reshape(1, -1)
    frame = AudioFrame.from_ndarray(packed, "flt", _layout(block.data.shape[1]))
    frame.sample_rate = block.rate
    frame.pts, frame.time_base = at, Fraction(1, block.rate)
    return frame


def _unpacked(frame: AudioFrame, channels: int) -> NDArray[np.float32]:
    # Packed throughout: PyAV miscounts the planes of eight channels.
    return frame.to_ndarray().reshape(-1, channels).astype(np.float32, copy=False)
