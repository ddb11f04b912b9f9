"""The flow `train_acoustic`: synthesizes speech, trains the embedded acoustic network on it, saves weights.

Called by the command line. A run that was interrupted finds the speech that it had made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.engine import call
from flows.ingest import Watch, no_progress
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import run
from tasks.acoustic.presets import PRESETS, Preset
from tasks.acoustic.work import TrainedWeights, synthesize, train_weights

__all__ = ["AcousticTrained", "train_acoustic"]


@dataclass(frozen=True)
class AcousticTrained:
    """Weights, and what they took."""

    weights: TrainedWeights
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return {"weights": [{**self.weights.as_dict(), "seconds": self.seconds}]}


def train_acoustic(
    *,
    home: str | None = None,
    preset: str = "full",
    hours: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    output: Path | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] | None = None,
) -> AcousticTrained:
    """Train from nothing; without `output` the weights go where the home's own are looked for first."""
    wanted = _wanted(preset, hours, steps, seed)
    place = Home(home)
    file = output or place.path("weights/acoustic.safetensors")
    if file.suffix != ".safetensors":
        raise RequestError("weights are a .safetensors file", where=file, do="give it that suffix")
    begun = time.monotonic()
    arguments = {"preset": preset, "hours": wanted.hours, "steps": wanted.steps, "seed": seed}
    with run(Ledger(place.objects), "train_acoustic", arguments=arguments):
        with watch("synthesizing speech", 1, 2) as progress:
            data = call(synthesize, wanted, place.workspace_root() / "acoustic", progress, name="synthesize")
        if tell is not None:
            tell(f"{data.takes} takes of 24 s by {data.voices} voices in {data.folder}")
        with watch("training", 2, 2) as progress:
            made = call(train_weights, wanted, data, file, progress, name="train")
    return AcousticTrained(made, round(time.monotonic() - begun, 1))


def _wanted(preset: str, hours: float | None, steps: int | None, seed: int) -> Preset:
    if preset not in PRESETS:
        raise RequestError(f"no preset is called {preset!r}", do=f"use one of {', '.join(PRESETS)}")
    return PRESETS[preset].changed(hours=hours, steps=steps, seed=seed)
