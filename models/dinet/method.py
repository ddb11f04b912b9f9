"""DINet: anybody's talking face, out of five pictures of the person.

General weights draw people whom they have never seen; a short training on a person is optional. With the
ear, sound becomes expression as in MemFace, and the network is told the mouth's shape; with symbols it hears
by itself, as in the paper. Found by `models.methods.find_method`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from models.canvas.framing import TALL
from models.dinet.config import Course, DINetConfig, dinet_config
from models.dinet.hearing import AROUND, SYMBOLS, listen_symbols, silent_symbols
from models.dinet.material import arrays_of, scored
from models.dinet.network import REFERENCES
from models.dinet.painter import Painter
from models.dinet.training import DrawerTrainee
from models.memface.expression import ARRAYS, ExpressionTrainee, listen, load_expression
from models.methods import Drawn, Motion, Person, Sound, Stage, Template, Trainee, View
from models.morphable.mouth_shape import MouthShape
from models.training.bundle import Bundle

__all__ = ["DINet", "DINetSpeaker"]


class DINet:
    """See `models.methods.Method`."""

    name = "dinet"
    version = 1
    perceives = ("frame64", "frame", "frame128", "frame256", "clip256")
    references = REFERENCES
    training_only: tuple[str, ...] = ("critic", "clip_critic")

    def config(self, preset: str) -> DINetConfig:
        return dinet_config(preset)

    def config_from(self, told: Mapping[str, object]) -> DINetConfig:
        return DINetConfig.from_dict(told)

    def stages(self, config: DINetConfig) -> tuple[Stage, ...]:
        ear = Stage("expression", True, (*ARRAYS, "mel"), "memface_expression")
        courses = tuple(_stage(config, course) for course in config.courses)
        return (ear, *courses) if config.hearing == "ear" else courses

    def trainee(
        self, stage: str, config: DINetConfig, bundle: Bundle, start: Mapping[str, Tensor] | None
    ) -> Trainee:
        if stage == "expression" and config.hearing == "ear":
            return ExpressionTrainee(config.listening, bundle, start)
        return DrawerTrainee(config.course(stage), config, bundle, start)

    def speaker(
        self, config: DINetConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> DINetSpeaker:
        return DINetSpeaker(config, weights, person)


def _stage(config: DINetConfig, course: Course) -> Stage:
    last = course is config.courses[-1]
    return Stage(
        course.name,
        last,
        arrays_of(config, course),
        config.general if last else None,
        course.side,
        TALL,
        optional=last and config.general is not None,
        teachers=("sync",) if scored(config, course) else (),
    )


class DINetSpeaker:
    """See `models.methods.Speaker`."""

    rate: float | None = 25.0

    def __init__(
        self, config: DINetConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> None:
        self._ear = None
        if config.hearing == "ear":
            self._ear = load_expression(config.listening, weights["expression"])
        else:
            self.silence = silent_symbols()
        self._shape = MouthShape()
        self._painter = Painter(config, weights[config.courses[-1].name], person)

    def listen(self, sound: Sound) -> Iterator[Motion]:
        if self._ear is None:
            yield from listen_symbols(sound)
            return
        for rows in listen(self._ear, sound):
            yield Motion(rows)

    def meet(self, template: Template) -> None:
        self._painter.meet(template)

    def draw(self, view: View) -> Drawn:
        return self._painter.draw(view, self._told(view.motion))

    def _told(self, motion: Motion) -> Tensor:
        """(B, 5, K)."""
        if self._ear is None:
            assert motion.heard is not None
            return motion.heard.float().reshape(-1, 2 * AROUND + 1, SYMBOLS)
        if motion.around is not None:
            return self._shape(motion.around)
        # Whoever hands over single rows means mouths that stand still.
        return self._shape(motion.expression)[:, None].expand(-1, 2 * AROUND + 1, -1)
