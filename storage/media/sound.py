"""Reads sound on the picture's timeline: any codec, rate, depth and channel count. Anyone may call this.

Time zero is the first shown frame of the picture, or the first sample where there is no picture. Sound
before it is cut, sound that begins later is preceded by silence, gaps in the timestamps are silence,
and a sound clock that drifts against the timestamps is held to them. A range equals the same samples of
reading straight through, exactly: lossy codecs carry state from packet to packet (noise generators,
bit reservoirs), so a range is decoded from the beginning and only what lies in it is resampled.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.errors import MediaError
from storage.media._samples import Samples, native_blocks, resampled
from storage.media.probe import Probe, probe, require_audio

__all__ = ["SoundReader", "read_sound"]

_LEAD = 1  # whole seconds fed to the resampler before a range, far beyond the length of its filter


class SoundReader:
    """The sound of a file as float32, at one rate and channel count. Memory does not grow with length."""

    def __init__(
        self,
        path: str | Path,
        rate: int | None = None,
        channels: int | None = 1,
        *,
        info: Probe | None = None,
    ) -> None:
        self.path = Path(path)
        self.info = info or probe(self.path)
        sound = require_audio(self.info)
        if channels not in (None, 1, 2):
            raise MediaError(f"cannot be mixed to {channels} channels", where=path, do="ask for 1, 2 or None")
        self.channels = channels or sound.channels
        self.rate = rate or self._native_rate(sound.rate)

    def _native_rate(self, announced: int) -> int:
        # HE-AAC announces half the rate that it decodes to.
        first = next(native_blocks(self.path, self._zero(), self.channels), None)
        return announced if first is None else first.rate

    def _zero(self) -> Fraction | None:
        video = self.info.video
        return None if video is None or not video.frames else Fraction(video.start_s)

    def _end(self) -> int:
        # The last packet of MP4 sound decodes to a whole one, though the file says where it stops.
        if "mp4" not in self.info.container:
            return sys.maxsize
        sound, zero = require_audio(self.info), self._zero()
        start = sound.start_s if zero is None else float(zero)
        return round((sound.start_s + sound.duration_s - start) * self.rate)

    def blocks(
        self, seconds: float = 1.0, start_s: float | None = None, stop_s: float | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Blocks of equal length, the last one shorter: (n,) for one channel, else (n, channels)."""
        size = max(1, round(seconds * self.rate))
        for block in _regrouped(self._range(start_s, stop_s), size):
            yield block[:, 0] if self.channels == 1 else block

    def read(self, start_s: float | None = None, stop_s: float | None = None) -> NDArray[np.float32]:
        """The samples from round(start_s * rate) up to round(stop_s * rate), fewer where the sound ends."""
        blocks = list(self.blocks(10.0, start_s, stop_s))
        if blocks:
            return np.concatenate(blocks)
        return np.zeros((0,) if self.channels == 1 else (0, self.channels), np.float32)

    def _range(self, start_s: float | None, stop_s: float | None) -> Iterator[Samples]:
        start = max(0, round((start_s or 0.0) * self.rate))
        stop = self._end() if stop_s is None else min(round(stop_s * self.rate), self._end())
        at = max(0, start // self.rate - _LEAD)
        place = at * self.rate
        for block in resampled(
            _from_second(native_blocks(self.path, self._zero(), self.channels), at), self.rate
        ):
            begin, end = max(start - place, 0), min(stop - place, len(block))
            if begin < end:
                yield block[begin:end]
            place += len(block)
            if place >= stop:
                return


def _from_second(blocks: Iterator[Samples], second: int) -> Iterator[Samples]:
    """Leaves out whole seconds, so that the resampler meets the samples in the same phase as ever."""
    skip: int | None = None
    for block in blocks:
        skip = second * block.rate if skip is None else skip
        if skip < len(block):
            yield block[skip:]
        skip = max(0, skip - len(block))


def _regrouped(blocks: Iterator[Samples], size: int) -> Iterator[NDArray[np.float32]]:
    pending: list[NDArray[np.float32]] = []
    have = 0
    for block in blocks:
        pending.append(block.data)
        have += len(block)
        while have >= size:
            joined = np.concatenate(pending)
            yield joined[:size]
            pending, have = [joined[size:]], have - size
    if have:
        yield np.concatenate(pending)


def read_sound(
    path: str | Path,
    rate: int | None = None,
    mono: bool = True,
    start_s: float | None = None,
    stop_s: float | None = None,
    *,
    info: Probe | None = None,
) -> NDArray[np.float32]:
    """A stretch of sound: (n,) when mono, else (n, channels)."""
    return SoundReader(path, rate, 1 if mono else None, info=info).read(start_s, stop_s)
