"""Makes small media files as phones, cameras and browsers make them. Every frame shows its own number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

BITS, STRIPE = 12, 8


def numbered(number: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A picture that carries its number as twelve stripes, and some texture that moves."""
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[...] = 60 + 40 * np.sin(np.arange(width) / 7 + number / 3)[None, :, None]
    for bit in range(BITS):
        value = 220 if number >> bit & 1 else 30
        picture[: height // 2, bit * STRIPE : (bit + 1) * STRIPE] = value
    return picture


def number_of(picture: np.ndarray) -> int:
    """Reads the number back, from an RGB or gray picture."""
    half = picture[: picture.shape[0] // 2]
    grey = half if half.ndim == 2 else half.mean(axis=2)
    middles = [grey[2:-2, bit * STRIPE + 2 : (bit + 1) * STRIPE - 2].mean() for bit in range(BITS)]
    return sum(int(value > 125) << bit for bit, value in enumerate(middles))


@dataclass(frozen=True)
class Film:
    """A recipe for a test file; `times` are timestamps in ticks, one a frame."""

    name: str = "film.mp4"
    codec: str = "libx264"
    size: tuple[int, int] = (96, 64)
    rate: Fraction = Fraction(25)
    frames: int = 60
    times: tuple[int, ...] | None = None
    tick: Fraction | None = None
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    gop: int = 12
    b_frames: int | None = None
    rotation: float | None = None
    mirrored: bool = False
    aspect: Fraction | None = None
    sound: str | None = None
    sound_rate: int = 48000
    layout: str = "mono"
    sound_start: float = 0.0
    sound_seconds: float | None = None
    muxing: dict[str, str] = field(default_factory=dict)
    container: str | None = None
    first: int = 0
    picture: Callable[[int, tuple[int, int]], np.ndarray] = numbered
    wave: Callable[[int, int, int], np.ndarray] | None = None
    matrix: int | None = None
    full_range: bool = False


def tone(start: int, count: int, rate: int) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * 440 * (start + np.arange(count)) / rate)).astype(np.float32)


def shoot(folder: Path, film: Film) -> Path:
    """Writes the file with PyAV alone, independently of the code under test."""
    path = folder / film.name
    with av.open(str(path), "w", format=film.container, container_options=film.muxing) as out:
        video = _video(out, film) if film.frames else None
        audio = out.add_stream(film.sound, rate=film.sound_rate, layout=film.layout) if film.sound else None
        length = film.frames / film.rate if film.sound_seconds is None else film.sound_seconds
        jobs = sorted([*_pictures(video, film), *_sounds(audio, film, float(length))], key=lambda job: job[0])
        for _, stream, frame in jobs:
            out.mux(stream.encode(frame))
        for stream in filter(None, (video, audio)):
            out.mux(stream.encode(None))
    return path


def _video(out: Any, film: Film) -> Any:
    stream = out.add_stream(film.codec, rate=film.rate, options=film.options)
    stream.width, stream.height = film.size
    stream.pix_fmt = film.pixels
    stream.codec_context.gop_size = film.gop
    if film.b_frames is not None:
        stream.codec_context.max_b_frames = film.b_frames
    if film.tick:
        stream.time_base = stream.codec_context.time_base = film.tick
    if film.aspect:
        stream.sample_aspect_ratio = stream.codec_context.sample_aspect_ratio = film.aspect
    if film.rotation is not None or film.mirrored:
        stream.set_display_rotation(film.rotation or 0, hflip=film.mirrored)
    if film.matrix is not None:
        stream.codec_context.colorspace = film.matrix
        stream.codec_context.color_range = 2 if film.full_range else 1
    return stream


def _pictures(stream: Any, film: Film) -> Iterable[tuple[float, Any, av.VideoFrame]]:
    tick = film.tick or 1 / film.rate
    times = film.times or range(film.frames)
    for number, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(film.picture(number, film.size), "rgb24")
        kind: dict[str, Any] = {"format": film.pixels}
        if film.matrix is not None:
            kind |= {"dst_colorspace": {1: 1, 6: 5, 9: 9}[film.matrix]}
            kind |= {"dst_color_range": 2 if film.full_range else 1}
        frame = frame.reformat(**kind)
        if film.matrix is not None:
            frame.colorspace, frame.color_range = film.matrix, 2 if film.full_range else 1
        frame.pts, frame.time_base = film.first + time, tick
        yield float(time * tick), stream, frame


def _sounds(stream: Any, film: Film, length: float) -> Iterable[tuple[float, Any, av.AudioFrame]]:
    if stream is None:
        return
    rate, total, size = film.sound_rate, round(length * film.sound_rate), stream.frame_size or 1024
    for start in range(0, total, size):
        samples = (film.wave or tone)(start, min(size, total - start), rate)
        channels = stream.layout.nb_channels
        frame = av.AudioFrame.from_ndarray(np.repeat(samples, channels)[None], "flt", film.layout)
        frame.sample_rate = rate
        frame.pts, frame.time_base = start + round(film.sound_start * rate), Fraction(1, rate)
        converted = av.AudioResampler(stream.format, film.layout, rate).resample(frame)
        for part in converted:
            yield film.sound_start + start / rate, stream, part


@dataclass(frozen=True)
class Studio:
    """`studio(codec=..., ...)` makes a file in the test's own folder and returns its path."""

    folder: Path

    def __call__(self, film: Film | None = None, **changes: Any) -> Path:
        return shoot(self.folder, replace(film or Film(), **changes))

    numbered = staticmethod(numbered)
    number_of = staticmethod(number_of)
    tone = staticmethod(tone)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)
