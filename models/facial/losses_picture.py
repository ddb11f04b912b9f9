"""What render-to-video minimises: pixels, what is perceived, and what critics see.

Pictures are -1 to 1. Called by `models.facial.training_picture`. Shape suffixes: B frames, S side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.facial.config_picture import PictureConfig
from models.losses import Perception, weighted_l1

__all__ = ["drawing", "fooled", "matched", "told_apart"]

Seen = list[list[Tensor]]  # by scale, by layer; the last of each are scores


def drawing(
    made: Tensor, true: Tensor, weight: Tensor, perception: Perception, config: PictureConfig
) -> dict[str, Tensor]:
    """Of pictures (B, 3, S, S) where `weight` (B, 1, S, S) is."""
    told = {"pixels": weighted_l1(made, true, weight), "features": perception(made, true, weight)}
    told["loss"] = config.pixels * told["pixels"] + config.perception * told["features"]
    return told


def matched(made: Seen, true: Seen) -> Tensor:
    """How far the critics' layers see other things, the mean of the scales; scores are no part of it."""
    scales = [
        torch.stack([(a - b.detach()).abs().mean() for a, b in zip(one[:-1], other[:-1], strict=True)]).sum()
        for one, other in zip(made, true, strict=True)
    ]
    return torch.stack(scales).mean()


def fooled(made: Seen) -> Tensor:
    """What the generator minimises of the scores: least squares."""
    return torch.stack([((one[-1].float() - 1) ** 2).mean() for one in made]).sum()


def told_apart(true: Seen, made: Seen) -> Tensor:
    """What the critics minimise."""
    parts = [
        0.5 * (((a[-1].float() - 1) ** 2).mean() + (b[-1].float() ** 2).mean())
        for a, b in zip(true, made, strict=True)
    ]
    return torch.stack(parts).sum()
