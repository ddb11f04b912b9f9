"""Beards with body: shells of strands that ride on the face as it moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.puppet.figure import figure
from models.puppet.head import skin, skull_rings
from models.puppet.identity import Traits
from models.puppet.mesh import normals

__all__ = ["Beard", "beard", "beard_density"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# Layers in millimetres, and how sparse they are.
_GROWN = {"beard": ((0.5, 1.1), 0.34), "full": ((0.9, 2.4, 4.0, 5.6), 0.0)}


@dataclass(frozen=True)
class Beard:
    """Copies of bearded skin vertices, lifted; empty for the shaven."""

    source: I32  # (V,) skin vertices
    lift: F32  # (V,) millimetres along the normal
    places: F32  # (V, 2)
    cut: F32  # (V,)
    depth: F32  # (V,)
    triangles: I32


def _step(value: F32, low: float, high: float) -> F32:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def beard_density(p: F32) -> F32:
    """How thickly a beard grows at places (..., 3) of the mean head, 0 to 1; lips are not left out."""
    x, y, z = np.abs(p[..., 0]), p[..., 1], p[..., 2]
    line = 34 - 0.42 * np.clip(x - 26, 0, 30) - 0.75 * np.clip(x - 50, 0, 30)
    cheeks = _step(y - line, -8, 10)
    front = 1 - _step(x, 22, 32)
    moustache = _step(y, 9.0, 14) * front * (1 - _step(y, 30, 36)) * (0.35 + 0.65 * _step(x, 1, 7))
    side = _step(x, 58, 64) * _step(y, -36, -22) * (1 - _step(z, 66, 74))
    bare = 0.35 * np.exp(-((x / 12) ** 2) - ((y - 47) / 4) ** 2)
    bare = bare + 0.3 * np.exp(-(((x - 17) / 7) ** 2) - ((y - 48) / 4) ** 2)
    behind = 1 - _step(z - np.clip(60 - y, 0, 60) * 0.3, 52, 64)
    area = np.maximum(np.maximum(cheeks * behind, moustache), side) - bare * (y > 42)
    return (np.clip(area, 0, 1) * (1 - _step(y, 88, 102))).astype(np.float32)


def _lips_away(p: F32) -> F32:
    """0 on the lips, 1 a little away from them."""
    d = np.hypot(p[:, 0] / 28, (p[:, 1] - 31.5) / 13.0)
    return _step(d, 0.98, 1.55)


def beard(who: Traits) -> Beard:
    """Shells for those who let it grow."""
    levels, sparse = _GROWN.get(who.beard, ((), 0.0))
    shape = skin()
    mean = figure().mean[:468]
    face = shape.face @ mean
    rim = face[shape.rim]
    p = np.concatenate([face, shape.loft @ np.concatenate([rim, skull_rings(len(rim)).reshape(-1, 3)])])
    density = beard_density(p) * _lips_away(p)
    density[p[:, 2] > 62] = 0
    if who.beard == "beard":
        density *= _step(p[:, 1], -16, 2)
    # A thick moustache alone over the lips reads as a second mouth: there the paint must do.
    density *= np.maximum(_step(p[:, 1], 30, 38), _step(np.abs(p[:, 0]), 27, 33))
    chosen = (density[shape.triangles] > 0.04).all(1)
    if not levels or not chosen.any():
        none = np.zeros(0, np.float32)
        return Beard(
            np.zeros(0, np.int32), none, np.zeros((0, 2), np.float32), none, none, np.zeros((0, 3), np.int32)
        )
    source, flat = np.unique(shape.triangles[chosen], return_inverse=True)
    flat = flat.reshape(-1, 3)
    q, d = p[source], density[source]
    facing = normals(p.astype(np.float32), shape.triangles)[source]
    # Strands run down the cheeks and forward under the chin.
    across = np.arctan2(q[:, 0], 60 - q[:, 2]) * 2.4 + 4
    along = 0.5 + (q[:, 1] + 0.8 * q[:, 2]) / 210 - 0.15
    grow = 0.35 + 0.65 * _step(q[:, 1], 30, 60) - 0.25 * np.clip(facing[:, 2], 0, 1)
    pieces = []
    for k, height in enumerate(levels):
        cut = sparse + np.maximum(0.22 + 0.16 * k, 1.04 - d * (0.98 - 0.06 * k))
        shade = np.full(len(q), 0.55 + 0.45 * k / (len(levels) - 1))
        place = np.stack([across + 0.37 * k, along], 1)
        pieces.append((height * grow * np.clip(d * 1.3, 0, 1), place, cut, shade, flat + k * len(q)))
    lift, place, cut, shade, triangles = (np.concatenate(x) for x in zip(*pieces, strict=True))
    copies = np.tile(source, len(levels)).astype(np.int32)
    f = [np.asarray(v, np.float32) for v in (lift, place, cut, shade)]
    return Beard(copies, f[0], f[1], f[2], f[3], triangles.astype(np.int32))
