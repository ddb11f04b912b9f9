"""Colours of a part of a stored picture: whoever changes a corner need not compute the rest.

    colours = Colours()
    rgb = colours.of(planes, (left, top, right, bottom))     # even numbers

To the very bytes that `VideoReader(form="rgb24")` gives of a clip: colour samples stand at the left of their
two pixels, which planes alone do not say. Anyone may call this; not to be shared between threads.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from storage.media.picture import EXACT

__all__ = ["Box", "Colours", "Planes", "split"]

U8 = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom

# What the colours of a pixel depend on lies nearer than this.
_MARGIN = 8
_ROUGH = int(Interpolation.FAST_BILINEAR)
_BT709, _VIDEO_RANGE = 1, 1
_SITED = "chroma_location=left:colorspace=bt709:range=tv"


class Planes(NamedTuple):
    """Brightness (H, W) and the two colours (H / 2, W / 2)."""

    y: U8
    u: U8
    v: U8


def split(whole: U8) -> Planes:
    """The three planes of a picture (H * 3 / 2, W); nothing is copied."""
    height, width = whole.shape[0] * 2 // 3, whole.shape[1]
    u, v = whole[height:].reshape(2, height // 2, width // 2)
    return Planes(whole[:height], u, v)


class Colours:
    """See the module."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._passed = 0

    def of(self, whole: U8, box: Box | None = None) -> U8:
        """RGB (h, w, 3) of a box with even corners inside the picture, or of all of it."""
        height, width = whole.shape[0] * 2 // 3, whole.shape[1]
        left, top, right, bottom = box or (0, 0, width, height)
        if any(side % 2 for side in (left, top, right, bottom)):
            raise ValueError(f"the box {box} has odd corners")
        x0, y0 = max(left - _MARGIN, 0), max(top - _MARGIN, 0)
        x1, y1 = min(right + _MARGIN, width), min(bottom + _MARGIN, height)
        painted = self._painted(self._sited(_cut(whole, (x0, y0, x1, y1))), EXACT)
        return painted[top - y0 : bottom - y0, left - x0 : right - x0]

    def rough(self, whole: U8) -> U8:
        """All of it in a twelfth of the time, each colour a step or two off."""
        frame = VideoFrame.from_ndarray(whole, "yuv420p")
        frame.colorspace, frame.color_range = _BT709, _VIDEO_RANGE
        return self._painted(frame, _ROUGH)

    def _painted(self, frame: VideoFrame, how: int) -> U8:
        flat = self._scaler.reformat(
            frame, format="rgb24", interpolation=how, dst_color_range="JPEG", threads=1
        )
        return flat.to_ndarray().astype(np.uint8, copy=False)

    def _sited(self, planes: U8) -> VideoFrame:
        """Only a filter can say of a frame where its colours stand."""
        size = planes.shape[1], planes.shape[0] * 2 // 3
        if size != self._size:
            graph = Graph()
            self._source = graph.add_buffer(
                width=size[0], height=size[1], format=VideoFormat("yuv420p"), time_base=Fraction(1, 25)
            )
            named, self._sink = graph.add("setparams", _SITED), graph.add("buffersink")
            self._source.link_to(named)
            named.link_to(self._sink)
            graph.configure()
            self._graph, self._size = graph, size
        frame = VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts, frame.time_base = self._passed, Fraction(1, 25)
        self._passed += 1
        self._source.push(frame)
        out = self._sink.pull()
        assert isinstance(out, VideoFrame)
        return out


def _cut(whole: U8, box: Box) -> U8:
    left, top, right, bottom = box
    if (right - left, bottom - top) == (whole.shape[1], whole.shape[0] * 2 // 3):
        return np.ascontiguousarray(whole)
    y, u, v = split(whole)
    half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
    parts = y[top:bottom, left:right], u[half], v[half]
    return np.concatenate([part.reshape(-1) for part in parts]).reshape(-1, right - left)
