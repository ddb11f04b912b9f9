"""Colours of a face in its crop: sampled at vertices, explained by texture and light.

Shape legend: B frames, V vertices, K texture modes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit.geometry import Camera
from models.fit.light import shade, solve_light
from models.raster import rasterise

__all__ = ["facing", "normals", "sample", "solve_texture", "to_crop", "unhidden"]

_MAP = 128  # side of the depth map that tells which vertices are hidden


def normals(points: Tensor, triangles: Tensor) -> Tensor:
    """Unit normals (B, V, 3) that point out of the face."""
    a, b, c = (points[:, triangles[:, i]] for i in range(3))
    face = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(points)
    for corner in range(3):
        total.index_add_(1, triangles[:, corner], face)
    return torch.nn.functional.normalize(total, dim=-1)


def facing(points: Tensor, normal: Tensor) -> Tensor:
    """Cosine (B, V) between a vertex's normal and the way to the camera."""
    return -(normal * points).sum(-1) / points.norm(dim=-1)


def to_crop(pixels: Tensor, placement: Tensor, side: int) -> Tensor:
    """Pixels of the clip (B, V, 2) in the crop, whose corner and side are `placement` (B, 3)."""
    return (pixels - placement[:, None, :2]) * (side / placement[:, None, 2:])


def sample(crops: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear colours (B, V, 3), 0 to 1, of crops (B, H, W, 3) uint8; and whether places are inside."""
    count, height, width, _ = crops.shape
    at = places - 0.5
    inside = (at[..., 0] >= 0) & (at[..., 1] >= 0) & (at[..., 0] <= width - 1) & (at[..., 1] <= height - 1)
    x = at[..., 0].clamp(0, width - 1.001)
    y = at[..., 1].clamp(0, height - 1.001)
    x0, y0 = x.long(), y.long()
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    flat = crops.reshape(count * height * width, 3)
    corner = (torch.arange(count)[:, None] * height + y0) * width + x0
    top = flat[corner].float() * (1 - fx) + flat[corner + 1].float() * fx
    low = flat[corner + width].float() * (1 - fx) + flat[corner + width + 1].float() * fx
    return (top * (1 - fy) + low * fy) / 255, inside


def unhidden(seen: Tensor, triangles: NDArray[np.int32], camera: Camera, placement: Tensor) -> Tensor:
    """Which vertices (B, V) of camera-frame points no other part of the face covers."""
    out = np.zeros(seen.shape[:2], bool)
    places = to_crop(camera.project(seen), placement, _MAP).numpy()
    for k, (place, depth) in enumerate(zip(places, seen[..., 2].numpy(), strict=True)):
        shown = rasterise(place, depth, triangles, _MAP, _MAP)
        nearest = np.full(_MAP * _MAP, np.inf, np.float32)
        nearest[shown.pixel] = shown.depth
        cell = np.clip(place.astype(np.int64), 0, _MAP - 1)
        # A map's cell spans some millimetres of a slope.
        out[k] = depth < nearest[cell[:, 1] * _MAP + cell[:, 0]] + 4.0
    return torch.from_numpy(out)


def solve_texture(
    normal: Tensor, seen: Tensor, weight: Tensor, mean: Tensor, modes: Tensor, noise: float = 0.06
) -> tuple[Tensor, Tensor]:
    """Texture (K,) of a person and the usual light (27,) from colours (B, V, 3) of several frames.

    By turns: each is a linear problem when the other is known.
    """
    count = modes.shape[2]
    flat = modes.reshape(-1, count)
    texture, light = torch.zeros(count), torch.zeros(27)
    for _ in range(5):
        albedo = (mean + modes @ texture).clamp(0.02, 1).expand(len(seen), -1, -1)
        for _ in range(2):
            light = solve_light(normal, albedo, seen, weight, light, 1.0).mean(0)
        lit = shade(normal, light.expand(len(seen), -1))
        miss = (seen - albedo * lit).abs().mean(-1)
        w = (weight / (1 + (miss / 0.1) ** 2))[..., None] / noise**2 / weight.sum(1).mean()
        w = w * 120  # neighbouring vertices say much the same: about so many independent places
        curve = (w * lit * lit).sum(0).reshape(-1) / len(seen)
        pull = (w * lit * (seen - lit * mean)).sum(0).reshape(-1) / len(seen)
        system = flat.T @ (flat * curve[:, None]) + torch.eye(count)
        texture = torch.linalg.solve(system, flat.T @ pull)
    return texture, light
