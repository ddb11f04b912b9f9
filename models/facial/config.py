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

    def as_dict(self) -> dict[str, Any]:
        return {"performer": self.performer.as_dict(), "picture": self.picture.as_dict()}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> FacialConfig:
        return cls(PerformerConfig.from_dict(told["performer"]), PictureConfig.from_dict(told["picture"]))


def facial_config(preset: str) -> FacialConfig:
    """ValueError for a preset that there is not."""
    picture = picture_config(preset)
    return FacialConfig(PerformerConfig.preset(preset), picture)
