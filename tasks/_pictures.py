"""Patches and crops out of a frame's planes: only what is looked at gets colours. Private to tasks.

Planes are 4:2:0 as a clip stores them, (H * 3 / 2, W), chroma sited at the left as H.264 has it. Places are
float pixels with pixel centres at halves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from models.track.regions import Region
from storage.media import YUV_TO_RGB, VideoReader

__all__ = ["Planes", "crop", "frames", "look", "overview", "patch", "thumbnail"]

Picture = NDArray[np.uint8]
_FAR = 2.0  # a reduction beyond which halves are averaged first
_PLAIN = 1.1  # a reduction up to which nothing needs to be averaged
_TAPS = 3
_FINE = 0.2  # pixels of blur that no one sees
_BACK = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class Planes(NamedTuple):
    """Brightness (H, W) and the two colours (H / 2, W / 2) of a frame."""

    y: Picture
    u: Picture
    v: Picture

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.y.shape[1], self.y.shape[0]


def frames(video: Path, start: int, stop: int) -> Iterator[Planes]:
    """Frames of a clip in order, undecoded to colours."""
    for whole in _reader(video).read(start, stop):
        yield split(whole)


def split(whole: Picture) -> Planes:
    """The three planes of a stored frame; nothing is copied."""
    height, width = whole.shape[0] * 2 // 3, whole.shape[1]
    chroma = whole[height:].reshape(-1)
    half = (height // 2, width // 2)
    u, v = (chroma[at : at + half[0] * half[1]].reshape(half) for at in (0, half[0] * half[1]))
    return Planes(whole[:height], u, v)


_READERS: dict[tuple[str, int], VideoReader] = {}


def _reader(video: Path) -> VideoReader:
    """The reader of a clip: its index is worked out once a process, not once a block."""
    # A clip never changes, but tests and people may write another file under its name.
    key = (str(video), video.stat().st_mtime_ns)
    if key not in _READERS:
        _READERS.clear()
        _READERS[key] = VideoReader(video, form="yuv420p", threads="NONE", thread_count=1)
    return _READERS[key]


def look(video: Path) -> VideoReader:
    """The clip's own facts: length, rate, size."""
    return _reader(video)


