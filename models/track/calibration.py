"""The figures behind tracking: the face that the mesh sees, and what its points mean, learnt on puppets.

`tests/bench/tracking_calibrate.py` makes the file; nothing in it describes a person.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

__all__ = ["STORED", "Calibration", "calibration"]

F32 = NDArray[np.float32]
Indices = NDArray[np.int32]
STORED = Path(__file__).with_name("calibration.safetensors")


class Calibration(NamedTuple):
    """Arrays by name, as stored."""

    face: F32  # (478, 3) the mean face in mm, as the mesh sees it; x right, y down, z away
    mirror: Indices  # (478,) each point's partner on the other side
    rigid: Indices  # (N,) the points that poses are solved on
    nod: F32  # (N * 3 + 1,) by a person's bones: the pitch (rad) that the mesh sees too much
    size: F32  # (N * 3 + 1,) the same: logarithm of how much too far away the person seems
    unit_points: Indices  # (M,) the points that action units look at
    unit_weights: F32  # (M * 3, 17)
    gaze: F32  # (2,) gain of looks aside and down


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The project's own."""
    return Calibration(**load_file(STORED))
