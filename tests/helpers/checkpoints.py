"""Checkpoints that no training made: of anna's stages as they are planned, with any weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.train import CHECKPOINT
from models.training import write_checkpoint
from storage.artifacts import Artifact, Made, produce
from storage.home import Home
from storage.ledger import Ledger
from storage.weights import Registry
from tasks.remember import features_of
from tasks.training import Ingredients, TrainOptions, planned_stages, read_weights

__all__ = ["general_weights", "kept_checkpoint"]


def general_weights(name: str) -> dict[str, Tensor]:
    """Bundled weights as tensors of a checkpoint."""
    weights = read_weights(Registry().find(name).path)
    # What is empty has strides in numpy that no file of tensors takes.
    return {
        key: torch.from_numpy(value) if value.size else torch.zeros(value.shape)
        for key, value in weights.items()
    }


def kept_checkpoint(
    home: Home, options: TrainOptions, tensors: Mapping[str, Tensor], **changes: Any
) -> Artifact:
    """The checkpoint of the one stage that is asked for; `changes` replace parameters of its recipe."""
    features = [one.features for one in features_of(home, Ledger(home.objects), "anna")]
    (planned,) = planned_stages(home, options, Ingredients("anna", features))
    recipe = replace(planned.recipe, parameters={**planned.recipe.parameters, **changes})

    def make(workspace: Path) -> Made:
        write_checkpoint(workspace / CHECKPOINT, tensors, {"losses": {}, "metrics": {}})
        return Made()

    return produce(home, recipe, make, identity="anna")
