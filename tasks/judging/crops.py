"""The same crops of two films: where the true face is, in both, as many pixels wide and high all along.

    told = judged(dub, truth, watched_truth, MOUTH, {"psnr": psnr, "ssim": ssim})    # (n,) each

Nothing is resampled, so that nothing but the films is compared. A dub whose face went elsewhere is judged
where it should be. Called by `tasks.judged`, and by benchmarks.

Shape legend: n frames that were watched, H rows, W columns of a crop.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.media import VideoReader
from tasks.watching import Watched

__all__ = ["FACE", "MOUTH", "Box", "corners", "judged"]

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

_BLOCK = 32


class Box(NamedTuple):
    """Around the middle of the lips, in distances between the eyes' outer corners."""

    width: float
    height: float
    above: float  # how far its middle lies above that of the lips


MOUTH = Box(0.8, 0.6, 0.0)
FACE = Box(1.6, 2.0, 0.4)


def judged(
    video: Path, truth: Path, true: Watched, box: Box, figures: Mapping[str, Callable[[U8, U8], F64]]
) -> dict[str, F64]:
    """Each figure of the frames that were watched of the truth (n,).

    NaN where it has no face, or where the other film has ended.
    """
    known = np.isfinite(true.mouths[:, 2])
    if not known.any():
        return {name: np.full(len(known), np.nan) for name in figures}
    films = [VideoReader(truth)]
    films.append(VideoReader(video, films[0].rate, films[0].size))
    places, size = corners(true, box, *films[0].size)
    count = max(min(len(places), *(len(film) - true.first for film in films)), 0)
    told = {name: np.full(len(places), np.nan) for name in figures}
    pictures = [film.read(true.first, true.first + count) for film in films]
    for start in range(0, count, _BLOCK):
        at = places[start : min(start + _BLOCK, count)]
        other, made = (_cut(itertools.islice(film, len(at)), at, size) for film in pictures)
        for name, figure in figures.items():
            told[name][start : start + len(at)] = figure(made, other)
    return {name: np.where(known, values, np.nan) for name, values in told.items()}


def corners(true: Watched, box: Box, width: int, height: int) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Upper left corners (n, 2) x, y of the box in pictures so large, and its H, W: all lie inside.

    Its size is that of the usual face. Where there is none, anything is cut.
    """
    known = np.isfinite(true.mouths[:, 2])
    usual = float(np.median(true.mouths[known, 2])) if known.any() else 1.0
    wide, high = (max(round(side * usual), 1) for side in (box.width, box.height))
    size = min(wide, width), min(high, height)
    middle = np.nan_to_num(true.mouths[:, :2] - np.array([0, box.above * usual]))
    corner = np.round(middle - np.array(size) / 2).astype(np.int64)
    return np.clip(corner, 0, np.array([width, height]) - size), (size[1], size[0])


def _cut(pictures: Iterable[U8], places: NDArray[np.int64], size: tuple[int, int]) -> U8:
    cut = [p[y : y + size[0], x : x + size[1]] for p, (x, y) in zip(pictures, places, strict=True)]
    return np.stack(cut)
