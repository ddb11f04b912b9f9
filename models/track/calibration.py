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

__all__ = ["Calibration", "calibration"]


class Calibration(NamedTuple):
    """Arrays by name, as stored."""

    face: NDArray[np.float32]  # (478, 3) the mean face in mm, as the mesh sees it; x right, y down, z away
    mirror: NDArray[np.int32]  # (478,) each point's partner on the other side
    rigid: NDArray[np.int32]  # (N,) the points that poses are solved on
    nod: NDArray[np.float32]  # (N * 3 + 1,) pitch (rad) that a person's mean shape is misread by
    unit_points: NDArray[np.int32]  # (M,) points that action units look at
    unit_weights: NDArray[np.float32]  # (M * 3, 17)
    lids: NDArray[np.float32]  # (2,) how far a shut eye still reads open; closure to AU45
    gaze: NDArray[np.float32]  # (2, 2) gain of looks aside and down; share of pitch in a look down


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The project's own."""
    return Calibration(**load_file(Path(__file__).with_name("calibration.safetensors")))
