"""FACIAL's configuration: its two halves, whose own files name every number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.facial.config_performer import PerformerConfig
from models.facial.config_picture import PictureConfig, picture_config
from models.memface.config_expression import ExpressionConfig

__all__ = ["FacialConfig", "facial_config"]


@dataclass(frozen=True)
class FacialConfig:
    """What performs, and what draws it."""

    performer: PerformerConfig
    picture: PictureConfig
    general: str | None = None  # bundled weights that a person's performer starts from
    hearing: str = "performer"  # whose lips: the performer's [paper], or those of the "ear" [ours]
    listening: ExpressionConfig = field(default_factory=ExpressionConfig)

    def as_dict(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).as_dict() for name in ("performer", "picture", "listening")}
        return {**parts, "general": self.general, "hearing": self.hearing}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> FacialConfig:
        """What `as_dict` gave, also after JSON made lists of tuples."""
        halves = (PerformerConfig.from_dict(told["performer"]), PictureConfig.from_dict(told["picture"]))
        return cls(*halves, told["general"], told["hearing"], ExpressionConfig.from_dict(told["listening"]))


def facial_config(preset: str) -> FacialConfig:
    """ValueError for a preset that there is not."""
    halves = PerformerConfig.preset(preset), picture_config(preset)
    if preset == "gpu":
        return FacialConfig(*halves, listening=ExpressionConfig.preset(preset))
    # A performer of another width has nothing to start from.
    general = "facial_performer" if preset == "cpu" else None
    return FacialConfig(*halves, general, "ear", ExpressionConfig.preset(preset))
