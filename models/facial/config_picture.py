"""Every number of render-to-video, by preset: rendered faces in, frames out.

Tags: [paper] what the paper says, [code] what its authors' code does, [ours] chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from models.training.plan import Plan

__all__ = ["AFTER", "BEFORE", "PictureConfig", "picture_config"]

# Render frames around the one that is drawn: ten in all. [code]
BEFORE, AFTER = 6, 3


@dataclass(frozen=True)
class PictureConfig:
    """What the networks are, what is minimised, and how long."""

    side: int = 256  # of the canvas, pixels; [paper] 512
    light: bool = True  # [ours] a small U-Net; off: pix2pixHD's generator [paper]
    widths: tuple[int, ...] = (32, 64, 96, 128, 160)  # of the small one, from half the canvas downwards
    residuals: int = 1
    eyes: bool = True  # off: no eye attention map, to see what it is worth
    still: bool = True  # [ours] what lies behind is shown to the network, which says where it is seen
    critics: int = 2  # scales that are told apart; [paper] 3
    critic_width: int = 24  # [paper] 64
    features: float = 2.0  # [paper]
    perception: float = 10.0  # [paper]
    pixels: float = 50.0  # [paper]
    fooled: float = 1.0  # [paper]; 0: nobody tells apart
    told_from: float = 0.0  # share of a person's steps after which somebody does; of many people nobody
    face: float = 3.0  # [ours] how much more the face matters than the rest of the hole; eyes twice that
    drawn: float = 0.02  # [ours] what it costs to draw where what lies behind would do
    blinking: float = 0.2  # [ours] share of a batch in which lids are down: else it is one frame in twenty
    rate: float = 1e-4  # [code]
    plan: Plan = field(default_factory=lambda: Plan(steps=2000, batch=4))
    # [ours] of one person, from bundled weights where there are any; else all is as above
    general: str | None = None
    own: Plan | None = None
    own_rate: float = 1e-4

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> PictureConfig:
        """What `as_dict` gave, also after JSON made lists of tuples."""
        own = None if told["own"] is None else Plan(**told["own"])
        plans = {"plan": Plan(**told["plan"]), "own": own}
        return cls(**{**told, "widths": tuple(told["widths"]), **plans})


_FAST: dict[str, Any] = {"precision": "bfloat16", "channels_last": True}
_PRESETS = {
    "smoke": PictureConfig(
        side=64,
        widths=(8, 12, 16),
        critics=1,
        critic_width=8,
        rate=2e-3,
        plan=Plan(steps=30, batch=2, averaged_steps=5, evaluate_every=15, patience=0),
    ),
    "cpu": PictureConfig(
        rate=6e-4,
        fooled=0.5,
        told_from=0.5,
        plan=Plan(steps=1400, batch=4, averaged_steps=100, evaluate_every=200, patience=0, **_FAST),
        own=Plan(steps=900, batch=4, averaged_steps=60, evaluate_every=150, patience=0, **_FAST),
        general="facial_picture",
        own_rate=4e-4,
    ),
    # 50 passes over three minutes of footage, at half the paper's batches of one.
    "gpu": PictureConfig(
        side=512,
        light=False,
        critics=3,
        critic_width=64,
        plan=Plan(steps=135_000, batch=2, averaged_steps=1000, evaluate_every=2000, patience=0, **_FAST),
    ),
}


def picture_config(preset: str) -> PictureConfig:
    """ValueError for a preset that there is not."""
    if preset not in _PRESETS:
        raise ValueError(f"no preset {preset!r}; there are {', '.join(_PRESETS)}")
    return _PRESETS[preset]
