"""Every number of the renderer, by preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from models.training.plan import Plan

__all__ = ["RendererConfig", "renderer_config"]


@dataclass(frozen=True)
class RendererConfig:
    """What the network is, what it is trained with, and how long."""

    side: int = 128  # of the canvas, pixels
    widths: tuple[int, ...] = (32, 64, 96, 128)  # from half the canvas downwards
    residuals: int = 1  # blocks at every size
    norm: bool = False
    memory: bool = True  # off: to see what the memory is worth
    found: int = 3  # slots that are read for a frame
    turn_mm: float = 10.0  # what a radian of the head's turn counts beside millimetres of the mouth
    recurrent: bool = False
    window: int = 1  # frames that are trained together
    neighbours: int = 25  # frames on either side of one that may not be its memory
    rate: float = 8e-4
    mouth: float = 4.0  # the mouth's weight in a mask of weight 1
    around: float = 0.15  # and that of what is not masked
    perceptual: float = 1.0
    adversarial: float = 0.0  # 0: nobody tells apart
    told_from: float = 0.4  # share of the steps after which somebody does
    key_noise_mm: float = 0.3
    shifted: float = 0.3  # share of samples whose expression is a neighbouring frame's
    plan: Plan = field(default_factory=lambda: Plan(steps=1500, batch=8))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> RendererConfig:
        plan = told.get("plan", {})
        fields = {**told, "widths": tuple(told["widths"]), "plan": Plan(**dict(plan))}
        return cls(**fields)


_GPU_PLAN = Plan(
    steps=40000,
    batch=4,
    clip=0.5,
    averaged_steps=1000,
    evaluate_every=1000,
    patience=12,
    precision="bfloat16",
    channels_last=True,
)
_GPU = RendererConfig(
    side=256,
    widths=(48, 96, 192, 384, 384),
    norm=True,
    found=5,
    recurrent=True,
    window=8,
    rate=1e-4,
    adversarial=0.05,
    told_from=0.1,
    plan=_GPU_PLAN,
)
_PRESETS = {
    "smoke": RendererConfig(
        side=64,
        widths=(12, 16, 24),
        found=2,
        plan=Plan(steps=40, batch=4, averaged_steps=10, evaluate_every=20, patience=0),
    ),
    # 0.3 s of one core a step for somebody at 128 pixels; 13 ms to draw a frame, 3 of them for the memory.
    "cpu": RendererConfig(
        widths=(48, 80, 128, 160),
        adversarial=0.05,
        told_from=0.5,
        plan=Plan(
            steps=3000,
            batch=8,
            averaged_steps=150,
            evaluate_every=200,
            patience=4,  # a few seconds of footage are learned by heart long before the end
            precision="bfloat16",
            channels_last=True,
        ),
    ),
    "gpu": _GPU,
    # Four times the pixels; steps as long, so fewer frames of them.
    "gpu-512": replace(_GPU, side=512, widths=(32, 64, 128, 256, 384, 384), window=6, plan=_GPU_PLAN),
}


def renderer_config(preset: str) -> RendererConfig:
    """ValueError for a preset that there is not."""
    if preset not in _PRESETS:
        raise ValueError(f"no preset {preset!r}; there are {', '.join(_PRESETS)}")
    return _PRESETS[preset]
