"""What networks are told of a mouth: where its 40 vertices go, whoever's mouth it is.

A fixed linear map of the coefficients that move jaw, lips and cheeks; lids, brows and gaze tell nothing. It
is never trained or saved. Called by systems whose ear says expression, and by trainees that must know how
far mouths were open.

Shape legend: E the 64 expression coefficients, K the 40 vertices' 120 numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.morphable.builtin import builtin

__all__ = ["GROUPS", "MOUTH_NUMBERS", "MouthShape", "opening_of_keys"]

GROUPS = ("jaw", "lips", "cheeks")
MOUTH_NUMBERS = 120
_UNIT_MM = 5.0  # a wide-open mouth's vertices go some times as far
_UPPER, _LOWER = (13, 82, 312), (14, 87, 317)  # inner edges of the lips, around the middle


class MouthShape(nn.Module):
    """Coefficients (..., 64) to displacements (..., 120) in units of 5 mm."""

    moves: Tensor

    def __init__(self) -> None:
        super().__init__()
        model = builtin()
        moves = torch.zeros(model.expression.shape[2], MOUTH_NUMBERS)
        own = torch.from_numpy(model.coefficients_of(GROUPS))
        moves[own] = torch.from_numpy(model.expression[model.mouth]).flatten(0, 1).T[own] / _UNIT_MM
        # Known from the model alone: a checkpoint that held it could only hold it wrongly.
        self.register_buffer("moves", moves, persistent=False)

    def forward(self, expression: Tensor) -> Tensor:
        # Half precision would round lips that hardly part to lips that touch.
        with torch.autocast(expression.device.type, enabled=False):
            return expression.float() @ self.moves


def opening_of_keys(keys: Tensor) -> Tensor:
    """Millimetres (N,) by which the lips of canonical mouth vertices (N, 120) or (N, 40, 3) are apart."""
    place = {int(vertex): k for k, vertex in enumerate(builtin().mouth)}
    down = keys.reshape(len(keys), -1, 3)[..., 1]
    upper, lower = (down[:, [place[v] for v in lips]].mean(1) for lips in (_UPPER, _LOWER))
    return lower - upper
