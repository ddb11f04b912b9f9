"""Light as spherical harmonics, and how much of it reaches each vertex (shadows included).

A studio of soft lamps is projected on 16 harmonics. Every vertex stores how it answers to each of them,
with the head's own shadows in the answer, so turning head or light costs one small matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.raster import rasterise

__all__ = ["LAMBERT", "Light", "harmonics", "lambert", "studio", "transfer"]

F32 = NDArray[np.float32]
_BANDS = np.array([0] + [1] * 3 + [2] * 5 + [3] * 7)
LAMBERT = np.array([1, 2 / 3, 0.25, 0.0], np.float32)[_BANDS]
_LOBE = np.array([1, 0.95, 0.84, 0.68], np.float32)[_BANDS]


def harmonics(d: F32) -> F32:
    """Real spherical harmonics up to band 3 of unit directions: (N, 16)."""
    x, y, z = d[:, 0], d[:, 1], d[:, 2]
    rows = [
        0.282095 * np.ones_like(x), 0.488603 * y, 0.488603 * z, 0.488603 * x,
        1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1),
        1.092548 * x * z, 0.546274 * (x * x - y * y),
        0.590044 * y * (3 * x * x - y * y), 2.890611 * x * y * z, 0.457046 * y * (5 * z * z - 1),
        0.373176 * z * (5 * z * z - 3), 0.457046 * x * (5 * z * z - 1), 1.445306 * z * (x * x - y * y),
        0.590044 * x * (x * x - 3 * y * y),
    ]  # fmt: skip
    return np.stack(rows, 1).astype(np.float32)


@dataclass(frozen=True)
class Light:
    """Lamps: directions towards them in the camera's frame, colours, and light from everywhere."""

    directions: F32  # (K, 3), the key light first
    colours: F32  # (K, 3)
    ambient: F32  # (3,)

    def coefficients(self, turn: NDArray[np.float64]) -> F32:
        """Radiance (16, 3) in the frame of a head turned by `turn`."""
        local = (self.directions @ turn).astype(np.float32)
        out = (harmonics(local) * _LOBE).T @ self.colours * np.float32(np.pi)
        out[0] += self.ambient / np.float32(0.282095)
        return out

    def exposed(self, gain: float) -> Light:
        """The same lamps, all brighter or dimmer."""
        return Light(self.directions, self.colours * np.float32(gain), self.ambient * np.float32(gain))

    def half_vectors(self, turn: NDArray[np.float64]) -> F32:
        """Half-way between the viewer and each lamp, in the head's frame: (K, 3)."""
        half = self.directions + np.float32([0, 0, -1])
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        return (half @ turn).astype(np.float32)


def studio(seed: int) -> Light:
    """A key, a fill, a rim light and a coloured surround, different for every seed."""
    rng = np.random.default_rng([seed, 0x11687])
    side = rng.choice([-1.0, 1.0])
    key = np.array([side * rng.uniform(0.35, 0.85), rng.uniform(-0.75, -0.35), -1.0])
    fill = np.array([-side * rng.uniform(0.6, 1.1), rng.uniform(-0.3, 0.1), -0.8])
    rim = np.array([-side * rng.uniform(0.8, 1.2), rng.uniform(-0.6, -0.1), 0.55])
    warm = rng.uniform(-1, 1)
    tone = np.array([1 + 0.07 * warm, 1.0, 1 - 0.09 * warm])
    cool = np.array([1 - 0.09 * warm, 1.0, 1 + 0.11 * warm])
    power = rng.uniform(1.0, 1.2)
    colours = np.stack([tone * power, cool * rng.uniform(0.20, 0.34), cool * rng.uniform(0.45, 0.85)])
    lamps = np.stack([key, fill, rim])
    lamps /= np.linalg.norm(lamps, axis=1, keepdims=True)
    ambient = (0.5 * tone + 0.5 * cool) * rng.uniform(0.13, 0.19)
    return Light(lamps.astype(np.float32), colours.astype(np.float32), ambient.astype(np.float32))


def lambert(normal: F32, coefficients: F32) -> F32:
    """Unshadowed reflected light (V, 3) for unit normals."""
    return (harmonics(normal) * LAMBERT) @ coefficients


def _sphere(count: int) -> F32:
    """Evenly spread directions (a Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    angle = np.pi * (1 + 5**0.5) * i
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], 1).astype(np.float32)


def _seen(points: F32, triangles: NDArray[np.int32], targets: F32, ray: F32, resolution: int) -> F32:
    """1 where the target sees out along the ray, past all triangles."""
    helper = np.float32([0, 1, 0]) if abs(ray[1]) < 0.9 else np.float32([1, 0, 0])
    a = np.cross(helper, ray)
    a /= np.linalg.norm(a)
    axes = np.stack([a, np.cross(ray, a)])
    flat, goal = points @ axes.T, targets @ axes.T
    low = flat.min(0) - 2
    scale = np.float32(resolution / (flat.max(0) - low + 2).max())
    depth = 2000 - points @ ray
    shown = rasterise(
        ((flat - low) * scale).astype(np.float32), depth, triangles, resolution, resolution, cull=False
    )
    nearest = np.full(resolution * resolution, np.inf, np.float32)
    nearest[shown.pixel] = shown.depth
    cell = np.clip(((goal - low) * scale).astype(np.int64), 0, resolution - 1)
    return (nearest[cell[:, 1] * resolution + cell[:, 0]] > 2000 - targets @ ray - 3.0).astype(np.float32)


def transfer(points: F32, normal: F32, blockers: tuple[F32, NDArray[np.int32]], rays: int = 72) -> F32:
    """Answer of every vertex to the 16 harmonics, shadows by the blockers included: (V, 16)."""
    targets = (points + 1.2 * normal).astype(np.float32)
    answer = np.zeros((len(points), 16), np.float32)
    directions = _sphere(rays)
    for ray, basis in zip(directions, harmonics(directions), strict=True):
        facing = np.maximum(normal @ ray, 0)
        answer += (facing * _seen(blockers[0], blockers[1], targets, ray, 128))[:, None] * basis
    return answer * np.float32(4 / rays)
