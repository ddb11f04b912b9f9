"""What a media file is: tracks, geometry, timing, defects. Anyone may call this.

`probe` reads every packet once (no decoding but the first frame), so counts and times are what is in
the file and not what its header claims. `check` holds a probe against what the pipeline can use.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from storage.errors import MediaError
from storage.media._boxes import cut_short
from storage.media._libav import audio_stream, decoded, open_source, packets, video_stream
from storage.media.index import FrameIndex, SoundSpan, scan
from storage.media.picture import Orientation, display_size, orientation_of
from storage.media.timeline import Timeline, choose_rate

__all__ = ["AudioInfo", "Probe", "VideoInfo", "check", "probe", "require_audio", "require_video", "survey"]

_LATE = 0.5  # seconds by which a header may promise more than there is
_HOLE = 10.0  # seconds without a new picture, which no footage of a person has


@dataclass(frozen=True)
class VideoInfo:
    """The picture track. `rate` is the constant rate it will be read at, `slots` its frames at that rate."""

    codec: str
    coded_size: tuple[int, int]
    display_size: tuple[int, int]
    orientation: Orientation
    sample_aspect: Fraction
    pixel_format: str
    bit_depth: int
    rate: Fraction
    variable: bool
    frames: int
    slots: int
    start_s: float
    duration_s: float
    has_b_frames: bool
    interlaced: bool

    @property
    def rotation(self) -> int:
        """Degrees clockwise that the coded picture is turned for display."""
        return self.orientation.rotation


@dataclass(frozen=True)
class AudioInfo:
    """The sound track. `start_s` is on the container's clock, as is that of the picture."""

    codec: str
    rate: int
    channels: int
    sample_format: str
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class Probe:
    """One media file. `defects` are sentences on what is wrong with a file that can still be read."""

    path: Path
    container: str
    size_bytes: int
    duration_s: float
    video: VideoInfo | None
    audio: AudioInfo | None
    defects: tuple[str, ...]


def probe(path: str | Path) -> Probe:
    """Describes a media file, or raises MediaError with one plain line."""
    return survey(path)[0]


def survey(path: str | Path) -> tuple[Probe, FrameIndex | None]:
    """The description of a file, and the index of its frames that it was made from."""
    path = Path(path)
    with open_source(path) as source:
        video, audio = video_stream(source), audio_stream(source)
        _refuse_unknown(source, path, video, audio)
        index, span = scan(source, video, audio)
        picture = None if video is None or index is None else _video_info(path, video, index)
        sound = None if audio is None or span is None or not span.packets else _audio_info(audio, span)
        found = Probe(
            path=path,
            container=source.format.name,
            size_bytes=path.stat().st_size,
            duration_s=max(picture.duration_s if picture else 0.0, sound.duration_s if sound else 0.0),
            video=picture,
            audio=sound,
            defects=tuple(_defects(path, source, index, span)),
        )
    return found, index


def _refuse_unknown(
    source: InputContainer, path: Path, video: VideoStream | None, audio: AudioStream | None
) -> None:
    if video is None and audio is None:
        tracks = "tracks that cannot be decoded" if source.streams else "no tracks"
        raise MediaError(f"has {tracks}", where=path, do="convert it to H.264 and AAC")


def _first_frame(path: Path) -> VideoFrame | None:
    with open_source(path) as source:
        stream = video_stream(source)
        for packet in packets(source, [stream]) if stream else ():
            for frame in decoded(packet):
                return cast(VideoFrame, frame)
    return None


def _video_info(path: Path, stream: VideoStream, index: FrameIndex) -> VideoInfo:
    frame = _first_frame(path) if len(index) else None
    aspect = _sane_aspect(stream.sample_aspect_ratio)
    rate, variable = choose_rate(index.times, index.tick, _hints(stream))
    timeline = Timeline(index.times, index.tick, index.last_duration, rate)
    turned = orientation_of(frame) if frame else Orientation()
    width, height = (frame.width, frame.height) if frame else (stream.width, stream.height)
    layout = frame.format if frame else stream.format
    return VideoInfo(
        codec=stream.codec_context.codec.canonical_name,
        coded_size=(width, height),
        display_size=display_size(width, height, aspect, turned),
        orientation=turned,
        sample_aspect=aspect,
        pixel_format=layout.name if layout else "unknown",
        bit_depth=layout.components[0].bits if layout else 8,
        rate=rate,
        variable=variable,
        frames=len(index) if frame else 0,
        slots=len(timeline) if frame else 0,
        start_s=index.start_s,
        duration_s=float(timeline.duration) if frame else 0.0,
        has_b_frames=bool(stream.codec_context.has_b_frames),
        interlaced=bool(frame and frame.interlaced_frame),
    )


