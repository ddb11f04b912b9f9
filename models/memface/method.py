"""MemFace: a person's own talking face from two memories.

Sound becomes expression by a network with an implicit memory, which starts from general weights; the mouth
is drawn by a network that reads an explicit memory of the person's own mouths. Pose, eyes and all else stay
the template's. Found by `models.methods.find_method`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.memface.config_expression import ExpressionConfig
from models.memface.config_renderer import RendererConfig, renderer_config
from models.memface.expression import ARRAYS, ExpressionTrainee, listen, load_expression
from models.memface.painter import Painter
from models.memface.training_renderer import RENDERER_ARRAYS, RendererTrainee
from models.methods import Drawn, Motion, Person, Sound, Stage, Template, Trainee, View
from models.morphable.builtin import builtin
from models.training.bundle import Bundle

__all__ = ["MemFace", "MemFaceConfig", "MemFaceSpeaker"]


@dataclass(frozen=True)
class MemFaceConfig:
    """Both networks; their own files name every number."""

    expression: ExpressionConfig
    renderer: RendererConfig

    def as_dict(self) -> dict[str, Any]:
        return {"expression": self.expression.as_dict(), "renderer": self.renderer.as_dict()}


class MemFace:
    """See `models.methods.Method`."""

    name = "memface"
    version = 6
    perceives = ("renderer",)

    def config(self, preset: str) -> MemFaceConfig:
        # The expression network is one size: a canvas of 512 pixels asks nothing more of it.
        listening = "gpu" if preset.startswith("gpu") else preset
        return MemFaceConfig(ExpressionConfig.preset(listening), renderer_config(preset))

    def config_from(self, told: Mapping[str, Any]) -> MemFaceConfig:
        return MemFaceConfig(
            ExpressionConfig.from_dict(told["expression"]), RendererConfig.from_dict(told["renderer"])
        )

    def stages(self, config: MemFaceConfig) -> tuple[Stage, ...]:
        return (
            Stage("expression", True, (*ARRAYS, "mel"), "memface_expression"),
            Stage("renderer", True, RENDERER_ARRAYS, side=config.renderer.side),
        )

    def trainee(
        self, stage: str, config: MemFaceConfig, bundle: Bundle, start: Mapping[str, Tensor] | None
    ) -> Trainee:
        if stage == "expression":
            return ExpressionTrainee(config.expression, bundle, start)
        if stage == "renderer":
            return RendererTrainee(config.renderer, bundle, start)
        raise ValueError(f"memface has no stage {stage!r}")

    def speaker(
        self, config: MemFaceConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> MemFaceSpeaker:
        return MemFaceSpeaker(config, weights, person)


class MemFaceSpeaker:
    """See `models.methods.Speaker`."""

    rate: float | None = 25.0

    def __init__(
        self, config: MemFaceConfig, weights: Mapping[str, Mapping[str, Tensor]], person: Person
    ) -> None:
        self._net = load_expression(config.expression, weights["expression"])
        self._painter = Painter(config.renderer, weights["renderer"], person)
        self._mouth = torch.from_numpy(builtin().coefficients_of(config.expression.groups))

    def listen(self, sound: Sound) -> Iterator[Motion]:
        for rows in listen(self._net, sound):
            yield Motion(rows)

    def meet(self, template: Template) -> None:
        self._painter.meet(template)

    def draw(self, view: View) -> Drawn:
        """Lips as they are wanted; lids and brows as they were filmed, since the mesh shows them too."""
        expression = view.fit.expression.clone().float()
        expression[:, self._mouth] = view.motion.expression[:, self._mouth].float()
        return self._painter.draw(view._replace(motion=view.motion._replace(expression=expression)))
