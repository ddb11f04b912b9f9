"""Every number of MemFace's first stage, sound to expression.

Tags: [paper] seen in the paper, [code] read in a third-party implementation, [ours] chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from models.training.plan import Plan

__all__ = ["PRESETS", "ExpressionConfig"]

PRESETS = ("smoke", "cpu", "gpu")


@dataclass(frozen=True)
class ExpressionConfig:
    """The network, its losses, and how general weights and a person's own are trained."""

    width: int = 64  # [paper] of queries, keys and values
    slots: int = 1000  # [code]; 0: no memory at all
    heads: int = 4  # [ours]; [code] 1
    layers: int = 3  # [ours]; [code] 2 or 3
    hidden: int = 256  # [ours]; [code] 2048
    dropout: float = 0.1  # [code]
    taps: int = 6  # [ours] rows to each side that the encoder looks at; [code] none
    reach: int = 4  # [ours] rows to each side that a layer attends to; [code] the whole clip
    period: int = 128  # [ours] rows after which positions begin anew, so that hours are like seconds
    tile: int = 100  # [ours] rows that are made at a time when streaming
    groups: tuple[str, ...] = ("jaw", "lips", "cheeks")  # [paper] mouth-related coefficients
    # Losses; coefficients and vertices are of unit deviation over the material. [ours] but for three.
    weight_expression: float = 1.0  # [code]
    weight_vertices: float = 1.0  # [code]
    weight_slots: float = 0.1  # [code]
    weight_motion: float = 0.5  # changes from row to row
    weight_opening: float = 1.0  # the gap of the lips alone
    hush: float = 0.3  # share of windows into which silence with closed lips is put
    temper: float = 0.3  # how much surer or less sure of its symbols a voice may be made; general training
    # General training.
    rate: float = 1e-3  # [ours]; [code] 1e-4 over many more steps
    decay: float = 0.01
    alternating: float = 0.5  # [code] first part of the steps in which memory and the rest take turns
    window: int = 100  # [ours] rows of a window
    batch: int = 16  # [code]
    steps: int = 2000  # [ours]; notes propose 100,000
    # Adaptation to a person.
    own_rate: float = 2e-5  # [ours]; [code] 5e-6 for 200 epochs
    own_steps: int = 200
    own_batch: int = 16
    furthest_lead: int = 8  # half rows by which a person's lips may be earlier or later than others'

    @property
    def halo(self) -> int:
        """Rows to each side that one row depends on."""
        return self.layers * self.reach + self.taps + (self.furthest_lead + 1) // 2

    @classmethod
    def preset(cls, name: str) -> ExpressionConfig:
        """smoke for tests, cpu for a laptop, gpu for long training."""
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}: use one of {', '.join(PRESETS)}")
        if name == "smoke":
            return cls(window=50, batch=4, steps=20, own_steps=10, own_batch=4)
        # The network has one shape, so that every preset starts from the bundled weights.
        if name == "gpu":
            return cls(batch=64, steps=40_000, rate=5e-4, own_steps=1000, own_batch=32)
        return cls()

    def plan(self, personal: bool, seed: int = 0) -> Plan:
        """How the engine is to train."""
        if personal:
            return Plan(
                steps=self.own_steps,
                batch=self.own_batch,
                averaged_steps=50.0,
                evaluate_every=max(1, self.own_steps // 20),
                patience=5,
                seed=seed,
            )
        return Plan(
            steps=self.steps,
            batch=self.batch,
            averaged_steps=200.0,
            evaluate_every=max(1, self.steps // 20),
            patience=0,
            seed=seed,
        )

    def without_memory(self) -> ExpressionConfig:
        """As many parameters, but in the decoder: what the memory is held against."""
        spare = 2 * self.slots * self.width + 2 * self.width**2
        return replace(
            self, slots=0, hidden=self.hidden + round(spare / (self.layers * (2 * self.width + 1)))
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> ExpressionConfig:
        """What `as_dict` gave, also after JSON made lists of tuples; ValueError for unknown names."""
        known = {field.name for field in fields(cls)}
        strange = sorted(set(told) - known)
        if strange:
            raise ValueError(f"an expression configuration has no {strange[0]!r}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
        }
        return cls(**values)
