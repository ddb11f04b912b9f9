"""The floor under all methods: no network. The nearest slot's picture, turned to the head, in its colours.

Without a network nothing is known of speech but how loud it is: the jaw follows that. Whoever has better
motion hands it to `draw`, as comparisons do. Found by `models.methods.find_method`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from models.canvas import matched, sample
from models.canvas.mask import guard_of
from models.canvas.template import Canvases
from models.memory.explicit import nearest
from models.memory.reading import keys_of, sized
from models.methods import Drawn, Heard, Motion, Person, Sound, Stage, Template, Trainee, View
from models.morphable.builtin import builtin
from models.training.bundle import Bundle

__all__ = ["Nearest", "NearestConfig", "NearestSpeaker"]

_SIDES = {"smoke": 64, "cpu": 128, "gpu": 256}
_QUIET, _LOUD = -45.0, -15.0  # LUFS between which a jaw goes from shut to open
_SWING = 1.6  # deviations of the person's own jaw to each side of its mean
_FOLLOW = 0.6  # of what is heard, how much is new in a row; the rest is what was


@dataclass(frozen=True)
class NearestConfig:
    """The canvas's side is all there is to choose."""

    side: int = 128

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Nearest:
    """See `models.methods.Method`."""

    name = "nearest"
    version = 1

    def config(self, preset: str) -> NearestConfig:
        if preset not in _SIDES:
            raise ValueError(f"no preset {preset!r}; there are {', '.join(_SIDES)}")
        return NearestConfig(_SIDES[preset])

    def config_from(self, told: Mapping[str, Any]) -> NearestConfig:
        return NearestConfig(**dict(told))

    def stages(self, config: NearestConfig) -> tuple[Stage, ...]:
        return ()

    def trainee(
        self, stage: str, config: NearestConfig, bundle: Bundle, start: Mapping[str, Tensor] | None
    ) -> Trainee:
        raise ValueError("nearest has nothing to train")

    def speaker(
        self, config: NearestConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> NearestSpeaker:
        return NearestSpeaker(config, person)


class NearestSpeaker:
    """See `models.methods.Speaker`."""

    rate: float | None = 25.0

    def __init__(self, config: NearestConfig, person: Person) -> None:
        if person.memory is None:
            raise ValueError("nearest shows what is remembered: remember this person first")
        self._side, self._person = config.side, person
        self._keys = person.memory.keys.flatten(1)
        self._patches = sized(person.memory.patches, config.side)
        self._canvases: Canvases | None = None
        jaw = builtin().names.index("jaw_open")
        mean = person.statistics.get("expression_mean", torch.zeros(64)).float()
        deviation = person.statistics.get("expression_std", torch.full((64,), 0.2)).float()
        self._shut, self._open = mean.clone(), mean.clone()
        self._shut[jaw] -= _SWING * deviation[jaw]
        self._open[jaw] += _SWING * deviation[jaw]

    def listen(self, sound: Sound) -> Iterator[Motion]:
        """A row for every two of sound; looks nowhere ahead."""
        held, loud = torch.zeros(0), torch.zeros(())
        for heard in sound:
            held = torch.cat([held, _loudness(heard)])
            whole = len(held) // 2 * 2
            rows = []
            for value in held[:whole].unflatten(0, (-1, 2)).mean(1):
                loud = loud + _FOLLOW * (value - loud)
                rows.append(loud)
            held = held[whole:]
            if rows:
                yield self._motion(torch.stack(rows))
        if len(held):
            yield self._motion(held[:1])

    def _motion(self, loud: Tensor) -> Motion:
        return Motion(torch.lerp(self._shut, self._open, loud[:, None]))

    def meet(self, template: Template) -> None:
        self._canvases = Canvases(self._person, template, self._side)

    def draw(self, view: View) -> Drawn:
        assert self._canvases is not None, "meet the template first"
        at = self._canvases.places[view.frames]
        canvas = sample(view.pictures, at, self._side)
        alpha = self._canvases.alpha(view.fit, at)
        slots = nearest(keys_of(self._person.identity, view.motion.expression), self._keys, 1)[1][:, 0]
        patches = matched(self._patches[slots], canvas, alpha, guard_of(at))
        return Drawn(patches, at, alpha * view.speaks.to(alpha.dtype)[:, None, None])


def _loudness(heard: Heard) -> Tensor:
    """0 to 1 (n,); 0 where nobody speaks."""
    level = ((heard.loudness.float() - _QUIET) / (_LOUD - _QUIET)).clamp(0, 1)
    return level * heard.voice.float()
