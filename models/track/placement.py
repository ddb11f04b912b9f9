"""Where the crop lies: a square around the whole head, of one size through a shot, steady and never late.

The face, hairline to chin, is 62 % of the square's height, and stands a little below its middle, so that hair
and a dropped jaw are inside. A head that keeps still has a square that does not move at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.track.smoothing import low_pass

__all__ = ["Anchor", "anchors", "place"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_CORNERS = (33, 263)
_CORNERS_MM = 86.1  # between the outer corners of the eyes
_FACE_MM, _SHARE = 168.0, 0.62
_BELOW_EYES_MM = 23.5  # the square's middle
_SLOW_S = 0.4
_STILL, _STRAYS = 0.03, 0.10  # of the square's side


class Anchor(NamedTuple):
    """What the crop hangs on, frame by frame."""

    centre: F32  # (..., 2) px
    scale: F32  # (...,) px a millimetre


def anchors(landmarks: F32) -> Anchor:
    """Of mesh points (..., 478, 3). Eyes and brow only: the square must not nod when the mouth opens."""
    a, b = landmarks[..., _CORNERS[0], :], landmarks[..., _CORNERS[1], :]
    across = b - a
    # In three dimensions: a head that turns comes no nearer.
    scale = np.linalg.norm(across, axis=-1) / _CORNERS_MM
    flat = across[..., :2] / (np.linalg.norm(across[..., :2], axis=-1, keepdims=True) + 1e-6)
    down = np.stack([-flat[..., 1], flat[..., 0]], axis=-1)
    centre = (a[..., :2] + b[..., :2]) / 2 + down * (_BELOW_EYES_MM * scale)[..., None]
    return Anchor(centre.astype(np.float32), scale.astype(np.float32))


def place(anchor: Anchor, rate: float) -> tuple[F64, float]:
    """Middles (T, 2) and the side of one shot's squares. NaN where there is no face: filled in between."""
    there = np.isfinite(anchor.scale)
    # An even number of whole pixels: such squares are cut several times faster.
    side = 2.0 * round(float(np.median(anchor.scale[there])) * _FACE_MM / _SHARE / 2)
    at = np.arange(len(there))
    path = np.stack([np.interp(at, at[there], anchor.centre[there, k].astype(np.float64)) for k in (0, 1)], 1)
    middle = (path.max(0) + path.min(0)) / 2
    if np.abs(low_pass(path, 2.0) - middle).max() < _STILL * side:
        # On whole pixels, even ones for the colours' sake: such squares are cut out, not sampled.
        middle = 2 * np.round((middle - side / 2) / 2) + side / 2
        return np.broadcast_to(middle, path.shape), side
    for slow in (_SLOW_S, _SLOW_S / 2, _SLOW_S / 4, 0.0):
        smooth = low_pass(path, slow * rate)
        if np.abs(smooth - path).max() < _STRAYS * side:
            break
    return smooth, side
