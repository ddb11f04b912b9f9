"""The sync expert in the list of what is trained: one stage, general or a person's own, and no speaker.

Found by `models.methods.find_method`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from models.canvas.framing import MOUTH
from models.methods import Person, Speaker, Stage, Trainee
from models.sync.config import SyncConfig
from models.sync.training import ARRAYS, SyncTrainee
from models.training.bundle import Bundle

__all__ = ["STAGE", "WEIGHTS", "Sync"]

STAGE = "expert"
WEIGHTS = "sync"
_SIDE = 64


class Sync:
    """See `models.methods.Method`."""

    name = "sync"
    version = 1

    def config(self, preset: str) -> SyncConfig:
        return SyncConfig.preset(preset)

    def config_from(self, told: Mapping[str, Any]) -> SyncConfig:
        return SyncConfig.from_dict(told)

    def stages(self, config: SyncConfig) -> tuple[Stage, ...]:
        return (Stage(STAGE, True, ARRAYS, WEIGHTS, side=_SIDE, framing=MOUTH, optional=True),)

    def trainee(
        self, stage: str, config: SyncConfig, bundle: Bundle, start: Mapping[str, Tensor] | None
    ) -> Trainee:
        if stage != STAGE:
            raise ValueError(f"sync has no stage {stage!r}")
        return SyncTrainee(config, bundle, start)

    def speaker(
        self, config: SyncConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> Speaker:
        raise ValueError("sync is no talking face: it judges others'; dub with another --method")
