"""The two stages of an acoustic training, as `flows.train_acoustic` calls them: speech, then weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tasks.acoustic.export import save_weights
from tasks.acoustic.presets import Preset
from tasks.acoustic.store import Plan, make, shards
from tasks.acoustic.training import Trained, train

__all__ = ["SpokenData", "TrainedWeights", "synthesize", "train_weights"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SpokenData:
    """Where takes lie, and how many of them by how many voices."""

    folder: Path
    shards: int
    takes: int
    voices: int
    engines: tuple[str, ...]


@dataclass(frozen=True)
class TrainedWeights:
    """The file, and how well the last steps' frames were told apart (on speech that was trained on)."""

    file: Path
    bytes: int
    loss: float
    accuracy: float

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "file": str(self.file)}


def synthesize(preset: Preset, folder: Path, progress: Progress | None = None) -> SpokenData:
    """Make the takes that are not there yet."""
    plan = Plan.of_this_machine(preset.hours, preset.takes_a_shard, preset.engines)
    place = make(plan, preset.config, folder, progress or _nothing)
    engines = tuple(sorted({voice.engine for voice in plan.voices}))
    return SpokenData(place, plan.shards, plan.shards * plan.takes_a_shard, len(plan.voices), engines)


def train_weights(
    preset: Preset, data: SpokenData, file: Path, progress: Progress | None = None
) -> TrainedWeights:
    """Train and save; one thread, since a step is too small to share and the result must not depend on it."""
    heard = progress or _nothing
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        done = _trained(preset, data, heard)
    finally:
        torch.set_num_threads(before)
    told = {
        "recipes": [asdict(recipe) for recipe in preset.recipes],
        "takes": data.takes,
        "voices": data.voices,
        "engines": data.engines,
    }
    save_weights(done.network, file, told)
    return TrainedWeights(file, file.stat().st_size, round(done.losses[-1], 4), round(done.accuracy, 4))


def _trained(preset: Preset, data: SpokenData, heard: Progress) -> Trained:
    takes, start, before = list(shards(data.folder, data.shards)), None, 0
    for recipe in preset.recipes:

        def tell(step: int, _loss: float, _accuracy: float, before: int = before) -> None:
            heard(before + step + 1, preset.steps)

        done = train(takes, preset.config, recipe, tell, start)
        start, before = done.network, before + recipe.steps
    return done


def _nothing(done: int, of: int) -> None:
    """Nobody watches."""
