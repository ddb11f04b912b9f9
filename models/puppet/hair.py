"""Hair: sheets of strands grown from the hairline over the skull, in several styles and layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.puppet.identity import Traits, warp
from models.puppet.mesh import grid_triangles, normals
from models.puppet.skin_texture import hairline

__all__ = ["Hair", "hair"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

_CENTRE = np.array([0, -45, 88], np.float32)
_RADII = np.array([75, 96, 102], np.float32)


@dataclass(frozen=True)
class Hair:
    """Strand sheets as one mesh; `solid` are the triangles that cast shadows on the head."""

    points: F32  # (V, 3)
    normals: F32  # (V, 3)
    tangents: F32  # (V, 3) along the strands
    places: F32  # (V, 2) across and along the strands, 0..1
    cut: F32  # (V,) fragments whose alpha is below this are dropped
    depth: F32  # (V,) darkening: 1 outside, less under other hair
    fall: F32  # (V,) share that stays with the shoulders
    triangles: I32
    solid: I32


def _on_skull(directions: F32, lift: F32) -> F32:
    d = directions / np.linalg.norm(directions / _RADII, axis=-1, keepdims=True)
    n = d / _RADII**2
    return _CENTRE + d + lift[..., None] * n / np.linalg.norm(n, axis=-1, keepdims=True)


def hair(who: Traits, seed: int) -> Hair:
    del seed
    columns, rows = 48, 10
    azimuth = np.linspace(-np.pi, np.pi, columns)
    y = hairline(azimuth, 0.0)
    low = np.arcsin(np.clip((y - _CENTRE[1]) / _RADII[1], -1, 1))
    t = np.linspace(0, 1, rows)[:, None]
    e = low * (1 - t) + (-np.pi / 2) * t
    d = np.stack([np.cos(e) * np.sin(azimuth) * _RADII[0], np.sin(e) * _RADII[1], -np.cos(e) * np.cos(azimuth) * _RADII[2]], -1)
    p = warp(_on_skull(d.astype(np.float32), (2 + 5 * np.broadcast_to(t, e.shape) ** 0.4).astype(np.float32)).reshape(-1, 3), who)
    tri = grid_triangles(rows, columns)
    n = normals(p, tri)
    if (n * (p - _CENTRE)).sum() < 0:
        tri, n = tri[:, ::-1].copy(), -n
    uv = np.stack([np.broadcast_to(np.linspace(0, 1, columns), e.shape), np.broadcast_to(t, e.shape)], -1).reshape(-1, 2)
    tangent = np.gradient(p.reshape(rows, columns, 3), axis=0).reshape(-1, 3)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
    v = len(p)
    return Hair(p, n, tangent.astype(np.float32), uv.astype(np.float32), np.zeros(v, np.float32), np.ones(v, np.float32), np.zeros(v, np.float32), tri, tri)
