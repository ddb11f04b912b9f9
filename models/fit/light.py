"""Light on a face as nine spherical harmonics a colour, in Deng et al.'s order and scale.

A vertex is seen as albedo x (harmonics of its normal . (light + ambient)); their frame has x to the
right, y up and z towards the viewer, so normals of the camera's frame are flipped here and nowhere else.

Shape legend: B frames, V vertices, C three colours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["AMBIENT", "HARMONICS", "harmonics", "shade", "solve_light"]

HARMONICS = 9
AMBIENT = 0.8  # their renderer's own light in the constant term
_A = (math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8))
_C = (
    1 / math.sqrt(4 * math.pi),
    math.sqrt(3) / math.sqrt(4 * math.pi),
    3 * math.sqrt(5) / math.sqrt(12 * math.pi),
)


def harmonics(normal: Tensor) -> Tensor:
    """(..., 3) unit normals in the camera's frame to (..., 9)."""
    x, y, z = normal[..., 0], -normal[..., 1], -normal[..., 2]
    one, two = _A[1] * _C[1], _A[2] * _C[2]
    rows = [
        torch.full_like(x, _A[0] * _C[0]),
        -one * y,
        one * z,
        -one * x,
        two * x * y,
        -two * y * z,
        two * 0.5 / math.sqrt(3) * (3 * z * z - 1),
        -two * x * z,
        two * 0.5 * (x * x - y * y),
    ]
    return torch.stack(rows, -1)


def shade(normal: Tensor, light: Tensor) -> Tensor:
    """Light (..., V, 3) that reaches normals (..., V, 3); `light` is (..., 27), colour by colour."""
    spheres = light.unflatten(-1, (3, HARMONICS)).transpose(-1, -2).clone()
    spheres[..., 0, :] += AMBIENT
    return harmonics(normal) @ spheres


def solve_light(
    normal: Tensor, albedo: Tensor, seen: Tensor, weight: Tensor, usual: Tensor, stiffness: float
) -> Tensor:
    """The light (B, 27) that explains seen colours (B, V, C), held to `usual` (27,) by `stiffness`.

    Two rounds: what the first cannot explain (a strand of hair, a cast shadow) counts less in the second.
    """
    y = harmonics(normal)
    ambient = AMBIENT * y[..., 0]
    held = stiffness * torch.eye(HARMONICS)
    light = usual.expand(len(seen), -1)
    for _ in range(2):
        miss = (seen - albedo * shade(normal, light)).abs().mean(-1)
        w = weight / (1 + (miss / 0.08) ** 2)
        parts = []
        for c in range(3):
            design = y * albedo[..., c : c + 1]
            goal = seen[..., c] - albedo[..., c] * ambient
            left = (design * w[..., None]).transpose(1, 2)
            own = usual[c * HARMONICS : (c + 1) * HARMONICS]
            right = (left @ goal[..., None])[..., 0] + stiffness * own
            parts.append(torch.linalg.solve(left @ design + held, right))
        light = torch.cat(parts, -1)
    return light
