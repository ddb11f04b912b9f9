"""Every number of FACIAL's performer: sound to head pose, blinks and expression.

Tags: [paper] said in the paper, [code] read in its authors' code, [ours] chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.training.plan import Plan

__all__ = ["AROUND", "PERFORMER_PRESETS", "RATE", "SYMBOLS", "PerformerConfig", "TermWeights"]

PERFORMER_PRESETS = ("smoke", "cpu", "gpu")
RATE = 30.0  # [paper] rows a second
SYMBOLS = 29  # [paper] of the network that hears
AROUND = 16  # [paper] rows of sound that a frame's own window has: 8 before, itself, 7 after


@dataclass(frozen=True)
class TermWeights:
    """How much each term counts: mean squares of misses, and of misses of change from row to row."""

    expression: float
    expression_change: float
    pose: float
    pose_change: float
    blink: float
    blink_change: float
    beginning: float  # absolute misses of a window's first row
    fooled: float  # the game between generator and critic


# [paper] 2, 1, 5 of the groups, 10 of their changes, 10 of the beginning, 0.1 of the game.
_PAPER = TermWeights(2.0, 20.0, 1.0, 10.0, 5.0, 50.0, 10.0, 0.1)
# [code] of the fine-tuning script, but that the beginning counts every column once.
_CODE = TermWeights(20.0, 200.0, 1.0, 10.0, 0.5, 1.0, 10.0, 0.1)


@dataclass(frozen=True)
class PerformerConfig:
    """The networks, their losses, and how general weights and a person's own are trained."""

    width: int = 256  # [code] of the contextual branch
    critics: tuple[int, ...] = (64, 128, 256, 512)  # [code]
    context: bool = True  # [paper]; False: the contextual branch says nothing
    phonetic: bool = True  # [paper]; False: frames are not heard one by one
    adversarial: bool = True  # [paper]; False: no critic
    lone_pose: bool = False  # [ours] only the pose is asked for, which the paper holds joint learning against
    window: int = 128  # [paper] rows
    stride: int = 5  # [paper] rows from window to window
    centred: bool = True  # [ours] expression is told less the person's mean; [code] as it is
    # At work, all [ours].
    joint: int = 12  # rows over which windows are faded into each other; [code] 1
    moments: bool = True  # pose as lively as the person's own, slow and quick motion each
    blinks: bool = True  # where a blink is expected most the person's own blink is shown
    temper: float = 0.3  # [ours] how much surer or less sure of its symbols a voice may be; general training
    # Losses.
    general_terms: TermWeights = _PAPER
    own_terms: TermWeights = _CODE
    # General training: [paper] batch 64, 50 epochs; its rate is not told.
    rate: float = 1e-4
    batch: int = 64
    steps: int = 40_000
    # A person's own: [code] 1e-5 and batch 16; [paper] 10 epochs.
    own_rate: float = 1e-5
    own_batch: int = 16
    own_steps: int = 600

    @classmethod
    def preset(cls, name: str) -> PerformerConfig:
        """smoke for tests, cpu for a laptop, gpu for the networks as they were published."""
        if name not in PERFORMER_PRESETS:
            raise ValueError(f"no preset {name!r}: use one of {', '.join(PERFORMER_PRESETS)}")
        if name == "gpu":
            return cls()
        # [ours] Few steps ask for light networks and higher rates. By the weights of the paper most of the
        # loss are blinks, which nobody can foretell; by those of its code lips are learned. The game counts.
        terms = replace(_CODE, fooled=1.0)
        light = cls(
            width=96,
            critics=(16, 32, 64, 64),
            general_terms=terms,
            own_terms=terms,
            rate=7e-4,
            batch=8,
            steps=2000,
            own_rate=3e-4,
            own_steps=300,
        )
        if name == "cpu":
            return light
        return cls.from_dict(
            light.as_dict()
            | {"width": 32, "critics": (8, 8, 16, 16), "batch": 2, "steps": 6, "own_batch": 2, "own_steps": 4}
        )

    def terms(self, personal: bool) -> TermWeights:
        """The losses' weights."""
        return self.own_terms if personal else self.general_terms

    def plan(self, personal: bool, seed: int = 0) -> Plan:
        """How the engine is to train."""
        steps = self.own_steps if personal else self.steps
        return Plan(
            steps=steps,
            batch=self.own_batch if personal else self.batch,
            averaged_steps=50.0 if personal else 200.0,
            evaluate_every=max(1, steps // 10),
            patience=0,
            seed=seed,
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> PerformerConfig:
        """What `as_dict` said, JSON in between or not; KeyError and TypeError for anything else."""
        groups = {name: TermWeights(**told[name]) for name in ("general_terms", "own_terms")}
        return cls(**{**told, **groups, "critics": tuple(told["critics"])})
