"""Where hair begins on the mean head: shared by the strands and by the scalp's paint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CENTRE", "RADII", "hairline"]

F32 = NDArray[np.float32]

# The skull as an ellipsoid, close to the skin everywhere hair grows.
CENTRE = np.array([0, -45, 88], np.float32)
RADII = np.array([75, 96, 102], np.float32)

# Height of the hairline over the azimuth from the front (0) to the nape (180 degrees).
_LINE = (
    np.radians([0, 18, 32, 42, 52, 62, 72, 78, 84, 92, 104, 118, 140, 180]),
    np.array([-112, -113, -112, -103, -86, -72, -58, -42, -22, -48, -46, -2, 40, 62.0]),
)


def hairline(azimuth: F32, recede: float) -> F32:
    """Height y of the hairline at an azimuth (radians, sign ignored)."""
    a = np.abs(azimuth)
    back = recede * (14 * np.exp(-((a / 0.3) ** 2)) + 26 * np.exp(-(((a - 0.62) / 0.22) ** 2)))
    return (np.interp(a, *_LINE) - back).astype(np.float32)
