"""Where a head is: the pose that lays a metric face onto its mesh points, all frames of a block at once.

Gauss-Newton on the perspective projection, helped a little by the mesh's own depth, with weights that forgive
what moved against the skull; begun from the affine camera that fits best. Shape legend: T frames, N points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.track.camera import Camera, angles

__all__ = ["Poses", "solve", "turned", "unposed"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
# Robust weights fall off beyond this many millimetres.
_OUTLIER_MM = 4.0
# What a millimetre in the mesh's depth counts against one in the picture, squared: depth is guessed.
_DEPTH = 0.1


class Poses(NamedTuple):
    """Heads in the camera frame: R, t (mm), and how far points are from where the face puts them."""

    r: F64  # (T, 3, 3)
    t: F64  # (T, 3)
    error: F64  # (T,) mm, weighted root mean square

    @property
    def rows(self) -> F64:
        """As OpenFace tells it: three angles and a place (T, 6)."""
        return np.concatenate([angles(self.r), self.t], axis=1)


def solve(points: F32, shape: F64, camera: Camera, steps: int = 5) -> Poses:
    """Poses of mesh points (T, N, 3), px, under a rigid `shape` (N, 3), mm."""
    rays = (points[..., :2].astype(np.float64) - np.array([camera.x, camera.y])) / camera.focal
    depth = points[..., 2].astype(np.float64) / camera.focal
    depth -= depth.mean(1, keepdims=True)
    r, t = _affine_start(rays, shape)
    for _ in range(steps):
        miss, rows, weight = _linear(rays, depth, shape @ r.transpose(0, 2, 1), t)
        step = _step(miss, rows * weight[:, None, None], rows)
        r = turned(step[:, :3]) @ r
        t = t + step[:, 3:]
    miss, _, weight = _linear(rays, depth, shape @ r.transpose(0, 2, 1), t)
    error = np.sqrt(((miss[:, :2] ** 2).sum(1) * weight).mean(1))
    return Poses(r, t, error)


def _affine_start(rays: F64, shape: F64) -> tuple[F64, F64]:
    """Weak perspective: the best 2x4 map per frame, brought to the nearest turn and distance."""
    maps = (np.linalg.pinv(np.column_stack([shape, np.ones(len(shape))])) @ rays).transpose(0, 2, 1)
    u, s, v = np.linalg.svd(maps[:, :, :3], full_matrices=False)
    two = u @ v
    third = np.cross(two[:, 0], two[:, 1])
    depth = 1 / np.maximum(s.mean(1), 1e-6)
    r = np.concatenate([two, third[:, None]], axis=1)
    return r, np.concatenate([maps[:, :, 3] * depth[:, None], depth[:, None]], axis=1)


def _linear(rays: F64, depth: F64, arm: F64, t: F64) -> tuple[F64, F64, F64]:
    """Misses in mm (T, 3, N), their derivatives (T, 6, 3, N) by turn and shift, and weights (T, N)."""
    a, b, c = arm.transpose(2, 0, 1)
    far = t[:, 2:]
    z = np.maximum(c + far, 1.0)
    x, y, per = (a + t[:, :1]) / z, (b + t[:, 1:2]) / z, far / z
    zero = np.zeros_like(x)
    level = c.mean(1, keepdims=True)
    miss = np.stack(
        [(x - rays[..., 0]) * far, (y - rays[..., 1]) * far, np.sqrt(_DEPTH) * (c - level - depth * far)], 1
    )
    # A turn w moves a point by w x arm; what the picture sees of it is its shift less what depth takes back.
    xs, ys = -x * per, -y * per
    ha, hb = (
        (a - a.mean(1, keepdims=True)) * np.sqrt(_DEPTH),
        (b - b.mean(1, keepdims=True)) * np.sqrt(_DEPTH),
    )
    rows = np.stack(
        [
            np.stack([b * xs, b * ys - c * per, hb], 1),
            np.stack([c * per - a * xs, -a * ys, -ha], 1),
            np.stack([-b * per, a * per, zero], 1),
            np.stack([per, zero, zero], 1),
            np.stack([zero, per, zero], 1),
            np.stack([xs, ys, zero], 1),
        ],
        axis=1,
    )
    return miss, rows, 1 / (1 + (miss**2).sum(1) / _OUTLIER_MM**2)


def _step(miss: F64, weighted: F64, rows: F64) -> F64:
    length = len(miss)
    heavy, plain = weighted.reshape(length, 6, -1), rows.reshape(length, 6, -1)
    normal = heavy @ plain.transpose(0, 2, 1)
    size = np.einsum("tii->t", normal)
    normal = normal + np.eye(6) * (1e-10 * size + 1e-12)[:, None, None]
    return -np.linalg.solve(normal, heavy @ miss.reshape(length, -1, 1))[..., 0]


def turned(w: F64) -> F64:
    """The rotations (T, 3, 3) of turning vectors (T, 3): Rodrigues."""
    size = np.linalg.norm(w, axis=1)[:, None, None]
    x, y, z = w.T
    zero = np.zeros_like(x)
    k = np.moveaxis(np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]), 2, 0)
    a = np.sinc(size / np.pi)
    b = 0.5 * np.sinc(size / (2 * np.pi)) ** 2
    return np.asarray(np.eye(3) + a * k + b * (k @ k))


def unposed(points: F32, poses: Poses, camera: Camera, middle: F64) -> F32:
    """Mesh points (T, N, 3), px, turned back into the head's frame, mm: what is left is the face's own.

    `middle` (3,) is the mean of the same points on the mean face: the mesh's depth says not where it begins.
    """
    far = poses.t[:, 2, None]
    depth = points[..., 2] * (far / camera.focal)
    depth = far + depth - depth.mean(1, keepdims=True) + (poses.r[:, 2] @ middle)[:, None]
    x = (points[..., 0] - camera.x) / camera.focal * depth - poses.t[:, :1]
    y = (points[..., 1] - camera.y) / camera.focal * depth - poses.t[:, 1:2]
    seen = np.stack([x, y, depth - far], axis=-1)
    return np.asarray(seen @ poses.r, np.float32)
