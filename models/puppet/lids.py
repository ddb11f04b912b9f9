"""Eyelids: they slide over the eyeball between open and shut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.expression import INDEX
from models.puppet.figure import EYES

__all__ = ["move_lids"]

F32 = NDArray[np.float32]


def move_lids(p: F32, row: F32, side: int) -> F32:
    """Upper lid slides to the lower one; wide and tight lids move both a little."""
    e = EYES[side]
    shut = float(row[INDEX["lid_right" if side == 0 else "lid_left"]])
    wide, tight = float(row[INDEX["lid_wide"]]), float(row[INDEX["lid_tighten"]])
    down = float(row[INDEX["gaze_y"]])
    upper, lower = p[e.upper], p[e.lower]
    gap = lower - upper
    follow = 0.30 * down * (1 - shut)
    part = np.clip(shut + 0.18 * tight * (1 - shut) - 0.20 * wide * (1 - shut) + follow, -0.45, 1)
    raise_low = np.clip(0.06 * shut + 0.22 * tight * (1 - shut) - 0.05 * wide - 0.08 * down, -0.2, 0.5)
    part = min(part, 1 - raise_low)
    out = p.copy()
    # Half-way the straight line would cut through the eyeball: bulge towards the viewer.
    bulge = (
        np.float32([0, 0, -1]) * (np.sin(np.pi * np.clip(part, 0, 1)) * 1.6 * _arch(len(e.upper)))[:, None]
    )
    out[e.upper] = upper + gap * part + bulge
    out[e.lower] = lower - gap * raise_low
    out[e.crease] += gap[1:8] * part * 0.42 + bulge[1:8] * 0.6
    out[e.fold] += gap[2:7] * part * 0.10
    out[e.bag] -= gap[2:7] * raise_low * 0.5
    return out


def _arch(count: int) -> F32:
    return np.sin(np.pi * np.arange(count) / (count - 1)).astype(np.float32)
