"""What is behind the head: a soft out-of-focus room, drawn once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.paint import blur, linear, noise

__all__ = ["backdrop"]

F32 = NDArray[np.float32]
_WALLS = ((92, 104, 118), (120, 110, 98), (74, 92, 92), (134, 128, 122), (86, 78, 92), (110, 120, 108), (66, 76, 96), (146, 134, 120))


def backdrop(seed: int, side: int) -> F32:
    """(side, side, 3) linear light."""
    rng = np.random.default_rng([seed, 0xBAC6])
    n = 192
    y, x = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij")
    wall = linear(_WALLS[int(rng.integers(len(_WALLS)))])
    glow = np.exp(-(((x - rng.uniform(0.2, 0.8)) / 0.5) ** 2) - ((y - rng.uniform(0.1, 0.5)) / 0.6) ** 2)
    out = wall * (0.45 + 0.75 * glow - 0.18 * y)[..., None]
    for _ in range(int(rng.integers(3, 8))):
        x0, w = rng.uniform(-0.1, 1), rng.uniform(0.05, 0.28)
        y0, h = rng.uniform(-0.1, 0.7), rng.uniform(0.1, 0.7)
        tone = wall * rng.uniform(0.35, 1.7) * (1 + 0.25 * rng.standard_normal(3))
        box = ((x > x0) & (x < x0 + w) & (y > y0) & (y < y0 + h))[..., None]
        out = np.where(box, out * 0.45 + np.clip(tone, 0.01, 1) * 0.55, out)
    out = blur(out.astype(np.float32), 9.0)
    index = np.clip(((np.arange(side) + 0.5) / side * n - 0.5), 0, n - 1.001)
    i, f = index.astype(int), (index % 1).astype(np.float32)
    rows = out[i] * (1 - f)[:, None, None] + out[i + 1] * f[:, None, None]
    full = rows[:, i] * (1 - f)[:, None] + rows[:, i + 1] * f[:, None]
    grain = noise(rng, (side, side), (max(side // 2, 2), max(side // 2, 2)))
    return np.clip(full * (1 + 0.012 * grain[..., None]), 0, 1).astype(np.float32)
