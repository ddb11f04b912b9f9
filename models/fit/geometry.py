"""Rotations, a pinhole camera and first poses, batched in torch.

A point m of the head is seen at R m + t in the camera's frame: x to the picture's right, y down, z away,
millimetres; R = Rx Ry Rz. Pixels have their origin at the picture's corner, the optical axis at its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Camera", "angles", "first_pose", "rotation", "turned"]


@dataclass(frozen=True)
class Camera:
    """Focal length and principal point in pixels."""

    focal: float
    x: float
    y: float

    @staticmethod
    def of_picture(width: int, height: int, focal: float | None = None) -> Camera:
        """OpenFace's rule for an unknown lens: 500 pixels at 640 x 480, in proportion, sides averaged."""
        guess = (500 * width / 640 + 500 * height / 480) / 2
        return Camera(guess if focal is None else focal, width / 2, height / 2)

    def project(self, seen: Tensor) -> Tensor:
        """Camera-frame points (..., 3) to pixels (..., 2)."""
        centre = seen.new_tensor([self.x, self.y])
        return seen[..., :2] * (self.focal / seen[..., 2:].clamp(min=1.0)) + centre


def rotation(a: Tensor) -> Tensor:
    """R = Rx Ry Rz of angles (..., 3): (..., 3, 3)."""
    c, s = torch.cos(a), torch.sin(a)
    (cx, cy, cz), (sx, sy, sz) = c.unbind(-1), s.unbind(-1)
    rows = [
        torch.stack([cy * cz, -cy * sz, sy], -1),
        torch.stack([sx * sy * cz + cx * sz, cx * cz - sx * sy * sz, -sx * cy], -1),
        torch.stack([sx * sz - cx * sy * cz, cx * sy * sz + sx * cz, cx * cy], -1),
    ]
    return torch.stack(rows, -2)


def angles(r: Tensor) -> Tensor:
    """The angles (..., 3) of R = Rx Ry Rz."""
    y = torch.asin(r[..., 0, 2].clamp(-1, 1))
    x = torch.atan2(-r[..., 1, 2], r[..., 2, 2])
    z = torch.atan2(-r[..., 0, 1], r[..., 0, 0])
    return torch.stack([x, y, z], -1)


def turned(r: Tensor, step: Tensor) -> Tensor:
    """R turned further by the rotation vector `step` (..., 3) in the camera's frame."""
    size = step.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    x, y, z = (step / size).unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*step.shape[:-1], 3, 3)
    s, c = torch.sin(size)[..., None], torch.cos(size)[..., None]
    return (torch.eye(3, dtype=r.dtype, device=r.device) + s * k + (1 - c) * (k @ k)) @ r


def first_pose(points: Tensor, mean: Tensor, weight: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Rotation (B, 3, 3) and translation (B, 3) of landmarks with a rough depth (B, L, 3) in pixels."""
    w = (weight / weight.sum(-1, keepdim=True).clamp(min=1e-9))[..., None]
    centre, middle = (w * points).sum(1), (w * mean).sum(1)
    p, m = points - centre[:, None], mean - middle[:, None]
    u, s, v = torch.linalg.svd((w * p).transpose(1, 2) @ m)
    flip = torch.ones_like(s)
    flip[:, 2] = torch.sign(torch.linalg.det(u @ v))
    r = (u * flip[:, None]) @ v
    scale = (s * flip).sum(-1) / (w * m * m).sum((1, 2)).clamp(min=1e-9)
    depth = camera.focal / scale.clamp(min=1e-6)
    away = (centre[:, :2] - centre.new_tensor([camera.x, camera.y])) / scale[:, None].clamp(min=1e-6)
    place = torch.cat([away, depth[:, None]], 1)
    return r, place - (r @ middle[..., None])[..., 0]
