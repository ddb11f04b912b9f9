"""The same footage twice: as it was filmed, and with noise wherever a method must not look.

What a dub over its own footage is judged by is the mouth of the frames that were held out: their pixels where
something is drawn, and all that was told of the mouth from them. Pictures are changed as they leave their
decoder, so that no coder carries what is hidden to what may be seen; features, as they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.methods import Drawn
from models.morphable.builtin import builtin
from storage.clips import ClipGroup
from storage.media import VideoReader, split
from tasks.dubbing.planes import _warped
from tasks.material import BLINK, Material

__all__ = ["Under", "censored", "noisy", "seen_as", "under"]

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# Pixels: colours are stored at half the size, and read between four samples.
_REACH = 4
# Cheeks are tracked and heard with the mouth, though they hardly move it.
_MOUTH = ("jaw", "lips", "cheeks")


class Under(NamedTuple):
    """What of a frame's planes is drawn over: brightness (H, W), and colours (H / 2, W / 2)."""

    light: Mask
    whole: Mask  # (H, W) where nothing of the frame is left
    colour: Mask
    deep: Mask  # (H / 2, W / 2) colours that reach no pixel around it


def under(drawn: Drawn, size: tuple[int, int]) -> list[Under]:
    """Frame by frame: every stored sample that the finished film does not have as it was filmed."""
    begin, layers = _warped(drawn)
    alpha = layers[:, 3] / 255
    return [_under(_laid(one, *at, size)) for one, at in zip(alpha, begin.tolist(), strict=True)]


def _under(alpha: torch.Tensor) -> Under:
    bare = (alpha <= 0).float()[None, None]
    around = 2 + 2 * _REACH
    found = (
        alpha > 0,
        alpha >= 1,
        functional.max_pool2d(bare, 2)[0, 0] == 0,
        functional.max_pool2d(bare, around, 2, _REACH)[0, 0] == 0,
    )
    return Under(*(one.numpy() for one in found))


def _laid(values: torch.Tensor, x: int, y: int, size: tuple[int, int]) -> torch.Tensor:
    """A window's values in a picture of this width and height, 0 around it."""
    out = torch.zeros(size[1], size[0])
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + values.shape[1], size[0]), min(y + values.shape[0], size[1])
    out[top:bottom, left:right] = values[top - y : bottom - y, left - x : right - x]
    return out


def noisy(planes: U8, light: Mask, colour: Mask, seed: int) -> U8:
    """A frame's planes with noise in these samples."""
    out, rng = planes.copy(), np.random.default_rng(seed)
    for plane, where in zip(split(out), (light, colour, colour), strict=True):
        plane[where] = rng.integers(0, 256, int(where.sum()))
    return out


@contextmanager
def seen_as(change: Callable[[int, U8], U8]) -> Iterator[None]:
    """Whoever reads pictures is given others: `change` of a frame's number and picture."""
    real = VideoReader.read

    def read(self: VideoReader, start: int = 0, stop: int | None = None) -> Iterator[U8]:
        for number, picture in enumerate(real(self, start, stop), start):
            yield change(number, picture)

    VideoReader.read = read  # type: ignore[method-assign]
    try:
        yield
    finally:
        VideoReader.read = real  # type: ignore[method-assign]


class _Group:
    """Features of a clip of which some rows say nothing true of the mouth."""

    def __init__(self, group: ClipGroup, frames: slice, seed: int) -> None:
        self._group, self._frames, self._seed = group, frames, seed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        values, at = np.array(self._group.read(name)), self._frames
        rng = np.random.default_rng(self._seed)
        columns = _OF_MOUTHS.get(name)
        if columns is not None:
            shape = (len(values[at]), len(columns))
            values[at, columns] = rng.uniform(-1, 1, shape).astype(values.dtype)
        elif name == "fit/error":
            values[at] *= rng.uniform(0.5, 1.5, len(values[at]))
        return values[start:stop]


_OF_MOUTHS: Mapping[str, NDArray[np.int64]] = {
    "fit/expression": builtin().coefficients_of(_MOUTH),
    "track/action_units": np.delete(np.arange(17), BLINK),
}


def censored(material: Material, frames: slice, seed: int) -> Material:
    """The clip with noise for all that its tracker told of the mouth on these frames."""
    return replace(material, group=cast(ClipGroup, _Group(material.group, frames, seed)))
