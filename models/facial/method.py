"""FACIAL: head, blinks and face are performed from sound, and a picture is drawn of them.

Stages are a person's own: who performs and who draws, both from general weights where there are any; and
at small presets an ear, whose lips are surer than what the performer learns of lips in minutes. A head is
performed within where the template's was filmed, about how it was held there; where a user wants the
template's own pose, only lips and lids are performed. Found by `models.methods.find_method`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from models.facial.bounds import Range
from models.facial.clocks import Reread
from models.facial.columns import BLINK, BLINK_MOST, EXPRESSION, Statistics, from_columns, to_columns
from models.facial.config import FacialConfig, facial_config
from models.facial.config_performer import RATE as PERFORMED
from models.facial.painter import Painter
from models.facial.performing import load_performer, perform
from models.facial.training_performer import ARRAYS, PerformerTrainee
from models.facial.training_picture import PICTURE_ARRAYS, PictureTrainee
from models.memface.expression import ARRAYS as EAR_ARRAYS
from models.memface.expression import ExpressionTrainee, listen, load_expression
from models.memface.listening import RATE as HEARD
from models.methods import Drawn, Motion, Person, Sound, Stage, Template, Trainee, View
from models.morphable.builtin import builtin
from models.training.bundle import Bundle

__all__ = ["Facial", "FacialSpeaker"]

EAR, PERFORMER, PICTURE = "expression", "performer", "picture"


class Facial:
    """See `models.methods.Method`."""

    name = "facial"
    version = 2
    perceives = (PICTURE,)
    behind = True
    poses = True
    training_only: tuple[str, ...] = ("critic",)

    def config(self, preset: str) -> FacialConfig:
        return facial_config(preset)

    def config_from(self, told: Mapping[str, Any]) -> FacialConfig:
        return FacialConfig.from_dict(told)

    def stages(self, config: FacialConfig) -> tuple[Stage, ...]:
        picture = config.picture
        ear = Stage(EAR, True, (*EAR_ARRAYS, "mel"), "memface_expression")
        return (
            *((ear,) if config.hearing == "ear" else ()),
            Stage(PERFORMER, True, ARRAYS, config.general),
            Stage(PICTURE, True, PICTURE_ARRAYS, picture.general, picture.side),
        )

    def trainee(
        self, stage: str, config: FacialConfig, bundle: Bundle, start: Mapping[str, Tensor] | None
    ) -> Trainee:
        if stage == EAR and config.hearing == "ear":
            return ExpressionTrainee(config.listening, bundle, start)
        if stage == PERFORMER:
            return PerformerTrainee(config.performer, bundle, start)
        if stage == PICTURE:
            return PictureTrainee(config.picture, bundle, start)
        raise ValueError(f"facial has no stage {stage!r}")

    def speaker(
        self, config: FacialConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> FacialSpeaker:
        return FacialSpeaker(config, weights, person)


class FacialSpeaker:
    """See `models.methods.Speaker`."""

    def __init__(
        self, config: FacialConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> None:
        self._net = load_performer(config.performer, weights[PERFORMER])
        self._ear = load_expression(config.listening, weights[EAR]) if config.hearing == "ear" else None
        self.rate: float | None = PERFORMED if self._ear is None else HEARD
        self._lips = torch.from_numpy(builtin().coefficients_of(config.listening.groups))
        self._painter = Painter(config.picture, weights[PICTURE], person)
        self.reach = self._painter.reach
        self._filmed: _Filmed | None = None

    def meet(self, template: Template) -> None:
        self._filmed = _Filmed(template)
        self._painter.meet(template)

    def listen(self, sound: Sound) -> Iterator[Motion]:
        filmed = self._filmed
        assert filmed is not None, "meet the template first: heads are held as they are there"
        for rows in self._performed(sound, filmed.statistics):
            rows = filmed.range.within(rows)
            turn, moved = from_columns(rows, filmed.camera.expand(len(rows), -1), *filmed.size)
            yield Motion(rows[:, EXPRESSION], turn, moved, rows[:, BLINK] / BLINK_MOST)

    def _performed(self, sound: Sound, statistics: Statistics) -> Iterator[Tensor]:
        """Rows (n, 71), `rate` a second, with the ear's lips where there is one."""
        if self._ear is None:
            yield from perform(self._net, sound, statistics)
            return
        # Both listen to one sound, and what one is ahead of the other is all that is held of it.
        sound, again = itertools.tee(sound)
        performed = Reread(perform(self._net, again, statistics), PERFORMED, HEARD)
        done = 0
        for heard in listen(self._ear, sound):
            rows = performed.read(done, done + len(heard))
            rows[:, EXPRESSION][:, self._lips] = heard[:, self._lips]
            done += len(rows)
            yield rows

    def draw(self, view: View) -> Drawn:
        assert self._filmed is not None, "meet the template first"
        if not self._filmed.shows(view.frames):
            view = _kept(view)
        return self._painter.draw(view)


def _kept(view: View) -> View:
    """With heads as they were filmed: what was performed was performed for another shot."""
    near = view.near and view.near._replace(motion=_unmoved(view.near.motion))
    return view._replace(motion=_unmoved(view.motion), near=near)


def _unmoved(motion: Motion) -> Motion:
    return motion._replace(rotation=None, translation=None)


class _Filmed:
    """How a template's head is held, and where it goes, in the shot that is mostly shown."""

    def __init__(self, template: Template) -> None:
        fit, seen = template.fit, template.seen.bool().clone()
        start, stop = template.walked or (0, len(seen))
        seen[:start], seen[stop:] = False, False
        own = seen & (template.shot == template.shot[seen].mode().values)
        self._own = template.shot == template.shot[own][0]
        self.size = (template.height, template.width)
        self.camera = fit.camera[own].median(0).values
        nothing = torch.zeros(int(own.sum()))
        parts = (fit.rotation[own], fit.translation[own], fit.camera[own], nothing, fit.expression[own])
        rows = to_columns(*(part.float() for part in parts), *self.size)
        self.statistics, self.range = Statistics.of(rows), Range.of(rows)

    def shows(self, frames: Tensor) -> bool:
        """Whether these frames of one shot are of that shot."""
        return bool(self._own[frames[0]])
