"""How far a frame is to be believed: what the mesh says of itself, how well it fits, how fast it flies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.track.smoothing import runs

__all__ = ["confidence", "swiftness"]

F32 = NDArray[np.float32]

# Millimetres off the fitted face, and eye distances between frames, at which half of the confidence is gone.
_ROUGH_MM, _FAST = 5.0, 0.25
_CORNERS = (33, 263)


def swiftness(points: F32, present: NDArray[np.bool_], shot: NDArray[np.int32]) -> F32:
    """Eye distances (T,) that a face goes in a frame: what goes fast is blurred, and read where it was."""
    out = np.zeros(len(points), np.float32)
    eyes = points[:, _CORNERS]
    size = np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=1)
    for run in runs(present, shot):
        steps = np.linalg.norm(np.diff(eyes[run, :, :2].mean(1), axis=0), axis=1)
        both = np.maximum(np.r_[steps, 0], np.r_[0, steps])
        out[run] = both / (size[run] + 1e-6)
    return out


def confidence(score: F32, error: F32, swift: F32) -> F32:
    """Of frames (T,) that have a face, 0 to 1."""
    return np.asarray(score / (1 + (error / _ROUGH_MM) ** 4) / (1 + (swift / _FAST) ** 2), np.float32)
