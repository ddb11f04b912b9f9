"""Writes H.264 and AAC in MP4, in step, in bounded memory, same bytes every time. Anyone may call this.

Odd sizes grow by one: the last column or row is repeated, since 4:2:0 pictures have even sides. Colours
are BT.709, video range, and say so. Picture is the master: sound waits for the picture to get there, is
padded with silence to its end, and what lies beyond its end is cut. The file is written beside its
target and renamed when it is whole; on any failure nothing is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from storage.errors import MediaError
from storage.media._libav import plain_errors
from storage.media.picture import EXACT

__all__ = ["AAC_RATES", "MediaWriter"]

AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_BITEXACT = 1 << 23  # AV_CODEC_FLAG_BITEXACT: no encoder name in the stream
# The number is fixed because x264's choices depend on it; its sliced threads, libavcodec's default, race
# on small pictures. Without cpu-independent it also decides by the instruction sets it finds.
_THREADS = 2
_SAME_EVERYWHERE = "cpu-independent=1"
_BT709, _VIDEO_RANGE = 1, 1
_AAC_FRAME = 1024


class MediaWriter:
    """A context manager: write_frame and write_sound in any order, though turn by turn keeps memory low."""

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        rate: Fraction,
        sound_rate: int | None = None,
        channels: int = 1,
        *,
        crf: int = 16,
        preset: str = "medium",
        gop: int | None = None,
        sound_bits: int = 192_000,
        quick: bool = False,
    ) -> None:
        self.path, self.rate = Path(path), Fraction(rate)
        self.size = size
        self.coded_size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        self.sound_rate, self.channels = sound_rate, channels
        self.frames = self.samples = 0
        _check_request(self.path, size, self.rate, sound_rate, channels)
        self._video_options = {"crf": str(crf), "preset": preset, "threads": str(_THREADS)}
        if quick:
            # Read many times, written once: half the time of decoding for an eighth more bytes.
            self._video_options["tune"] = "fastdecode"
        self._video_options["x264-params"] = _SAME_EVERYWHERE
        self._gop = gop or max(1, round(self.rate))
        self._sound_bits = sound_bits
        self._beside = self.path.with_name(f".{uuid4().hex}.part")
        self._waiting: deque[NDArray[np.float32]] = deque()
        self._scaler = VideoReformatter()
        self._unsign = BitStreamFilterContext("filter_units=remove_types=6", "h264")
        self._file: OutputContainer | None = None
        self._sound: AudioStream | None = None

    def __enter__(self) -> Self:
        with plain_errors(self.path, "write"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = av.open(
                f"file:{self._beside}",
                "w",
                format="mp4",
                container_options={"movflags": "+faststart", "fflags": "+bitexact"},
            )
            self._video = self._add_video(self._file)
            if self.sound_rate is not None:
                self._sound = self._add_sound(self._file, self.sound_rate)
        return self

    def _add_video(self, file: OutputContainer) -> VideoStream:
        stream = file.add_stream("libx264", rate=self.rate, options=self._video_options)
        stream.width, stream.height = self.coded_size
        stream.pix_fmt = "yuv420p"
        stream.thread_type = "FRAME"
        stream.time_base = stream.codec_context.time_base = 1 / self.rate
        context = stream.codec_context
        context.gop_size = self._gop
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _VIDEO_RANGE
        context.flags |= _BITEXACT
        return stream

    def _add_sound(self, file: OutputContainer, rate: int) -> AudioStream:
        # Noise substitution would put a generator's noise in place of the recorded one.
        stream = file.add_stream("aac", rate=rate, options={"aac_pns": "0"})
        stream.layout = "mono" if self.channels == 1 else "stereo"
        stream.bit_rate = self._sound_bits
        stream.codec_context.flags |= _BITEXACT
        return stream

    def write_frame(self, picture: NDArray[np.uint8]) -> None:
        """One RGB picture (height, width, 3)."""
        width, height = self.size
        if picture.shape != (height, width, 3) or picture.dtype != np.uint8:
            raise ValueError(f"a frame is {picture.shape} {picture.dtype}, not ({height}, {width}, 3) uint8")
        extra = (self.coded_size[1] - height, self.coded_size[0] - width)
        if any(extra):
            picture = np.pad(picture, ((0, extra[0]), (0, extra[1]), (0, 0)), mode="edge")
        with plain_errors(self.path, "write"):
            self._send(self._as_yuv(picture))

    def write_planes(self, planes: NDArray[np.uint8]) -> None:
        """One picture as it is to be stored, (height * 3 / 2, width): no colour is computed."""
        width, height = self.size
        if self.size != self.coded_size or planes.shape != (height * 3 // 2, width):
            raise ValueError(f"planes are {planes.shape}, of a picture of {width}x{height}")
        with plain_errors(self.path, "write"):
            self._send(VideoFrame.from_ndarray(np.ascontiguousarray(planes), "yuv420p"))

    def _as_yuv(self, picture: NDArray[np.uint8]) -> VideoFrame:
        return self._scaler.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range="MPEG",
            interpolation=EXACT,
            threads=1,
        )

    def _send(self, frame: VideoFrame) -> None:
        frame.colorspace, frame.color_range = _BT709, _VIDEO_RANGE
        frame.color_primaries = frame.color_trc = _BT709
        frame.pts, frame.time_base = self.frames, 1 / self.rate
        self._mux(self._unsigned(self._video.encode(frame)))
        self.frames += 1
        self._send_sound(self._sound_until())

    def write_sound(self, samples: NDArray[np.float32]) -> None:
        """Samples (n,) or (n, channels), from -1 to 1, following those written before."""
        if self._sound is None:
            raise ValueError("this writer was made without sound_rate")
        block = np.asarray(samples, np.float32)
        block = block[:, None] if block.ndim == 1 else block
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise ValueError(f"sound is {samples.shape}, not (n,) or (n, {self.channels})")
        self._waiting.append(block)
        with plain_errors(self.path, "write"):
            self._send_sound(self._sound_until())

    def _sound_until(self) -> int:
        """How many samples belong to the pictures written so far."""
        return round(self.frames / self.rate * (self.sound_rate or 0))

    def _send_sound(self, until: int, last: bool = False) -> None:
        while self._sound is not None and self.samples < until:
            wanted = min(_AAC_FRAME, until - self.samples)
            if wanted < _AAC_FRAME and not last:
                return
            if not last and sum(map(len, self._waiting)) < wanted:
                return
            self._encode_sound(self._taken(wanted))

    def _taken(self, wanted: int) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        while wanted and self._waiting:
            block = self._waiting.popleft()
            if len(block) > wanted:
                self._waiting.appendleft(block[wanted:])
            parts.append(block[:wanted])
            wanted -= len(parts[-1])
        parts.append(np.zeros((wanted, self.channels), np.float32))
        return np.concatenate(parts)

    def _encode_sound(self, block: NDArray[np.float32]) -> None:
        assert self._sound is not None
        assert self.sound_rate is not None
        clipped = np.clip(np.nan_to_num(block), -1.0, 1.0)
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(clipped.T), "fltp", "mono" if self.channels == 1 else "stereo"
        )
        frame.sample_rate = self.sound_rate
        frame.pts, frame.time_base = self.samples, Fraction(1, self.sound_rate)
        self.samples += len(block)
        self._mux(self._sound.encode(frame))

    def _unsigned(self, packets: Iterable[Packet[Any]]) -> Iterable[Packet[Any]]:
        # x264 writes its version and settings into the first picture, as user data (unit type 6).
        for packet in packets:
            yield from self._unsign.filter(packet)

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        assert self._file is not None
        for packet in packets:
            self._file.mux(packet)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with plain_errors(self.path, "write"):
                    self._finish()
                    self._beside.replace(self.path)
        finally:
            if self._file is not None:
                with suppress(Exception):
                    self._file.close()
            self._beside.unlink(missing_ok=True)

    def _finish(self) -> None:
        if not self.frames:
            raise MediaError("no frame was written", where=self.path, do="give it at least one frame")
        assert self._file is not None
        self._send_sound(self._sound_until(), last=True)
        self._mux(self._unsigned(self._video.encode(None)))
        if self._sound is not None:
            self._mux(self._sound.encode(None))
        self._file.close()
        self._file = None


def _check_request(
    path: Path, size: tuple[int, int], rate: Fraction, sound_rate: int | None, channels: int
) -> None:
    if min(size) < 16 or max(size) > 16384:
        raise MediaError(
            f"cannot write pictures of {size[0]}x{size[1]}", where=path, do="use 16 to 16384 pixels"
        )
    if not 0 < rate <= 1000:
        raise MediaError(f"cannot write {rate} frames a second", where=path, do="use 1 to 1000")
    if sound_rate is not None and (sound_rate not in AAC_RATES or channels not in (1, 2)):
        what = f"cannot write {channels} channels of sound at {sound_rate} a second"
        raise MediaError(
            what, where=path, do=f"use 1 or 2 channels at one of {', '.join(map(str, AAC_RATES))}"
        )
