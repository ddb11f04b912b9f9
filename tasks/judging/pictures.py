"""How like a made picture is to the true one: crops of the same place in both films, frame by frame.

    psnr(made, true).mean(), ssim(made, true).mean()

Conventions are scikit-image's, so that figures can be checked, and compared with others' of the same crops.
Means are taken of frames: the PSNR of a mean error would be another number. Called by
`tasks.judging.figures`.

Shape legend: n frames, H rows, W columns, 3 colours.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CEILING_DB", "crop_likeness", "psnr", "sharpness", "ssim"]

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

# Of identical pictures: infinity has no mean. One value in 150,000 that is off by one comes to as much.
CEILING_DB = 100.0
_SPAN = 255.0
_SIGMA, _REACH = 1.5, 5
_CELLS = 4
_FAINT = 2.0  # a deviation that noise alone has, of 255


def psnr(a: U8, b: U8) -> F64:
    """Decibels (n,), 0 to `CEILING_DB`, of crops (n, H, W, 3); more is better."""
    return _each(_decibels, a, b)


def _decibels(a: U8, b: U8) -> float:
    error = float(np.square(a.astype(np.float64) - b).mean())
    return min(10 * float(np.log10(_SPAN**2 / max(error, 1e-30))), CEILING_DB)


def ssim(a: U8, b: U8) -> F64:
    """Structural similarity (n,), -1 to 1, of crops (n, H, W, 3); more is better.

    As its authors have it: a Gaussian of 1.5 pixels within 11, each colour by itself. NaN of smaller crops.
    """
    if min(a.shape[1:3]) < 2 * _REACH + 1:
        return np.full(len(a), np.nan)
    return _each(_structure, a, b)


def _structure(a: U8, b: U8) -> float:
    one, two = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = _around(one), _around(two)
    spread_a, spread_b = _around(one * one) - mean_a**2, _around(two * two) - mean_b**2
    both = _around(one * two) - mean_a * mean_b
    c1, c2 = (0.01 * _SPAN) ** 2, (0.03 * _SPAN) ** 2
    light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((light * (2 * both + c2) / (spread_a + spread_b + c2)).mean())


def _around(x: F64) -> F64:
    """Gaussian means of (H, W, 3), where the whole window lies inside."""
    inner, side = slice(_REACH, -_REACH), 2 * _REACH + 1
    return np.asarray(cv2.GaussianBlur(x, (side, side), _SIGMA)[inner, inner], np.float64)


def sharpness(made: U8, true: U8) -> F64:
    """Energy of the gradient over the true crop's (n,), 0 and more; near 1 is better.

    Blur lies below 1; noise, edges of pasted patches and what a coder leaves lie above. NaN where the truth
    is plain.
    """
    return _each(lambda a, b: _edges(a) / true_edges if (true_edges := _edges(b)) else np.nan, made, true)


def _edges(x: U8) -> float:
    light = x.astype(np.float64).mean(-1)
    # A crop of one row or column has no edges across it.
    steps = [step for axis in (0, 1) if (step := np.diff(light, axis=axis)).size]
    return float(sum(np.square(step).mean() for step in steps))


def crop_likeness(made: U8, true: U8) -> F64:
    """How alike the colours of two crops of a face are (n,), 0 to 1; more is better.

    Means and deviations of each colour in 4 by 4 cells, and by how much Gaussians of them overlap
    (Bhattacharyya's coefficient). It sees another skin, another light, a shifted face. It recognises nobody:
    two people of one complexion in one light are alike to it.
    """
    return _each(_overlap, made, true)


def _overlap(a: U8, b: U8) -> float:
    (mean_a, spread_a), (mean_b, spread_b) = _statistics(a), _statistics(b)
    both = spread_a**2 + spread_b**2
    alike = np.sqrt(2 * spread_a * spread_b / both) * np.exp(-((mean_a - mean_b) ** 2) / (4 * both))
    return float(alike.mean())


def _statistics(x: U8) -> tuple[F64, F64]:
    """Mean and deviation (4, 4, 3) of cells of a crop (H, W, 3); fewer where it has no four pixels."""
    values = x.astype(np.float64)
    # Of more cells than pixels some would be empty.
    many = [min(_CELLS, side) for side in x.shape[:2]]
    rows, columns = (np.arange(n) * side // n for n, side in zip(many, x.shape[:2], strict=True))
    count = np.outer(np.diff([*rows, x.shape[0]]), np.diff([*columns, x.shape[1]]))[..., None]

    def means(of: F64) -> F64:
        return np.asarray(np.add.reduceat(np.add.reduceat(of, rows, 0), columns, 1) / count)

    mean = means(values)
    return mean, np.maximum(np.sqrt(np.maximum(means(values**2) - mean**2, 0)), _FAINT)


def _each(figure: Callable[[U8, U8], float], a: U8, b: U8) -> F64:
    """Frame by frame: a whole film in double precision would not fit."""
    if a.shape != b.shape or a.ndim != 4 or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"crops (n, H, W, 3) of bytes and alike, not {a.dtype}{a.shape}, {b.dtype}{b.shape}")
    return np.array([figure(one, other) for one, other in zip(a, b, strict=True)], np.float64)
