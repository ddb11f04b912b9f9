"""FACIAL's configuration: its two halves, whose own files name every number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.facial.config_performer import PerformerConfig
from models.facial.config_picture import PictureConfig, picture_config

__all__ = ["FacialConfig", "facial_config"]


@dataclass(frozen=True)
class FacialConfig:
    """What performs, and what draws it."""

    performer: PerformerConfig
    picture: PictureConfig
    general: str | None = None  # bundled weights that a person's performer starts from

    def as_dict(self) -> dict[str, Any]:
        halves = {"performer": self.performer.as_dict(), "picture": self.picture.as_dict()}
        return {**halves, "general": self.general}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> FacialConfig:
        """What `as_dict` gave, also after JSON made lists of tuples."""
        halves = (PerformerConfig.from_dict(told["performer"]), PictureConfig.from_dict(told["picture"]))
        return cls(*halves, told["general"])


def facial_config(preset: str) -> FacialConfig:
    """ValueError for a preset that there is not."""
    picture = picture_config(preset)
    return FacialConfig(PerformerConfig.preset(preset), picture)
