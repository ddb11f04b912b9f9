"""What DINet minimises: how whole crops look at two sizes, whoever tells them apart, and the sync expert.

Small networks add pixels and structure, and look harder at the mouth. Pictures are -1 to 1. Called by
`models.dinet.training`.

Shape suffixes: N frames, C channels, S, W rows and columns of a crop.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.dinet.config import Losses
from models.dinet.picture import hole, mouth
from models.losses import Perception, ssim, weighted_l1

__all__ = ["drawing", "fooled", "told_apart"]


def fooled(made: Tensor) -> Tensor:
    """What the drawer minimises of its scores: least squares."""
    return ((made.float() - 1) ** 2).mean()


def told_apart(real: Tensor, made: Tensor) -> Tensor:
    """What a critic minimises."""
    return 0.5 * ((real.float() - 1) ** 2).mean() + 0.5 * (made.float() ** 2).mean()


def drawing(made: Tensor, true: Tensor, perception: Perception, weights: Losses) -> dict[str, Tensor]:
    """Of crops (N, 3, S, W): the whole is compared, not the hole alone."""
    made, rows = made.float(), mouth(made.shape[-2])
    weight = _weight(made, weights)
    told = {"features": _perceived(made, true, perception, weight)}
    told["loss"] = weights.perception * told["features"]
    if weights.pixels > 0:
        told["pixels"] = weighted_l1(made, true, weight)
        told["loss"] = told["loss"] + weights.pixels * told["pixels"]
    if weights.structure > 0:
        told["structure"] = 1 - ssim(made[..., *rows], true[..., *rows]).mean()
        told["loss"] = told["loss"] + weights.structure * told["structure"]
    return told


def _perceived(made: Tensor, true: Tensor, perception: Perception, weight: Tensor) -> Tensor:
    """The mean of both sizes."""
    small = [functional.avg_pool2d(one, 2) for one in (made, true, weight)]
    return (perception(made, true, weight) + perception(*small)) / 2


def _weight(pictures: Tensor, weights: Losses) -> Tensor:
    """How much pixels (N, 1, S, W) matter: the surroundings, the hole, the mouth."""
    side = pictures.shape[-2]
    out = torch.full_like(pictures[:, :1], weights.around)
    for box, matters in ((hole(side), 1.0), (mouth(side), weights.mouth)):
        out[..., *box] = matters
    return out
