"""Bundled weights are drawn with as they were trained."""

from __future__ import annotations

import json

import pytest

from models.methods import METHODS, find_method
from storage.weights import Registry, open_safetensors

# What is the same in a configuration wherever weights are drawn with: numbers of training may move on.
DRAWN = {"dinet": ("hearing", "widths")}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_preset_draws_with_bundled_weights_of_its_own_kind(name: str) -> None:
    method = find_method(name)
    for preset in ("smoke", "cpu", "gpu"):
        config = method.config(preset)
        for stage in method.stages(config):
            if stage.general is None or not stage.optional:
                continue
            told = open_safetensors(Registry().find(stage.general).path).metadata
            assert told["network"] == f"{name} {stage.name}"
            trained, now = method.config_from(json.loads(told["config"])), config
            assert [one.side for one in method.stages(trained)] == [one.side for one in method.stages(now)]
            assert [one.framing for one in method.stages(trained)] == [
                one.framing for one in method.stages(now)
            ]
            for part in DRAWN.get(name, ()):
                assert getattr(trained, part) == getattr(now, part)
