"""How big a training is: `smoke` for tests, `full` for the weights that the package carries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.acoustic.config import AcousticConfig
from storage.errors import RequestError
from tasks.acoustic.training import Recipe

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """Hours of speech, the network, the training; `engines` none means every synthesizer that is there."""

    hours: float
    config: AcousticConfig
    recipe: Recipe
    takes_a_shard: int = 64
    engines: tuple[str, ...] = ()

    def changed(self, hours: float | None, steps: int | None, seed: int) -> Preset:
        """The same with other numbers; a wrong one is a RequestError."""
        if hours is not None and not 0 < hours <= 10_000:
            raise RequestError(f"{hours} hours of speech cannot be made", do="use more than 0, up to 10000")
        if steps is not None and not 0 < steps <= 10_000_000:
            raise RequestError(f"{steps} steps cannot be trained", do="use more than 0, up to 10000000")
        recipe = replace(self.recipe, steps=steps or self.recipe.steps, seed=seed)
        return replace(self, hours=hours or self.hours, recipe=recipe)


PRESETS = {
    "full": Preset(16.0, AcousticConfig(), Recipe(3000)),
    "smoke": Preset(
        0.02,
        AcousticConfig(width=16, bottleneck=8, dilations=(1, 2)),
        Recipe(4, batch=2, averaged_steps=2),
        takes_a_shard=2,
        engines=("espeak",),
    ),
}
