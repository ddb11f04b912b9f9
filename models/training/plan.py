"""How long and how hard a stage is trained: every number that the engine needs, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["Plan"]

_PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Plan:
    """Rates are the optimisers' own; the plan only bends them over time."""

    steps: int
    batch: int
    # Share of the steps in which rates rise; then they fall along a cosine to `floor` of themselves.
    warm_up: float = 0.02
    floor: float = 0.05
    # Gradients of an optimiser's parameters longer than this are shortened; 0 leaves them.
    clip: float = 1.0
    # Steps over which averaged networks remember; 0 judges and saves networks as they are.
    averaged_steps: float = 200.0
    evaluate_every: int = 200
    # Evaluations without a better held-out loss after which training ends; 0 never.
    patience: int = 10
    precision: str = "float32"
    channels_last: bool = False
    seed: int = 0
    # The least seconds between two writings of the state; evaluations write it too.
    save_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.evaluate_every < 1:
            raise ValueError("a plan needs steps, batch and evaluate_every of at least 1")
        if self.precision not in _PRECISIONS:
            raise ValueError(f"precision is {' or '.join(_PRECISIONS)}, not {self.precision!r}")

    def pace(self, step: int) -> float:
        """What rates are multiplied by at this step."""
        warm = round(self.steps * self.warm_up)
        if step < warm:
            return (step + 1) / (warm + 1)
        gone = (step - warm) / max(1, self.steps - warm)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * gone))

    def changed(self, changes: Mapping[str, Any]) -> Plan:
        """With single numbers replaced; ValueError for what a plan does not have."""
        strange = sorted(set(changes) - set(asdict(self)))
        if strange:
            raise ValueError(f"a plan has no {strange[0]!r}")
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
