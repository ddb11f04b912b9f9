"""What MemFace's first stage is asked for: coefficients, mouth vertices, opening, motion, slots apart.

Shape legend: B batch, T rows, E expression coefficients, K numbers of the mouth (40 vertices by 3).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.memface.config_expression import ExpressionConfig
from models.memface.network_expression import ExpressionNet
from models.morphable.model import MorphableModel

__all__ = ["ExpressionLosses", "Misses", "opening_of"]

_UPPER, _LOWER = (13, 82, 312), (14, 87, 317)


def opening_of(model: MorphableModel) -> Tensor:
    """(E,) millimetres by which each coefficient parts the inner lips."""
    place = {int(v): k for k, v in enumerate(model.mouth)}
    down = torch.from_numpy(model.expression[model.mouth])[:, 1]
    upper, lower = (down[[place[v] for v in lips]].mean(0) for lips in (_UPPER, _LOWER))
    return lower - upper


class Misses(NamedTuple):
    """Mean squared misses, each in units of what it varies by."""

    expression: Tensor
    vertices: Tensor
    opening: Tensor
    motion: Tensor


class ExpressionLosses(nn.Module):
    """Tables of the model, and the deviations of the material; moves to a device as networks do."""

    mouth: Tensor
    opening: Tensor
    spread: Tensor
    gap_spread: Tensor

    def __init__(self, model: MorphableModel, config: ExpressionConfig) -> None:
        super().__init__()
        self.config = config
        basis = torch.from_numpy(model.expression[model.mouth]).reshape(-1, model.expression.shape[2])
        self.register_buffer("mouth", basis)
        self.register_buffer("opening", opening_of(model))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("gap_spread", torch.ones(()))

    @torch.no_grad()
    def measure(self, net: ExpressionNet, standard: Tensor) -> None:
        """Take over how much the mouth varies in rows (N, 64) of standardised coefficients."""
        moved = standard * net.scale * net.chosen
        self.spread.copy_((moved @ self.mouth.T).std(0).square().mean().sqrt().clamp(min=1e-3))
        self.gap_spread.copy_((moved @ self.opening).std().clamp(min=1e-3))

    def misses(self, net: ExpressionNet, found: Tensor, wanted: Tensor, weight: Tensor) -> Misses:
        """Of standardised coefficients (B, T, 64); `weight` (B, T) is 0 for rows that do not count."""
        off = (found - wanted) * net.chosen
        moved = off * net.scale
        total = weight.sum().clamp(min=1e-6)
        both = weight[:, 1:] * weight[:, :-1]

        def mean(square: Tensor) -> Tensor:
            return (square * weight).sum() / total

        step = (moved[:, 1:] - moved[:, :-1]) @ self.mouth.T / self.spread
        return Misses(
            mean((off**2).sum(-1) / net.chosen.sum()),
            mean(((moved @ self.mouth.T / self.spread) ** 2).mean(-1)),
            mean((moved @ self.opening / self.gap_spread) ** 2),
            ((step**2).mean(-1) * both).sum() / both.sum().clamp(min=1e-6),
        )

    def forward(self, net: ExpressionNet, found: Tensor, wanted: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """The loss and its parts."""
        c = self.config
        told = self.misses(net, found, wanted, weight)._asdict()
        loss = (
            c.weight_expression * told["expression"]
            + c.weight_vertices * told["vertices"]
            + c.weight_opening * told["opening"]
            + c.weight_motion * told["motion"]
        )
        if net.memory is not None:
            told["slots"] = net.memory.likeness()
            loss = loss + c.weight_slots * told["slots"]
        return {"loss": loss, **told}
