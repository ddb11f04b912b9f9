"""Where the camera's picture jumps: how much two pictures differ, and which differences are cuts.

`tasks.faces` measures every frame against the one before on a thumbnail; `tasks.track` decides, with the
whole clip in view. Cuts are told from motion (cells may move by one) and light (contrast is divided out).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

__all__ = ["THUMBNAIL", "change", "cuts", "numbered", "plain"]

F32 = NDArray[np.float32]
THUMBNAIL = 32
# Brightness steps (of 255) below which contrast is noise.
_FLAT = 6.0
_SURE, _LIKELY, _ABOVE = 0.45, 0.16, 4.0
_AROUND = 8
_FLASH = 3


def plain(thumbnail: NDArray[np.uint8]) -> F32:
    """A thumbnail without its light: mean nothing, contrast one."""
    values = thumbnail.astype(np.float32)
    values -= values.mean()
    values *= 1 / (np.sqrt(np.vdot(values, values) / values.size) + _FLAT)
    return values


def change(before: F32, now: F32) -> float:
    """How much of the picture's contrast is not explained by small motion: 0 the same, about 1 unrelated.

    Both are `plain`. Called for every frame, so a view stands for the nine pictures moved by a cell.
    """
    side = before.shape[0]
    framed = np.empty((side + 2, side + 2), np.float32)
    framed[1:-1, 1:-1] = before
    framed[0], framed[-1] = framed[1], framed[-2]
    framed[:, 0], framed[:, -1] = framed[:, 1], framed[:, -2]
    down, right = framed.strides
    moved = as_strided(framed, (3, 3, side, side), (down, right, down, right))
    apart = moved - now
    np.abs(apart, out=apart)
    return float(apart.min((0, 1)).mean())


def cuts(changes: F32, jumped: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames that begin a shot. `jumped`: the faces are not where they were in the frame before."""
    found = np.zeros(len(changes), bool)
    suspects = np.flatnonzero(changes > _LIKELY)
    for at in suspects.tolist():
        near = np.r_[changes[max(at - _AROUND, 0) : at], changes[at + 1 : at + 1 + _AROUND]]
        usual = float(np.median(near)) if len(near) else 0.0
        stands_out = changes[at] > _ABOVE * usual + 0.05
        found[at] = stands_out and (bool(jumped[at]) or changes[at] > _SURE)
    return _without_flashes(found, jumped)


def _without_flashes(found: NDArray[np.bool_], jumped: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A light that goes on and off again makes two great changes, and the faces stay where they were."""
    kept = found.copy()
    at = np.flatnonzero(found)
    for first, second in pairwise(at):
        if second - first <= _FLASH and not jumped[first : second + 1].any():
            kept[first] = kept[second] = False
    return kept


def numbered(found: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Each frame's shot, from 0."""
    begun = found.copy()
    begun[:1] = False
    return np.cumsum(begun).astype(np.int32)
