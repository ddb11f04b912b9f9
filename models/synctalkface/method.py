"""SyncTalkFace: whoever is seen on one frame speaks, mouths coming from a memory that sound addresses.

General weights speak for anybody; a person's own refine them. As the paper has it the talker hears log-mel
itself; on small machines it hears mouth shapes, which MemFace's first network makes of sound and which adapt
to a person in seconds. Found by `models.methods.find_method`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.canvas.framing import FACE
from models.memface.config_expression import ExpressionConfig
from models.memface.expression import ARRAYS, ExpressionTrainee, listen, load_expression
from models.methods import Drawn, Motion, Person, Sound, Stage, Template, Trainee, View
from models.synctalkface.config import TalkerConfig, talker_config
from models.synctalkface.listening import FLOOR, RATE, STEPS, mel_windows
from models.synctalkface.painter import Painter
from models.synctalkface.training import TRAINING_ONLY, TalkerTrainee, arrays_of
from models.training.bundle import Bundle

__all__ = ["SyncTalkFace", "SyncTalkFaceConfig", "SyncTalkFaceSpeaker"]

_EXPRESSIONS, _BANDS = 64, 80


@dataclass(frozen=True)
class SyncTalkFaceConfig:
    """Who listens, where somebody does, and who draws; their own files name every number."""

    talker: TalkerConfig
    listening: ExpressionConfig | None = None

    def as_dict(self) -> dict[str, Any]:
        heard = None if self.listening is None else self.listening.as_dict()
        return {"talker": self.talker.as_dict(), "listening": heard}


class SyncTalkFace:
    """See `models.methods.Method`."""

    name = "synctalkface"
    version = 1
    references = 1
    perceives = ("talker",)
    training_only = TRAINING_ONLY

    def config(self, preset: str) -> SyncTalkFaceConfig:
        talker = talker_config(preset)
        return SyncTalkFaceConfig(
            talker, ExpressionConfig.preset(preset) if talker.hearing == "ear" else None
        )

    def config_from(self, told: Mapping[str, Any]) -> SyncTalkFaceConfig:
        heard = told.get("listening")
        return SyncTalkFaceConfig(
            TalkerConfig.from_dict(told["talker"]),
            None if heard is None else ExpressionConfig.from_dict(heard),
        )

    def stages(self, config: SyncTalkFaceConfig) -> tuple[Stage, ...]:
        talker = config.talker
        draws = Stage(
            "talker",
            True,
            arrays_of(talker),
            talker.general,
            side=talker.side,
            framing=FACE,
            optional=talker.general is not None,
            teachers=("sync",) if talker.audio_visual else (),
        )
        if config.listening is None:
            return (draws,)
        return (Stage("expression", True, (*ARRAYS, "mel"), "memface_expression"), draws)

    def trainee(
        self, stage: str, config: SyncTalkFaceConfig, bundle: Bundle, start: Mapping[str, Tensor] | None
    ) -> Trainee:
        if stage == "talker":
            return TalkerTrainee(config.talker, bundle, start)
        if stage == "expression" and config.listening is not None:
            return ExpressionTrainee(config.listening, bundle, start)
        raise ValueError(f"synctalkface has no stage {stage!r}")

    def speaker(
        self, config: SyncTalkFaceConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> SyncTalkFaceSpeaker:
        return SyncTalkFaceSpeaker(config, weights, person)


class SyncTalkFaceSpeaker:
    """See `models.methods.Speaker`."""

    rate: float | None = RATE

    def __init__(
        self, config: SyncTalkFaceConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> None:
        self.painter = Painter(config.talker, weights["talker"], person)
        self.silence: Tensor | None = None
        self._net = None
        if config.listening is not None:
            self._net = load_expression(config.listening, weights["expression"])
        else:
            self.silence = self.painter.hear(torch.full((1, STEPS, _BANDS), FLOOR))[0]

    def listen(self, sound: Sound) -> Iterator[Motion]:
        if self._net is not None:
            for rows in listen(self._net, sound):
                yield Motion(rows)
            return
        for windows in mel_windows(sound):
            yield Motion(torch.zeros(len(windows), _EXPRESSIONS), heard=self.painter.hear(windows))

    def meet(self, template: Template) -> None:
        self.painter.meet(template)

    def draw(self, view: View) -> Drawn:
        return self.painter.draw(view)