def _hints(stream: VideoStream) -> list[Fraction]:
    return [rate for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate) if rate]


def _sane_aspect(aspect: Fraction | None) -> Fraction:
    if aspect is None or not Fraction(1, 8) <= aspect <= 8:
        return Fraction(1)
    return aspect


def _audio_info(stream: AudioStream, span: SoundSpan) -> AudioInfo:
    context = stream.codec_context
    return AudioInfo(
        codec=context.codec.canonical_name,
        rate=context.sample_rate,
        channels=context.channels,
        sample_format=context.format.name if context.format else "unknown",
        start_s=span.start_s,
        duration_s=span.end_s - span.start_s,
    )


def _defects(
    path: Path, source: InputContainer, index: FrameIndex | None, span: SoundSpan | None
) -> list[str]:
    ends = [span.end_s] if span else []
    if index is not None and len(index):
        ends.append(float((int(index.times[-1]) + index.last_duration) * index.tick))
    promised = (source.duration or 0) / 1_000_000
    # Matroska counts its duration from zero, others from the first moment: the longer view is the fair one.
    there = max(ends, default=0.0) - min(0.0, (source.start_time or 0) / 1_000_000)
    found = []
    if promised > there + _LATE or cut_short(path):
        found.append(f"cut short: {there:.1f} s are there of {max(promised, there):.1f} s announced")
    if index is not None and len(index) > 1:
        holes = np.diff(index.times)
        worst = float(int(holes.max()) * index.tick)
        if worst > _HOLE:
            after = float(int(index.times[holes.argmax()]) * index.tick) - index.start_s
            found.append(f"has no picture for {worst:.0f} s from {after:.1f} s on")
    return found


def require_video(found: Probe) -> VideoInfo:
    """The picture track, or MediaError where there is none to work with."""
    if found.video is None:
        raise MediaError("has sound but no picture", where=found.path, do="give a video of the person")
    if not found.video.frames:
        raise MediaError(
            "its picture track has no frame that can be decoded",
            where=found.path,
            do="export the video again",
        )
    return found.video


def require_audio(found: Probe) -> AudioInfo:
    """The sound track, or MediaError where there is none."""
    if found.audio is None:
        raise MediaError(
            "has no sound", where=found.path, do="give footage with its sound, or allow silent footage"
        )
    return found.audio


def check(
    found: Probe,
    *,
    silent_ok: bool = False,
    whole: bool = True,
    min_seconds: float = 1.0,
    min_side: int = 64,
    max_bytes: int | None = None,
) -> VideoInfo:
    """Raises MediaError with one line for footage that the pipeline cannot use."""
    if max_bytes is not None and found.size_bytes > max_bytes:
        size = f"is {found.size_bytes / 1e9:.2f} GB, over the limit of {max_bytes / 1e9:.2f} GB"
        raise MediaError(size, where=found.path, do="cut it into parts or raise the limit")
    video = require_video(found)
    if whole and found.defects:
        raise MediaError(found.defects[0], where=found.path, do="copy it again from where it came")
    if video.duration_s < min_seconds:
        short = f"lasts {video.duration_s:.2f} s, under the least of {min_seconds:g} s"
        raise MediaError(short, where=found.path, do="give longer footage")
    if min(video.display_size) < min_side:
        small = "is {}x{} pixels".format(*video.display_size)
        raise MediaError(
            f"{small}, under the least of {min_side}",
            where=found.path,
            do="give footage of higher resolution",
        )
    if not silent_ok:
        require_audio(found)
    return video
