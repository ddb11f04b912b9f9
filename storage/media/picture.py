"""From decoded frames to upright, square-pixel, 8-bit pictures.

For this package only. Colour: the matrix and range the file names; where it names none, BT.709 from
720 lines on and BT.601 below, video range. HDR (PQ, HLG) is brought to BT.709 by swscale, which takes a
second to prepare. Of interlaced frames the upper field is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

__all__ = ["YUV_TO_RGB", "Format", "Orientation", "Painter", "display_size", "orientation_of"]

# `yuv420p`: the planes as they are stored in a clip, BT.709 in video range, one above the other as
# (height * 3 / 2, width): no colour is computed, which saves two thirds of the time of reading.
Format = Literal["rgb24", "bgr24", "gray", "yuv420p"]

# (red, green, blue) = this x (Y, U, V, 1), for 8-bit BT.709 in video range.
YUV_TO_RGB = np.array(
    [
        [1.164384, 0.0, 1.792741, -248.100994],
        [1.164384, -0.213249, -0.532909, 76.878080],
        [1.164384, 2.112402, 0.0, -289.017566],
    ],
    dtype=np.float64,
)

_BT709, _UNNAMED, _BT601, _BT2020 = 1, 2, 6, 9
_VIDEO_RANGE = 1
_KNOWN_MATRICES = {0, _BT709, 4, 5, _BT601, 7, _BT2020}
_HDR = {int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67)}
# The fast paths of swscale are a level and a half too dark and take the nearest chroma sample.
EXACT = int(
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways a coded picture may be turned: swap the axes, then mirror."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise that the coded picture is turned (after mirroring left to right, if any)."""
        if self.swap:
            return 90 if self.mirror_x else 270
        return 180 if self.mirror_y else 0

    @property
    def mirrored(self) -> bool:
        return self.swap ^ self.mirror_x ^ self.mirror_y

    def turn(self, width: int, height: int) -> tuple[int, int]:
        return (height, width) if self.swap else (width, height)

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.swap:
            picture = picture.swapaxes(0, 1)
        if self.mirror_x:
            picture = picture[:, ::-1]
        if self.mirror_y:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Reads the display matrix; turns other than quarters are taken to the nearest quarter."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(bytes(cast(Any, data)), np.int32))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(swap=True, mirror_x=c < 0, mirror_y=b < 0)
    return Orientation(mirror_x=a < 0, mirror_y=d < 0)


def display_size(width: int, height: int, aspect: Fraction, orientation: Orientation) -> tuple[int, int]:
    """The upright size in square pixels: the sample aspect widens (or narrows) the coded width."""
    return orientation.turn(max(1, round(width * aspect)), height)


class Painter:
    """Turns frames into arrays of one size and format. Not to be shared between threads."""

    def __init__(self, size: tuple[int, int], orientation: Orientation, form: Format = "rgb24") -> None:
        self._coded = orientation.turn(*size)
        self._orientation = orientation
        self._format = form
        self._scaler = VideoReformatter()

    def paint(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """The picture; in form `yuv420p` its planes."""
        if self._format == "yuv420p":
            return self._planes(frame)
        return self._coloured(frame, self._format)

    def _planes(self, frame: VideoFrame) -> NDArray[np.uint8]:
        if not self._is_stored_so(frame):
            painted = VideoFrame.from_ndarray(self._coloured(frame, "rgb24"), "rgb24")
            frame = self._scaler.reformat(
                painted,
                format="yuv420p",
                interpolation=EXACT,
                dst_colorspace=Colorspace.ITU709,
                dst_color_range="MPEG",
                threads=1,
            )
        return frame.to_ndarray().astype(np.uint8, copy=False)

    def _is_stored_so(self, frame: VideoFrame) -> bool:
        return (
            frame.format.name == "yuv420p"
            and (frame.width, frame.height) == self._coded
            and self._orientation == Orientation()
            and frame.colorspace == _BT709
            and frame.color_range == _VIDEO_RANGE
            and not frame.interlaced_frame
        )

    def _coloured(self, frame: VideoFrame, form: Format) -> NDArray[np.uint8]:
        _name_colours(frame)
        if frame.interlaced_frame:
            frame = _one_field(frame)
        width, height = self._coded
        hdr = frame.color_trc in _HDR
        flat = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=form,
            interpolation=EXACT,
            dst_color_range="JPEG",
            dst_color_trc=ColorTrc.BT709 if hdr else None,
            dst_color_primaries=ColorPrimaries.BT709 if hdr else None,
            threads=1,
        )
        return self._orientation.apply(flat.to_ndarray().astype(np.uint8, copy=False))


def _one_field(frame: VideoFrame) -> VideoFrame:
    # The two fields are two moments: woven together, a moving mouth has teeth like a comb.
    field = VideoFrame(frame.width, frame.height // 2, frame.format.name)
    for whole, part in zip(frame.planes, field.planes, strict=True):
        lines = np.frombuffer(bytes(whole), np.uint8).reshape(-1, whole.line_size)[: 2 * part.height : 2]
        taken = np.zeros((part.height, part.line_size), np.uint8)
        width = min(whole.line_size, part.line_size)
        taken[:, :width] = lines[:, :width]
        part.update(taken.tobytes())
    field.colorspace, field.color_range = frame.colorspace, frame.color_range
    field.color_trc, field.color_primaries = frame.color_trc, frame.color_primaries
    return field


def _name_colours(frame: VideoFrame) -> None:
    if frame.colorspace in _KNOWN_MATRICES:
        return
    if frame.colorspace == _BT2020 + 1:
        frame.colorspace = _BT2020
    else:
        frame.colorspace = _BT709 if min(frame.width, frame.height) >= 720 else _BT601
