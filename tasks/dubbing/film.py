"""A template's pictures in the order of a walk, forwards and backwards, a few at a time.

For this package only. Backwards is read in stretches, each decoded once from the key frame before it: twice
the work of forwards at most, however long the walk.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from storage.media import VideoReader

__all__ = ["pictures", "stretch_of"]

U8 = NDArray[np.uint8]
# Held at once by one reader; a second of film is what lies between two key frames of a clip.
_MOST_BYTES, _MOST_FRAMES = 24 * 2**20, 25


def stretch_of(size: tuple[int, int]) -> int:
    """How many pictures of this size, as planes, are held at a time."""
    return max(4, min(_MOST_FRAMES, 2 * _MOST_BYTES // (3 * size[0] * size[1])))


def pictures(video: VideoReader, order: NDArray[np.int64]) -> Iterator[U8]:
    """The frames of these numbers, each a step of -1, 0 or 1 from the one before."""
    reading: Iterator[U8] | None = None
    position, held = -1, dict[int, U8]()
    for start in range(0, len(order), span := stretch_of(video.size)):
        part = order[start : start + span].tolist()
        low, high = min(part), max(part) + 1
        kept = {n: p for n, p in held.items() if low <= n < high}
        first = next((n for n in range(low, high) if n not in kept), high)
        last = next((n for n in range(high - 1, first - 1, -1) if n not in kept), first - 1) + 1
        if first < last and (reading is None or position != first):
            reading, position = video.read(first), first
        for number in range(first, last):
            assert reading is not None
            kept[number] = next(reading)
            position = number + 1
        held = kept
        yield from (held[number] for number in part)