def patch(planes: Planes, region: Region, side: int) -> tuple[Picture, Picture]:
    """The turned square as RGB (side, side, 3) for the mesh, and its brightness."""
    out = np.empty((side * 3 // 2, side), np.uint8)
    planes, region = _nearer(planes, region, side)
    cv2.warpAffine(planes.y, _affine(region, side), (side, side), out[:side], _BACK, cv2.BORDER_REPLICATE)
    # The mesh does not mind a quarter of a pixel in colour: chroma is taken at half the size.
    half = side // 2
    matrix = _affine(region._replace(x=region.x / 2, y=region.y / 2, side=region.side / 2), half)
    chroma = out[side:].reshape(2, half, half)
    for plane, target in zip((planes.u, planes.v), chroma, strict=True):
        cv2.warpAffine(plane, matrix, (half, half), target, _BACK, cv2.BORDER_REPLICATE)
    return _bytes(cv2.cvtColor(out, cv2.COLOR_YUV2RGB_I420)), out[:side]


def _nearer(planes: Planes, region: Region, side: int) -> tuple[Planes, Region]:
    """Halve what would be reduced too much: bilinear sampling takes four pixels, whatever lies between."""
    while region.side > _FAR * side:
        sizes = [(max(p.shape[1] // 2, 1), max(p.shape[0] // 2, 1)) for p in planes]
        planes = Planes(*(_resized(p, s) for p, s in zip(planes, sizes, strict=True)))
        region = Region(region.x / 2, region.y / 2, region.side / 2, region.turn)
    return planes, region


def _affine(region: Region, side: int, site: float = 0.5) -> NDArray[np.float64]:
    """Target pixel indices to source ones; `site` is where column 0 of the source stands.

    In plain numbers: small arrays would take longer than the sampling.
    """
    step, middle = region.side / side, 0.5 - side / 2
    c, s = math.cos(region.turn) * step, math.sin(region.turn) * step
    x, y = region.x + (c - s) * middle - site, region.y + (s + c) * middle - 0.5
    return np.array(((c, -s, x), (s, c, y)))


def _warp(plane: Picture, matrix: NDArray[np.float64], side: int, how: int) -> Picture:
    flags = how | cv2.WARP_INVERSE_MAP
    return _bytes(cv2.warpAffine(plane, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def overview(planes: Planes, longest: int, window: tuple[int, int, int, int] | None = None) -> Picture:
    """A rough RGB picture of the frame, or of a window (x, y, width, height) of it, for detectors."""
    if window is not None:
        x, y, w, h = (value // 2 * 2 for value in window)
        half = np.s_[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
        planes = Planes(planes.y[y : y + h, x : x + w], planes.u[half], planes.v[half])
    width, height = planes.size
    share = min(longest / max(width, height), 1.0)
    size = (max(round(width * share / 2) * 2, 2), max(round(height * share / 2) * 2, 2))
    parts = [_resized(planes.y, size)]
    parts += [_resized(p, (size[0] // 2, size[1] // 2)) for p in (planes.u, planes.v)]
    whole = np.concatenate([p.reshape(-1) for p in parts]).reshape(size[1] * 3 // 2, size[0])
    return _bytes(cv2.cvtColor(whole, cv2.COLOR_YUV2RGB_I420))


def _resized(plane: Picture, size: tuple[int, int]) -> Picture:
    return _bytes(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def thumbnail(planes: Planes, side: int) -> Picture:
    """The frame's brightness, tiny."""
    # In two steps: averaging every pixel of a large frame takes longer than all else that is told of it.
    sparse = cv2.resize(planes.y, (4 * side, 4 * side), interpolation=cv2.INTER_LINEAR)
    return _resized(_bytes(sparse), (side, side))


def _bytes(picture: Any) -> Picture:
    # OpenCV's stubs know no types of elements.
    return cast(Picture, picture)


_COLOURS = YUV_TO_RGB.astype(np.float32)


def crop(planes: Planes, x: float, y: float, side: float, pixels: int) -> Picture:
    """The square with its top left corner at x, y as RGB (pixels, pixels, 3), in exact colours.

    What lies outside the picture repeats its edge.
    """
    step, middle = side / pixels, (x + side / 2, y + side / 2)
    if float(side).is_integer() and step <= _PLAIN:
        bright = _shifted(planes.y, x, y, int(side), pixels)
    elif all(float(value).is_integer() for value in (x, y, side)):
        bright = _whole(planes.y, int(x), int(y), int(side), pixels)
    else:
        bright = _sampled(planes.y, *middle, step, pixels)
    u, v = (_coloured(plane, *middle, side, pixels) for plane in (planes.u, planes.v))
    return _bytes(cv2.transform(cv2.merge((bright, u, v)), _COLOURS))


def _shifted(plane: Picture, x: float, y: float, side: int, pixels: int) -> Picture:
    """A square at any place: moved to whole pixels first, by a kernel that keeps what the picture holds."""
    left, top = int(np.floor(x)), int(np.floor(y))
    if x == left and y == top:
        return _whole(plane, left, top, side, pixels)
    wide = _window(plane, left - _TAPS, top - _TAPS, side + 2 * _TAPS)
    if wide is None:
        return _whole(plane, left, top, side, pixels)
    moved = cv2.sepFilter2D(wide, -1, _mover(x - left), _mover(y - top), borderType=cv2.BORDER_REPLICATE)
    part = _bytes(moved)[_TAPS : _TAPS + side, _TAPS : _TAPS + side]
    return _bytes(cv2.resize(part, (pixels, pixels), interpolation=cv2.INTER_CUBIC))


def _mover(shift: float) -> NDArray[np.float32]:
    """Lanczos' kernel, three lobes: the value a share of a pixel further on."""
    at = np.arange(-_TAPS, _TAPS + 1) - shift
    kernel = np.where(np.abs(at) < _TAPS, np.sinc(at) * np.sinc(at / _TAPS), 0.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _window(plane: Picture, x: int, y: int, side: int) -> Picture | None:
    """A square of a plane, its edges repeated where it reaches out; none where it lies outside."""
    height, width = plane.shape
    part = plane[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    if part.size == 0 or part.shape == (side, side):
        return part if part.size else None
    edges = (max(-y, 0), max(y + side - height, 0), max(-x, 0), max(x + side - width, 0))
    return _bytes(cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE))


def _whole(plane: Picture, x: int, y: int, side: int, pixels: int) -> Picture:
    """A square of whole pixels: resizing takes a sixth of the time of sampling at any place."""
    part = _window(plane, x, y, side)
    if part is None:
        return _sampled(plane, x + side / 2, y + side / 2, side / pixels, pixels)
    while part.shape[0] > _FAR * pixels and part.shape[0] % 2 == 0:
        part = _resized(part, (part.shape[1] // 2, part.shape[0] // 2))
    step = part.shape[0] / pixels
    if step <= _PLAIN:
        return _bytes(cv2.resize(part, (pixels, pixels), interpolation=cv2.INTER_CUBIC))
    if step > _FAR:
        return _resized(part, (pixels, pixels))
    return _bytes(cv2.resize(_softened(part, step), (pixels, pixels), interpolation=cv2.INTER_LINEAR))


def _softened(part: Picture, step: float) -> Picture:
    """What a grid of this step can carry; after it, straight lines between samples will do."""
    sigma = 0.5 * float(np.sqrt(max(step**2 - 1, 0)))
    if sigma <= _FINE:
        return part
    return _bytes(cv2.GaussianBlur(part, (5, 5), sigma, borderType=cv2.BORDER_REPLICATE))


def _sampled(plane: Picture, x: float, y: float, step: float, pixels: int) -> Picture:
    """A level square of brightness around x, y."""
    matrix = _affine(Region(x, y, step * pixels, 0.0), pixels)
    if step <= _PLAIN:
        return _warp(plane, matrix, pixels, cv2.INTER_CUBIC)
    reach = round(step * (pixels + 8)) + 2
    left, top = (max(math.floor(at) - round(4 * step), 0) for at in matrix[:, 2].tolist())
    part = plane[top : max(top + reach, 1), left : max(left + reach, 1)]
    if part.size == 0:
        return _warp(plane, matrix, pixels, cv2.INTER_LINEAR)
    matrix[:, 2] -= left, top
    while step > _FAR:
        part = _resized(part, (max(part.shape[1] // 2, 1), max(part.shape[0] // 2, 1)))
        matrix /= 2
        matrix[:, 2] -= 0.25
        step /= 2
    return _warp(_softened(part, step), matrix, pixels, cv2.INTER_LINEAR)


def _coloured(plane: Picture, x: float, y: float, side: float, pixels: int) -> Picture:
    """A level square of a colour around x, y, at the size of the brightness.

    Colours keep the half resolution that they are stored with. Their samples stand on every other column of
    the brightness, and between two of its rows.
    """
    half, region, site = pixels // 2, Region(x / 2, y / 2, side / 2, 0.0), 0.25
    while region.side > _FAR * half:
        plane = _resized(plane, (max(plane.shape[1] // 2, 1), max(plane.shape[0] // 2, 1)))
        region, site = Region(region.x / 2, region.y / 2, region.side / 2, 0.0), site / 2 + 0.25
    small = _warp(plane, _affine(region, half, site), half, cv2.INTER_LINEAR)
    return _bytes(cv2.resize(small, (pixels, pixels), interpolation=cv2.INTER_LINEAR))
