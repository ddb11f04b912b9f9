"""dlib's 68 points, in dlib's order, out of the mesh's 478."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DLIB_IN_MESH", "subset68"]

# Jaw, brows, nose, eyes, outer lips, inner lips; the picture's left first, as dlib has it.
DLIB_IN_MESH: NDArray[np.int64] = np.concatenate(
    [
        [127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356],
        [70, 63, 105, 66, 107, 336, 296, 334, 293, 300],
        [168, 197, 5, 4, 98, 97, 2, 326, 327],
        [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380],
        [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181],
        [78, 82, 13, 312, 308, 317, 14, 87],
    ]
)


def subset68(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels (T, 68, 2) of mesh points (T, 478, 3)."""
    return landmarks[:, DLIB_IN_MESH, :2]
