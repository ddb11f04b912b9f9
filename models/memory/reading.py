"""What methods do with an explicit memory at dubbing: ask it with an expression, and take its pictures.

Shape legend: B frames, M slots, k found slots, P, S sides of pictures.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.memory.explicit import nearest
from models.morphable.builtin import builtin

__all__ = ["found", "keys_of", "posed", "sized"]


def keys_of(identity: Tensor, expression: Tensor) -> Tensor:
    """Canonical mouth vertices (B, 120) of expressions (B, 64)."""
    rows = builtin().mouth_vertices(identity.float().numpy(), expression.float().numpy())
    return torch.from_numpy(rows).flatten(1)


def sized(patches: Tensor, side: int) -> Tensor:
    """Remembered canvases (M, P, P, 3) uint8 at another size."""
    if patches.shape[1] == side:
        return patches
    fine = patches.permute(0, 3, 1, 2).float()
    small = functional.interpolate(fine, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return small.add_(0.5).clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def posed(keys: Tensor, turn: Tensor, weight: float) -> Tensor:
    """Keys (B, D) with how the head is turned (B, 3) beside them: a radian counts as `weight` millimetres."""
    scale = weight * math.sqrt(keys.shape[1] + 2)
    return torch.cat([keys, turn[:, :2].to(keys.dtype) * scale], 1)


def found(keys: Tensor, slots: Tensor, count: int, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Distances (B, k + 1), of which the last only bounds the others, and slots (B, k).

    Where there are fewer, distances are infinite, and nothing is to be taken from those slots.
    """
    distances, which = nearest(keys, slots, count + 1, hidden)
    missing = count + 1 - distances.shape[1]
    distances = functional.pad(distances, (0, missing), value=torch.inf)
    return distances, functional.pad(which, (0, missing))[:, :count]
