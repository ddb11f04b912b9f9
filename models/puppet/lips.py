"""The lips' own shapes: what each mouth control does to the four lip rings, in millimetres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.figure import LIP_RINGS

__all__ = ["lip_moves", "sealed"]

F32 = NDArray[np.float32]


def lip_moves(lips: F32) -> dict[str, F32]:
    """Displacements of the lip rings (4, 2, 11, 3) for every mouth control."""
    x = lips[..., 0]
    share = np.broadcast_to(np.abs(np.arange(11) - 5) / 5, x.shape)
    hump = 1 - share**2
    lower = np.zeros(x.shape, np.float32)
    lower[:, 1] = 1
    upper = 1 - lower
    ring = np.broadcast_to(np.arange(4)[:, None, None] / 3, x.shape)
    side = np.sign(x)
    tip = share**3
    seam = lips[3].mean(0)[None, None]

    def make(dx: F32, dy: F32, dz: F32) -> F32:
        full = [np.broadcast_to(np.asarray(d, np.float32), x.shape) for d in (dx, dy, dz)]
        return np.stack(full, -1)

    open_round = hump * (lower * 2.8 - upper * 1.6) + (1 - ring) * (1 - share) ** 0.5 * (lower - upper) * 1.1
    moves = {
        "lips_round": make(-0.28 * x, open_round, -(7.0 * (1 - 0.35 * share)) - ring * 0.5 * hump),
        "lips_funnel": make(
            -0.22 * x, hump**0.5 * (lower * 5.0 - upper * 4.2), -(5.5 * (1 - 0.3 * share)) + ring
        ),
        "lips_wide": make(0.21 * x, -tip * 0.8 + hump * 0.5 * (lower - upper) * ring, 2.8 * share**1.5 + 0.8),
        "lower_tuck": make(
            0 * x, lower * hump * (-1.6 - 1.4 * (1 - ring)) - upper * hump * 3.4, lower * hump * 4.6
        ),
        "upper_raise": make(0 * x, -upper * (1 - 0.7 * share**2) * 6.0, -upper * hump * 0.6),
        "lower_drop": make(0 * x, lower * (1 - 0.75 * share**2) * 7.0, -lower * hump * 0.3),
        "frown": make(0.04 * x, 6.5 * share**2, 0.8 * tip),
        "dimple": make(side * tip * 2.6, -0.4 * tip, 3.2 * tip),
        "chin_raise": make(
            0 * x, -hump * (0.8 + 1.6 * lower * (1 - ring)), -lower * hump * 2.2 * (1 - 0.4 * ring)
        ),
    }
    # Lips stretch thin around an open mouth.
    thin = np.array([0, 0.12, 0.45, 1.0])[:, None, None] * hump**0.6
    moves["jaw_open"] = make(0 * x, thin * (1.8 * lower - 2.4 * upper), 0 * x)
    pressed = (seam[..., 1] - lips[..., 1]) * (0.55 - 0.25 * ring)
    moves["lips_press"] = make(0.03 * x, pressed, 2.6 * ring * hump + 1.0 * hump)
    for name, sign in (("smile_left", 1), ("smile_right", -1)):
        part = 1 / (1 + np.exp(-sign * x / 4))
        pull = share**1.6 * part
        moves[name] = make(
            side * 7.0 * pull, -6.0 * share**2.2 * part + 0.5 * hump * part, (4.2 * pull + 0.8 * part)
        )
    return moves


def sealed(neutral: F32) -> F32:
    """Close the small gap that the averaged inner lips have."""
    p = neutral.astype(np.float32).copy()
    for k, share in ((3, 1.0), (2, 0.35)):
        upper, lower = LIP_RINGS[k]
        middle = (p[LIP_RINGS[3, 0]] + p[LIP_RINGS[3, 1]]) / 2
        half = (p[LIP_RINGS[3, 1]] - p[LIP_RINGS[3, 0]]) / 2 * share
        if k == 3:
            p[upper], p[lower] = middle, middle
        else:
            p[upper[1:10]] += half[1:10]
            p[lower[1:10]] -= half[1:10]
    return p
