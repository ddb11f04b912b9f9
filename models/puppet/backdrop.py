"""What is behind the head: a soft out-of-focus room, drawn once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.paint import blur, linear, noise

__all__ = ["backdrop"]

F32 = NDArray[np.float32]
_WALLS = (
    (92, 104, 118),
    (120, 110, 98),
    (74, 92, 92),
    (134, 128, 122),
    (86, 78, 92),
    (110, 120, 108),
    (66, 76, 96),
    (146, 134, 120),
)


def backdrop(seed: int, side: int) -> F32:
    """(side, side, 3) linear light."""
    rng = np.random.default_rng([seed, 0xBAC6])
    n = 256
    y, x = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij")
    wall = linear(_WALLS[int(rng.integers(len(_WALLS)))])
    kind = ("studio", "window", "shelves", "lights")[int(rng.integers(4))]
    glow = np.exp(-(((x - rng.uniform(0.25, 0.75)) / 0.55) ** 2) - ((y - rng.uniform(0.2, 0.6)) / 0.6) ** 2)
    room = (wall * (0.35 + 1.0 * glow - 0.20 * y)[..., None]).astype(np.float32)
    draw = {"studio": _plain, "window": _window, "shelves": _shelves, "lights": _lights}[kind]
    out = draw(rng, np.clip(room, 0.004, 1), x, y, wall)
    index = np.clip(((np.arange(side) + 0.5) / side * n - 0.5), 0, n - 1.001)
    i, f = index.astype(int), (index % 1).astype(np.float32)
    rows = out[i] * (1 - f)[:, None, None] + out[i + 1] * f[:, None, None]
    full = rows[:, i] * (1 - f)[:, None] + rows[:, i + 1] * f[:, None]
    grain = noise(rng, (side, side), (max(side // 2, 2), max(side // 2, 2)))
    return np.clip(full * (1 + 0.012 * grain[..., None]), 0, 1).astype(np.float32)


def _plain(rng: np.random.Generator, room: F32, x: F32, y: F32, wall: F32) -> F32:
    """A painted studio cloth."""
    del x, y, wall
    cloud = noise(rng, room.shape[:2], (4, 4)) * 0.06 + noise(rng, room.shape[:2], (10, 10)) * 0.025
    return blur(room * (1 + cloud)[..., None], 4.0)


def _box(x: F32, y: F32, x0: float, y0: float, w: float, h: float) -> F32:
    return ((x > x0) & (x < x0 + w) & (y > y0) & (y < y0 + h))[..., None].astype(np.float32)


def _window(rng: np.random.Generator, room: F32, x: F32, y: F32, wall: F32) -> F32:
    """Daylight through a window, a curtain beside it."""
    left = rng.uniform(-0.15, 0.05) if rng.random() < 0.5 else rng.uniform(0.62, 0.78)
    sky = linear((206, 222, 238)) * (1.05 - 0.35 * y)[..., None]
    green = linear((120, 142, 108)) * (0.6 + 0.4 * noise(rng, room.shape[:2], (10, 10)))[..., None].clip(
        0.2, 1.4
    )
    view = np.where((y > 0.52 + 0.05 * noise(rng, room.shape[:2], (2, 9)))[..., None], green, sky)
    out = room
    for k in range(2):
        pane = _box(x, y, left + 0.18 * k, 0.06, 0.165, 0.70)
        out = out * (1 - pane) + view * 0.8 * pane
    fold = 0.75 + 0.25 * np.sin(x * 90 + 2 * np.sin(x * 13))
    curtain = _box(x, y, left + (0.36 if left < 0.3 else -0.14), 0.0, 0.14, 0.95)
    out = out * (1 - 0.9 * curtain) + np.clip(wall * 1.5, 0, 0.7) * fold[..., None] * 0.9 * curtain
    return blur(out.astype(np.float32), 7.0)


def _shelves(rng: np.random.Generator, room: F32, x: F32, y: F32, wall: F32) -> F32:
    """Books and things on boards."""
    out = room * 0.8
    for level in np.linspace(0.10, 0.90, 4) + rng.uniform(-0.02, 0.02, 4):
        at = rng.uniform(-0.05, 0.05)
        while at < 1.05:
            w, h = rng.uniform(0.018, 0.05), rng.uniform(0.09, 0.18)
            if rng.random() < 0.78:
                tone = linear(rng.uniform((70, 55, 48), (170, 140, 122))) * rng.uniform(0.5, 1.1)
                tone = 0.55 * tone + 0.45 * tone.mean()
                book = _box(x, y, at, level - h, w * 0.92, h)
                out = out * (1 - book) + tone * (0.5 + 0.7 * wall.mean() ** 0.3) * book
            at += w
        board = _box(x, y, -1, level, 3, 0.018)
        out = out * (1 - board) + linear((140, 108, 80)) * 0.7 * board
    return blur(out.astype(np.float32), 5.5)


def _lights(rng: np.random.Generator, room: F32, x: F32, y: F32, wall: F32) -> F32:
    """Far lamps as soft discs in the dark."""
    del wall
    out = room * 0.55
    for _ in range(26):
        cx, cy, r = rng.uniform(-0.05, 1.05), rng.uniform(0, 0.8), rng.uniform(0.025, 0.06)
        d = np.hypot(x - cx, y - cy)
        disc = (d < r) * (0.55 + 0.45 * (d / r) ** 4)
        tone = linear(rng.uniform((200, 140, 80), (255, 225, 190)))
        out = out + disc[..., None] * tone * rng.uniform(0.04, 0.22)
    return blur(out.astype(np.float32), 2.6)
