"""The mean face: where 478 landmarks lie on an average head, how they are joined, and their names.

Only the puppet's own rooms read this. The positions are a figure, averaged over several people and made
symmetric; nothing here describes a person. Millimetres; x to the picture's right, y down, z away.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

__all__ = ["EYES", "LIP_RINGS", "RIM", "Figure", "figure"]

# From the outer lip inwards; each ring runs corner to corner in 11 columns, upper lip and lower lip.
LIP_RINGS: NDArray[np.int64] = np.array(
    [
        [
            [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291],
            [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291],
        ],
        [
            [76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306],
            [76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306],
        ],
        [
            [62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292],
            [62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292],
        ],
        [
            [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
            [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
        ],
    ]
)

# The outline of the face, from the forehead's top by the picture's right down to the chin and up again.
RIM: NDArray[np.int64] = np.concatenate(
    [
        [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377],
        [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109],
    ]
)


class Eye(NamedTuple):
    """Landmarks of one eye, outer corner to inner corner; `crease` and `fold` lie above the upper lid."""

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]
    crease: NDArray[np.int64]
    fold: NDArray[np.int64]
    bag: NDArray[np.int64]
    iris: NDArray[np.int64]  # centre, then the points at +x, -y, -x, +y


def _eye(upper: str, lower: str, crease: str, fold: str, bag: str, iris: int) -> Eye:
    rows = [np.array(text.split(), dtype=np.int64) for text in (upper, lower, crease, fold, bag)]
    return Eye(*rows, np.arange(iris, iris + 5))


# The picture's left eye first: it is the person's right one.
EYES: tuple[Eye, Eye] = (
    _eye(
        "33 246 161 160 159 158 157 173 133",
        "33 7 163 144 145 153 154 155 133",
        "247 30 29 27 28 56 190",
        "225 224 223 222 221",
        "110 24 23 22 26",
        468,
    ),
    _eye(
        "263 466 388 387 386 385 384 398 362",
        "263 249 390 373 374 380 381 382 362",
        "467 260 259 257 258 286 414",
        "445 444 443 442 441",
        "339 254 253 252 256",
        473,
    ),
)


class Figure(NamedTuple):
    """The mean face as arrays."""

    mean: NDArray[np.float32]  # (478, 3)
    mirror: NDArray[np.int32]  # (478,) each landmark's partner on the other side
    triangles: NDArray[np.int32]  # (852, 3)


@lru_cache(maxsize=1)
def figure() -> Figure:
    stored = load_file(Path(__file__).with_name("figure.safetensors"))
    return Figure(stored["mean"], stored["mirror"], stored["triangles"])
