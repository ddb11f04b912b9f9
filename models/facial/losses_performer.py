"""What the performer is asked for: rows and their changes by groups, the beginning, and to fool a critic.

Shape legend: B batch, T rows of a window, C columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.facial.columns import BLINK, EXPRESSION, POSE
from models.facial.config_performer import TermWeights

__all__ = ["beginning", "fooled", "misses", "performance_loss", "told_apart"]

_GROUPS: dict[str, slice] = {
    "expression": EXPRESSION,
    "pose": POSE,
    "blink": slice(BLINK, BLINK + 1),
}


def misses(found: Tensor, wanted: Tensor, trust: Tensor) -> dict[str, Tensor]:
    """Mean squares over trusted rows (B, T): of each group, and of its changes as GROUP_change."""
    off = (found - wanted).float()
    both = trust[:, 1:] * trust[:, :-1]
    change = off[:, 1:] - off[:, :-1]
    out: dict[str, Tensor] = {}
    for name, columns in _GROUPS.items():
        out[name] = _mean(off[..., columns].square().mean(-1), trust)
        out[f"{name}_change"] = _mean(change[..., columns].square().mean(-1), both)
    return out


def _mean(square: Tensor, weight: Tensor) -> Tensor:
    return (square * weight).sum() / weight.sum().clamp(min=1e-6)


def beginning(found: Tensor, wanted: Tensor, trust: Tensor, groups: Sequence[str] = tuple(_GROUPS)) -> Tensor:
    """Absolute misses of the first row; groups count alike, each column once."""
    off = (found[:, 0] - wanted[:, 0]).float().abs()
    return torch.stack([_mean(off[:, _GROUPS[name]].mean(-1), trust[:, 0]) for name in groups]).sum()


def performance_loss(
    found: Tensor, wanted: Tensor, trust: Tensor, weights: TermWeights, lone_pose: bool = False
) -> dict[str, Tensor]:
    """The loss without the critic, and its parts."""
    told = misses(found, wanted, trust)
    told["beginning"] = beginning(found, wanted, trust, ("pose",) if lone_pose else tuple(_GROUPS))
    asked = ("pose", "pose_change", "beginning") if lone_pose else tuple(told)
    parts = [getattr(weights, name) * told[name] for name in asked]
    return {"loss": torch.stack(parts).sum(), **told}


def fooled(made: Tensor) -> Tensor:
    """Least squares: what the performer minimises."""
    return (made.float() - 1).square().mean()


def told_apart(real: Tensor, made: Tensor) -> Tensor:
    """Least squares: what the critic minimises."""
    return (real.float() - 1).square().mean() + made.float().square().mean()
