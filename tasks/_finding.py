"""Looks for faces that nobody follows yet: near ones in the whole frame, small ones window by window.

Private to `tasks.faces`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.track.regions import Region, overlap, region_of_detection
from tasks._mediapipe import Detection, detector
from tasks._pictures import Planes, overview

__all__ = ["search"]

_LONGEST = 384
_SAME = 0.3
# A face of a twelfth of a window is still seen; smaller windows than this hold no face worth tracking.
_LEAST_WINDOW = 256
_LEAST_FACE = 24.0
_DEEPEST = 2
# In faces, in pixels, and as a share of the frame below which a second look is taken.
_AROUND, _LEAST_AROUND, _NEAR_ENOUGH = 5.0, 96, 0.6


def search(planes: Planes, thorough: bool) -> list[Region]:
    """Squares around faces, surest first. `thorough`: also where nothing is seen at first sight."""
    found = _in_window(planes, None, far=True)
    if not found:
        found = _in_window(planes, None, far=False)
    depth = 1
    while not found and thorough and depth <= _DEEPEST:
        for window in _windows(planes.size, depth):
            found += _in_window(planes, window, far=True)
        depth += 1
    found = [_nearer(planes, *one) for one in found]
    found.sort(key=lambda one: -one[0])
    kept: list[Region] = []
    for _, region in found:
        if region.face >= _LEAST_FACE and all(overlap(region, other) < _SAME for other in kept):
            kept.append(region)
    return kept


def _nearer(planes: Planes, score: float, region: Region) -> tuple[float, Region]:
    """A small face seen again from near: a box of few of the detector's cells is too rough for the mesh."""
    width, height = planes.size
    side = int(min(max(region.face * _AROUND, _LEAST_AROUND), width, height)) // 2 * 2
    if side > _NEAR_ENOUGH * max(width, height):
        return score, region
    x, y = (
        int(min(max(middle - side / 2, 0), length - side))
        for middle, length in ((region.x, width), (region.y, height))
    )
    again = _in_window(planes, (x, y, side, side), far=True)
    near = [one for one in again if overlap(one[1], region) > 0]
    return max(near, default=(score, region))


def _windows(size: tuple[int, int], depth: int) -> Iterator[tuple[int, int, int, int]]:
    """Squares of the shorter side, then of half of it, and so on; each overlaps its neighbours by a third."""
    width, height = size
    side = min(width, height) >> (depth - 1)
    if side < _LEAST_WINDOW or (depth == 1 and side * 1.1 > max(size)):
        return
    for y in _starts(height, side):
        for x in _starts(width, side):
            yield x, y, side, side


def _starts(length: int, side: int) -> list[int]:
    count = 1 + int(np.ceil(max(length - side, 0) / (side * 2 / 3)))
    return [round(at) for at in np.linspace(0, length - side, count)]


def _in_window(
    planes: Planes, window: tuple[int, int, int, int] | None, *, far: bool
) -> list[tuple[float, Region]]:
    picture = overview(planes, _LONGEST, window)
    width, height = planes.size if window is None else window[2:]
    x, y = (0, 0) if window is None else window[:2]
    share = max(width, height) / max(picture.shape[:2])
    if min(picture.shape[:2]) < 8:
        return []
    return [(one.score, _placed(one, share, x, y)) for one in detector(far)(picture)]


def _placed(one: Detection, share: float, x: int, y: int) -> Region:
    here = region_of_detection(one.box, one.eyes)
    return Region(here.x * share + x, here.y * share + y, here.side * share, here.turn)
