"""Networks as the engine handles them: as one module, judging or learning, some standing still.

Private to `training`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.methods import Trainee

__all__ = ["Whole", "judging", "parameters_of", "stand_still"]


class Whole(nn.Module):
    """All networks as one: what is asked of it goes through torch's own way of sharing gradients."""

    def __init__(self, trainee: Trainee) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(dict(trainee.networks))
        self._losses = trainee.losses

    def forward(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        told = self._losses(turn, batch)
        # Only the loss is followed back; else others' parameters would count as waiting for gradients.
        return {name: value if name == "loss" else value.detach() for name, value in told.items()}


class judging:  # noqa: N801  (used as a function)
    """Evaluation mode without gradients, and back."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._networks, self._still = networks, torch.no_grad()

    def __enter__(self) -> None:
        self._still.__enter__()
        for network in self._networks.values():
            network.eval()

    def __exit__(self, *told: Any) -> None:
        for network in self._networks.values():
            network.train()
        self._still.__exit__(*told)


def parameters_of(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [one for group in optimiser.param_groups for one in group["params"]]


def stand_still(networks: Mapping[str, nn.Module], learners: Mapping[str, list[nn.Parameter]]) -> None:
    """What no optimiser has does not learn, and must not gather gradients either."""
    moving = {id(one) for own in learners.values() for one in own}
    for network in networks.values():
        for parameter in network.parameters():
            parameter.requires_grad_(id(parameter) in moving)
