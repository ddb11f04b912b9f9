"""The smallest method with everything that an engine meets: two optimisers by turns, chance, averages.

And one that learns in a turn from what it drew in the turn before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models import methods
from models.methods import Stage, Turn
from models.training import HELD_OUT, TRAIN, About, Bundle, Plan, Segment, device_of, write_bundle

__all__ = ["TinyMethod", "TinyTrainee", "register", "tiny_bundle"]

NAME = "tiny"


@dataclass(frozen=True)
class TinyConfig:
    width: int = 12
    dropout: float = 0.1
    steps: int = 60
    drawing: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class TinyTrainee:
    """Learns rows of one array from another's; the odd steps of the first half are the memory's.

    In the last quarter both learn from what was drawn once.
    """

    averaged = ("body",)

    def __init__(self, config: TinyConfig, bundle: Bundle, start: Mapping[str, Tensor] | None) -> None:
        self.names = ("speech", "expression") if "speech" in bundle else ("key", "key")
        size, out = bundle[self.names[0]][0].size, bundle[self.names[1]].shape[1]
        body = nn.Sequential(nn.Linear(size, config.width), nn.Tanh(), nn.Dropout(config.dropout))
        self.networks = {"body": body, "memory": nn.Sequential(nn.Linear(config.width, out))}
        self.helpers = {"still": nn.Linear(out, out)}
        self.plan = bundle.plan(Plan(config.steps, batch=8, evaluate_every=10, save_seconds=0.0))
        self.bundle, self.drawn = bundle, None
        if start:
            for name, network in self.networks.items():
                from models.training import load_network

                load_network(network, name, start)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "body": torch.optim.AdamW(self.networks["body"].parameters(), lr=1e-2),
            "memory": torch.optim.Adam(self.networks["memory"].parameters(), lr=1e-2),
        }

    def turns(self, step: int) -> Sequence[Turn]:
        if step >= self.plan.steps * 3 // 4:
            return (Turn("first", ("memory",), drawing=("body",)), Turn("then", ("body",)))
        if step >= self.plan.steps // 2:
            return (Turn("all", ("body", "memory")),)
        return (Turn("memory", ("memory",)),) if step % 2 else (Turn("body", ("body",)),)

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        rows = self.bundle.rows(TRAIN)
        chosen = rows[torch.randint(len(rows), (self.plan.batch,), generator=draw).numpy()]
        return {name: self.bundle.tensor(name, chosen) for name in self.names}

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        drawn, self.drawn = self.drawn, None
        hidden = self.networks["body"](batch[self.names[0]].flatten(1)) if drawn is None else drawn
        if turn == "first":
            self.drawn, hidden = hidden, hidden.detach()
        told = self.networks["memory"](hidden)
        loss = functional.mse_loss(told.float(), batch[self.names[1]])
        return {"loss": loss, "size": hidden.abs().mean()}

    def judge(self) -> dict[str, float]:
        rows, device = self.bundle.rows(HELD_OUT), device_of(self.networks["body"])
        batch = {name: self.bundle.tensor(name, rows).to(device) for name in self.names}
        return {"loss": float(self.losses("all", batch)["loss"].detach())}


class TinyMethod:
    name = NAME
    version = 1

    def config(self, preset: str) -> TinyConfig:
        if preset not in ("smoke", "cpu", "gpu"):
            raise ValueError(f"no preset {preset!r}")
        return TinyConfig(drawing=preset == "gpu")

    def config_from(self, told: Mapping[str, Any]) -> TinyConfig:
        return TinyConfig(**told)

    def stages(self, config: TinyConfig) -> tuple[Stage, ...]:
        canvases = ("target", "mask", "key", "slot_keys", "slot_patches", "slot_rows")
        rows = Stage("expression", True, ("speech", "expression"))
        return (rows, Stage("renderer", True, canvases, side=32)) if config.drawing else (rows,)

    def trainee(
        self, stage: str, config: TinyConfig, bundle: Bundle, start: Mapping[str, Tensor] | None
    ) -> TinyTrainee:
        return TinyTrainee(config, bundle, start)

    def speaker(self, *_: Any) -> Any:
        raise NotImplementedError


def register() -> None:
    """Make it known by its name, in this process."""
    methods.METHODS[NAME] = f"{__name__}:TinyMethod"


def tiny_bundle(path: Path, *, rows: int = 80, seed: int = 0, noise: float = 0.1, **plan: Any) -> Path:
    """Speech that tells the expression but for some noise; the last quarter is held out."""
    chance = np.random.default_rng(seed)
    speech = chance.normal(size=(rows, 2, 3)).astype(np.float32)
    truth = chance.normal(size=(6, 4)).astype(np.float32)
    expression = np.tanh(speech.reshape(rows, 6) @ truth)
    expression += noise * chance.normal(size=expression.shape).astype(np.float32)
    edge = rows * 3 // 4
    segments = (Segment("clip-a", 0, edge, 25.0, TRAIN), Segment("clip-a", edge, rows, 25.0, HELD_OUT, edge))
    config = TinyConfig(**{name: plan.pop(name) for name in ("width", "dropout") if name in plan})
    about = About(NAME, "expression", "smoke", config.as_dict(), seed, plan, segments)
    return write_bundle(path, about, {"speech": speech, "expression": expression.astype(np.float32)})
