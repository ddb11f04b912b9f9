"""How big a training is: `smoke` for tests, `full` for the weights that the package carries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.acoustic.config import AcousticConfig
from storage.errors import RequestError
from tasks.acoustic.training import Recipe

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """Hours of speech, the network, trainings one after another; no `engines` means all that are there."""

    hours: float
    config: AcousticConfig
    recipes: tuple[Recipe, ...]
    takes_a_shard: int = 64
    engines: tuple[str, ...] = ()

    def changed(self, hours: float | None, steps: int | None, seed: int) -> Preset:
        """The same with other numbers; a wrong one is a RequestError."""
        if hours is not None and not 0 < hours <= 10_000:
            raise RequestError(f"{hours} hours of speech cannot be made", do="use more than 0, up to 10000")
        if steps is not None and not 0 < steps <= 10_000_000:
            raise RequestError(f"{steps} steps cannot be trained", do="use more than 0, up to 10000000")
        recipes = [replace(recipe, seed=seed) for recipe in self.recipes]
        if steps is not None:
            # The first is the long one; the others follow in proportion.
            whole = recipes[0].steps
            recipes = [replace(one, steps=max(1, round(steps * one.steps / whole))) for one in recipes]
        return replace(self, hours=hours or self.hours, recipes=tuple(recipes))

    @property
    def steps(self) -> int:
        return sum(recipe.steps for recipe in self.recipes)


PRESETS = {
    "full": Preset(
        24.7,
        AcousticConfig(),
        (
            Recipe(4000, shape_weight=8.0, lips_weight=5.0, kept_weight=0.5, noise=0.0),
            # What the symbols say of phones and lips is sharpened once the spectrum's shape is in them.
            Recipe(1800, rate=1e-3, shape_weight=3.0, averaged_steps=200, noise=0.0),
            # Most who will be dubbed first speak English; the other languages stay in.
            Recipe(1600, rate=1e-3, english=0.85, averaged_steps=200),
        ),
    ),
    "smoke": Preset(
        0.02,
        AcousticConfig(width=16, bottleneck=8, dilations=(1, 2)),
        (Recipe(4, batch=2, averaged_steps=2), Recipe(2, batch=2, averaged_steps=2)),
        takes_a_shard=2,
        engines=("espeak",),
    ),
}
