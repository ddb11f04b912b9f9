"""The smallest method that dubs: no weights, no memory; the mouth becomes a square whose colour is the jaw's.

Its alpha is a disc with a soft edge. `trail` frames before each one shade its colour, as of a speaker with a
memory.
"""

from __future__ import annotations

import os
import threading
import wave
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models import methods
from models.methods import Drawn, Motion, Person, Sound, Stage, Template, View

__all__ = ["NAME", "SIDE", "Painted", "PaintedConfig", "PaintedSpeaker", "register", "wav"]

NAME, SIDE = "painted", 32


@dataclass(frozen=True)
class PaintedConfig:
    rate: float | None = 25.0
    trail: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class PaintedSpeaker:
    """Draws in the middle of the picture."""

    def __init__(self, config: PaintedConfig) -> None:
        self.rate, self.trail = config.rate, config.trail
        self.shown: list[float] = []
        self.run = -1
        self.frames: list[int] = []  # that it was asked for

    def listen(self, sound: Sound) -> Iterator[Motion]:
        held = torch.zeros(0)
        for heard in sound:
            held = torch.cat([held, heard.loudness])
            whole = len(held) // 2 * 2
            if whole:
                yield _motion(held[:whole].reshape(-1, 2).mean(1))
            held = held[whole:]
        if len(held):
            yield _motion(held)

    def meet(self, template: Template) -> None:
        self.template, self.shown = template, []

    def draw(self, view: View) -> Drawn:
        self.frames += view.frames.tolist()
        _halted(view)
        colours = []
        for run, jaw in zip(view.run.tolist(), view.motion.expression[:, 0].tolist(), strict=True):
            self.shown = self.shown if run == self.run else []
            self.run = run
            self.shown = [*self.shown, jaw][-self.trail - 1 :]
            colours.append(float(np.mean(self.shown)))
        count, middle = len(colours), (self.template.width / 2, self.template.height / 2)
        colour = (torch.tensor(colours) * 255).clamp(0, 255).to(torch.uint8)
        patches = colour[:, None, None, None].expand(count, SIDE, SIDE, 3).contiguous()
        place = torch.tensor([[1.0, 0.0, middle[0] - SIDE / 2], [0.0, 1.0, middle[1] - SIDE / 2]])
        alpha = disc().expand(count, SIDE, SIDE) * view.speaks[:, None, None]
        return Drawn(patches, place.expand(count, 2, 3).clone(), alpha)


def _halted(view: View) -> None:
    """As told from outside: stand still at a frame, so that a test can kill at a known moment."""
    limit = os.environ.get("PAINTED_HALT")
    if limit is not None and int(view.frames.max()) >= int(limit):
        threading.Event().wait()


def disc() -> Tensor:
    at = torch.arange(SIDE) + 0.5 - SIDE / 2
    return ((SIDE / 2 - 3 - (at[:, None] ** 2 + at**2).sqrt()) / 4).clamp(0, 1)


def _motion(loudness: Tensor) -> Motion:
    rows = torch.zeros(len(loudness), 64)
    rows[:] = ((loudness + 60) / 60).clamp(0, 1)[:, None]
    return Motion(rows)


class Painted:
    name = NAME
    version = 1

    def config(self, preset: str) -> PaintedConfig:
        if preset not in ("smoke", "cpu"):
            raise ValueError(f"no preset {preset!r}")
        return PaintedConfig(trail=0 if preset == "cpu" else 3)

    def config_from(self, told: Mapping[str, Any]) -> PaintedConfig:
        return PaintedConfig(**told)

    def stages(self, config: PaintedConfig) -> tuple[Stage, ...]:
        return (Stage("none", False, ()),)

    def trainee(self, *_: Any) -> Any:
        raise NotImplementedError

    def speaker(
        self, config: PaintedConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> PaintedSpeaker:
        return PaintedSpeaker(config)


def register() -> None:
    """Make it known by its name, in this process."""
    methods.METHODS[NAME] = f"{__name__}:Painted"


def wav(
    path: Path, seconds: float, *, rate: int = 16_000, channels: int = 1, width: int = 2, gain: float = 0.3
) -> Path:
    """A hum that swells and fades, with a pause in the middle."""
    t = np.arange(round(seconds * rate)) / rate
    hum = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 8))
    hum = gain * hum * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)) / 2
    hum[(t > 0.45 * seconds) & (t < 0.55 * seconds)] = 0
    samples = np.repeat((hum * (2 ** (8 * width - 1) - 1)).astype("<i4")[:, None], channels, 1)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", "none"))
        raw = samples.reshape(-1, 1).view(np.uint8)[:, :width]
        file.writeframes(raw.tobytes())
    return path
