"""Streams of samples: decoding, placing on the timeline, resampling. For `sound` alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from storage.media._libav import audio_stream, open_source

__all__ = ["Samples", "native_blocks", "resampled"]

_GAP = 0.030  # seconds off at once: a hole or an overlap, mended on the spot
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
        self._swr: AudioResampler | None = None

    def mix(self, frame: AudioFrame) -> NDArray[np.float32]:
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if key != self._key:
            self._key, self._swr = key, self._converter(frame)
        if self._swr is None:
            return self._average(frame)
        parts = [part.to_ndarray().T for part in self._swr.resample(frame)]
        return np.concatenate(parts).astype(np.float32, copy=False)

    def _converter(self, frame: AudioFrame) -> AudioResampler | None:
        names = {1: "mono", 2: "stereo"}
        if frame.layout.nb_channels == self._channels:
            return AudioResampler("fltp", frame.layout, frame.sample_rate)
        # Layouts without named loudspeakers (four microphones, say) have no rule to be mixed by.
        if "channels" in frame.layout.name or self._channels not in names:
            return None
        return AudioResampler("fltp", names[self._channels], frame.sample_rate)

    def _average(self, frame: AudioFrame) -> NDArray[np.float32]:
        swr = AudioResampler("fltp", frame.layout, frame.sample_rate)
        every = np.concatenate([part.to_ndarray() for part in swr.resample(frame)], axis=1)
        return np.repeat(every.mean(axis=0)[:, None], self._channels, axis=1).astype(np.float32)


class _Placer:
    """Lays blocks end to end on the timeline, by their timestamps."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate, self._channels = rate, channels
        self._at = 0
        self._lean = 0.0
        self._begun = False

    def place(self, due: int | None, data: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        off = 0 if due is None else due - self._at
        if not self._begun or abs(off) > _GAP * self._rate:
            self._begun, self._lean = True, 0.0
            yield from self._silence(max(0, off))
            data = data[max(0, -off) :]
        elif due is not None:
            data = self._held(off, data)
        self._at += len(data)
        if len(data):
            yield data

    def _silence(self, samples: int) -> Iterator[NDArray[np.float32]]:
        while samples > 0:
            part = min(samples, self._rate)
            self._at += part
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
        for placed in placer.place(due, data):
            yield Samples(placed, rate)


def _frames(path: Path) -> Iterator[AudioFrame]:
    with open_source(path) as source:
        stream = audio_stream(source)
        for packet in source.demux(stream) if stream else ():
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue  # the gap it leaves is filled by the next timestamp


def resampled(blocks: Iterator[Samples], rate: int) -> Iterator[Samples]:
    """The same sound at another rate; as many samples as the duration asks for."""
    swr: AudioResampler | None = None
    got = given = 0
    source_rate = rate
    for block in blocks:
        source_rate = block.rate
        if source_rate == rate:
            yield block
            continue
        if swr is None:
            layout = _layout(block.data.shape[1])
            swr = AudioResampler("fltp", layout, rate)
        frame = _as_frame(block, got)
        got += len(block)
        for part in _unpacked(swr.resample(frame), rate):
            given += len(part)
            yield part
    if swr is not None:
        wanted = round(got * rate / source_rate) - given
        for part in _unpacked(swr.resample(None), rate):
            yield part[: max(0, wanted)]
            wanted -= len(part)


def _layout(channels: int) -> str:
    return {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")


def _as_frame(block: Samples, at: int) -> AudioFrame:
    planes = np.ascontiguousarray(block.data.T)
    frame = AudioFrame.from_ndarray(planes, "fltp", _layout(len(planes)))
    frame.sample_rate = block.rate
    frame.pts, frame.time_base = at, Fraction(1, block.rate)
    return frame


def _unpacked(frames: list[AudioFrame], rate: int) -> Iterator[Samples]:
    for frame in frames:
        yield Samples(frame.to_ndarray().T.astype(np.float32, copy=False), rate)
