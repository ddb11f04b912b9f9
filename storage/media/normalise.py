"""Makes the stored clip of any footage: constant rate, upright, square pixels, H.264 and AAC in MP4.

Ingest calls this. Everything streams. The picture is the master: sound starts with its first frame and
ends with its last, padded with silence or cut. Sizes become even by repeating the last column or row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from storage.errors import MediaError
from storage.media.probe import Probe
from storage.media.sound import SoundReader
from storage.media.video import VideoReader
from storage.media.writer import AAC_RATES, MediaWriter

__all__ = ["Normalised", "normalise"]


@dataclass(frozen=True)
class Normalised:
    """What the stored clip holds."""

    path: Path
    source: Probe
    size: tuple[int, int]
    rate: Fraction
    frames: int
    duration_s: float
    sound_rate: int | None
    channels: int


def normalise(
    source: str | Path,
    target: str | Path,
    *,
    rate: Fraction | None = None,
    max_side: int | None = None,
    crf: int = 14,
    preset: str = "fast",
    progress: Callable[[int, int], None] | None = None,
) -> Normalised:
    """Streams footage into a stored clip; `progress` hears (frames done, frames in all)."""
    if Path(source).resolve() == Path(target).resolve():
        raise MediaError("source and target are the same file", where=source, do="name another target")
    video = VideoReader(source, rate)
    video.size = _within(video.size, max_side)
    sound = _sound_of(video.info)
    writer = MediaWriter(
        target,
        video.size,
        video.rate,
        sound.rate if sound else None,
        sound.channels if sound else 1,
        crf=crf,
        preset=preset,
        quick=True,
    )
    with writer:
        _copy(video, sound, writer, progress)
    return Normalised(
        path=Path(target),
        source=video.info,
        size=writer.coded_size,
        rate=video.rate,
        frames=writer.frames,
        duration_s=float(writer.frames / video.rate),
        sound_rate=writer.sound_rate,
        channels=writer.channels if sound else 0,
    )


def _within(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    if side is None or max(size) <= side:
        return size
    scale = Fraction(side, max(size))
    width, height = (max(16, round(length * scale)) for length in size)
    return width - width % 2, height - height % 2


def _sound_of(info: Probe) -> SoundReader | None:
    if info.audio is None:
        return None
    channels = min(2, max(1, info.audio.channels))
    native = SoundReader(info.path, None, channels, info=info)
    rate = native.rate if native.rate in AAC_RATES else 48000
    return SoundReader(info.path, rate, channels, info=info)


def _copy(
    video: VideoReader,
    sound: SoundReader | None,
    writer: MediaWriter,
    progress: Callable[[int, int], None] | None,
) -> None:
    blocks = sound.blocks(0.5) if sound else iter(())
    total, fed = len(video), 0
    for done, picture in enumerate(video, 1):
        # The sound runs just ahead of the picture, so that neither waits long in memory.
        while sound and fed < done / video.rate * sound.rate:
            block = next(blocks, None)
            if block is None:
                break
            writer.write_sound(block)
            fed += len(block)
        writer.write_frame(picture)
        if progress is not None:
            progress(done, total)
