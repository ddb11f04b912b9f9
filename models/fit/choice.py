"""Which frames of a shot to meet its person in: sharp, sure, and as different from each other as can be.

Called when a fit is planned; looks at a whole clip, so it keeps a few numbers a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.fit.landmarks import Sighted

__all__ = ["Looks", "choose", "evenly", "looks"]

F32 = NDArray[np.float32]

_CANDIDATES = 1500  # of a long shot, evenly spread


@dataclass(frozen=True)
class Looks:
    """A few numbers of every frame."""

    features: F32  # (T, 5) yaw, pitch, mouth's opening and width, eyes' opening
    eyes: F32  # (T,) distance between the eyes in pixels
    quality: F32  # (T,) sureness and sharpness
    shot: NDArray[np.int32]
    usable: NDArray[np.bool_]

    @staticmethod
    def joined(parts: Sequence[Looks]) -> Looks:
        names = ("features", "eyes", "quality", "shot", "usable")
        return Looks(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))


def looks(sighted: Sighted, pose: F32, sharpness: F32, shot: NDArray[np.int32]) -> Looks:
    """The numbers of a stretch of frames."""
    points = sighted.points

    def apart(a: int, b: int) -> F32:
        return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=1), np.float32)

    eyes = np.linalg.norm((points[:, 33] + points[:, 133] - points[:, 263] - points[:, 362]) / 2, axis=1)
    scale = np.maximum(eyes, 1e-3)
    lids = (apart(159, 145) + apart(386, 374)) / 2
    columns = [pose[:, 1], pose[:, 0], apart(13, 14) / scale, apart(61, 291) / scale, lids / scale]
    features = np.nan_to_num(np.stack(columns, 1)).astype(np.float32)
    clear = np.nan_to_num(sharpness.astype(np.float32))
    return Looks(features, eyes.astype(np.float32), sighted.belief * clear, shot, sighted.found)


def choose(every: Looks, shot: int, count: int) -> NDArray[np.int64]:
    """Rows of a shot, in time order: the best half by quality, thinned to the most different ones."""
    rows = np.flatnonzero(every.usable & (every.shot == shot))
    if len(rows) > count:
        good = every.quality[rows] >= np.quantile(every.quality[rows], 0.4)
        rows = rows[good] if good.sum() >= count else rows
    if len(rows) > _CANDIDATES:
        rows = rows[np.linspace(0, len(rows) - 1, _CANDIDATES).astype(np.int64)]
    if len(rows) <= count:
        return rows
    # Ranks instead of values: one wild frame must not look like the most interesting one.
    ranks = every.features[rows].argsort(0, kind="stable").argsort(0, kind="stable") / len(rows)
    chosen = [int(np.abs(ranks - 0.5).sum(1).argmin())]
    nearest = np.full(len(rows), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((ranks - ranks[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(nearest.argmax()))
    return rows[np.sort(chosen)]


def evenly(every: Looks, shot: int, most: int) -> NDArray[np.int64]:
    """Usable rows of a shot, evenly spread: half of a short one, and of a long one `most`."""
    rows = np.flatnonzero(every.usable & (every.shot == shot))
    count = int(np.clip(len(rows) // 2, min(48, len(rows)), most))
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]
