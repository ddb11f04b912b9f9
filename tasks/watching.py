"""What anybody sees who watches a finished video: how far its lips are open, frame by frame.

For reports and comparisons: the video is read as a stranger's would be, nothing of how it was made is known.
Called by flows that write pages, and by benchmarks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.faces import FacesStage
from tasks.threads import one_thread

__all__ = ["best_shift", "correlation", "lip_gaps"]

F64 = NDArray[np.float64]
_UPPER, _LOWER, _CORNERS = (82, 13, 312), (87, 14, 317), (33, 263)
_STRETCH = 256


@one_thread()
def lip_gaps(video: Path) -> F64:
    """Gap between the inner lips over the distance between the eyes' corners (T,); NaN without a face.

    Of several faces the largest counts.
    """
    stage = FacesStage(video=video)
    frames = next(spec.shape[0] for spec in stage.specs() if spec.name == "faces/score")
    parts = [
        _gaps(stage.compute(None, start, min(start + _STRETCH, frames))["faces/landmarks"])
        for start in range(0, frames, _STRETCH)
    ]
    return np.concatenate(parts)


def _gaps(points: NDArray[np.float32]) -> F64:
    size = np.linalg.norm(points[:, :, _CORNERS[0]] - points[:, :, _CORNERS[1]], axis=-1)
    apart = np.linalg.norm(points[:, :, _UPPER] - points[:, :, _LOWER], axis=-1).mean(-1)
    seen = np.isfinite(size)
    largest = np.where(seen, size, -1).argmax(1)
    rows = np.arange(len(points))
    return np.asarray(np.where(seen.any(1), (apart / size)[rows, largest], np.nan), np.float64)


def correlation(a: F64, b: F64) -> float:
    """Of two curves, where both are known; NaN where one of them stands still."""
    count = min(len(a), len(b))
    a, b = a[:count], b[:count]
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 3 or a[known].std() == 0 or b[known].std() == 0:
        return float("nan")
    return float(np.corrcoef(a[known], b[known])[0, 1])


def best_shift(a: F64, b: F64, most: int = 10) -> int:
    """Frames by which `a` comes later than `b` where they are most alike."""
    scores = {}
    for shift in range(-most, most + 1):
        late, early = (a[shift:], b) if shift >= 0 else (a, b[-shift:])
        scores[shift] = np.nan_to_num(correlation(late, early), nan=-1.0)
    return max(scores, key=lambda shift: scores[shift])
