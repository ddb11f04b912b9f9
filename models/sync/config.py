"""Every number of the sync expert, by preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from models.training.plan import Plan

__all__ = ["PRESETS", "SyncConfig"]

PRESETS = ("smoke", "cpu", "gpu")


@dataclass(frozen=True)
class SyncConfig:
    """The two towers, what they are trained with, and for how long."""

    seen: tuple[int, ...] = (32, 48, 96)  # channels of a frame at 24, 12 and 6 pixels
    motion: int = 128  # channels of five frames together
    carried: int = 40  # what a frame gives to its five
    heard: tuple[int, ...] = (96, 128, 128)  # channels of sound at 26, 13 and 7 rows
    width: int = 128  # of what both towers end in
    dropout: float = 0.1
    rate: float = 1e-3
    own_rate: float = 2e-4  # of weights that are only to get used to other people
    decay: float = 0.05
    stretch: int = 20  # frames that are trained together: sixteen windows, each with fifteen others' sound
    blurred: float = 0.5  # share of stretches whose pictures are made coarser
    grey: float = 0.2  # and without colour
    deaf: float = 0.25  # and whose sound lacks symbols or mel
    levels: float = 0.5  # how far loudness and brightness are changed; 0: not at all
    plan: Plan = field(default_factory=lambda: Plan(steps=3000, batch=12))
    own_steps: int = 200

    @classmethod
    def preset(cls, name: str) -> SyncConfig:
        """smoke for tests, cpu for a laptop, gpu for long training."""
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}: use one of {', '.join(PRESETS)}")
        return _CONFIGS[name]

    def plan_for(self, known: bool) -> Plan:
        """How the engine is to train: from weights that know what lips do, a little is enough."""
        if not known:
            return self.plan
        return replace(self.plan, steps=self.own_steps, evaluate_every=max(1, self.own_steps // 10))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> SyncConfig:
        """What `as_dict` gave, also after JSON made lists of tuples; ValueError for unknown names."""
        strange = sorted(set(told) - {one.name for one in fields(cls)})
        if strange:
            raise ValueError(f"a sync configuration has no {strange[0]!r}")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in told.items()}
        return cls(**{**values, "plan": Plan(**dict(told["plan"]))})


_CPU_PLAN = Plan(
    steps=3000,
    batch=12,
    averaged_steps=300.0,
    evaluate_every=250,
    patience=6,
    precision="bfloat16",
    channels_last=True,
)
_CONFIGS = {
    "smoke": SyncConfig(
        seen=(8, 12, 16),
        motion=16,
        carried=8,
        heard=(16, 16, 16),
        width=32,
        own_steps=20,
        plan=Plan(steps=30, batch=4, averaged_steps=5.0, evaluate_every=10),
    ),
    "cpu": SyncConfig(plan=_CPU_PLAN),
    # About as many parameters as DINet's expert, at four times the batch.
    "gpu": SyncConfig(
        seen=(64, 96, 160),
        motion=256,
        carried=64,
        heard=(160, 192, 192),
        stretch=28,
        rate=5e-4,
        own_steps=2000,
        plan=replace(_CPU_PLAN, steps=60_000, batch=64, averaged_steps=2000.0, evaluate_every=1000),
    ),
}
