"""The hinge game between who makes pictures and who tells them apart."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["fooled", "told_apart"]


def told_apart(real: Tensor, made: Tensor) -> Tensor:
    """What the discriminator minimises."""
    return torch.relu(1 - real).mean() + torch.relu(1 + made).mean()


def fooled(made: Tensor) -> Tensor:
    """What the maker minimises."""
    return -made.mean()
