"""The performer's networks have the published shapes, and its columns lead back to the fit."""

from __future__ import annotations

import json

import pytest
import torch

from models.facial.columns import (
    BLINK,
    COLUMNS,
    EXPRESSION,
    PLACE,
    POSE,
    SCALE,
    UNITS,
    Statistics,
    from_columns,
    to_columns,
)
from models.facial.config_performer import AROUND, PERFORMER_PRESETS, SYMBOLS, PerformerConfig
from models.facial.network_performer import Generator, SequenceCritic, parameters_of
from models.fit.geometry import Camera, rotation


def _fit(count: int = 20) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    centre = torch.tensor([20.0, -30.0, 800.0])
    return {
        "rotation": 0.3 * torch.randn(count, 3, generator=draw),
        "translation": centre + 25 * torch.randn(count, 3, generator=draw),
        "camera": torch.tensor([900.0, 310.0, 245.0]).expand(count, 3),
        "blink": 5 * torch.rand(count, generator=draw),
        "expression": torch.randn(count, 64, generator=draw),
    }


def test_columns_lead_back_to_the_fit() -> None:
    fit = _fit()
    columns = to_columns(**fit, height=480, width=640)
    assert columns.shape == (20, COLUMNS)
    assert torch.equal(columns[:, BLINK], fit["blink"])
    assert torch.equal(columns[:, EXPRESSION], fit["expression"])
    turned, moved = from_columns(columns, fit["camera"], 480, 640)
    torch.testing.assert_close(turned, fit["rotation"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved, fit["translation"], atol=1e-2, rtol=1e-5)


def test_columns_are_what_a_weak_camera_sees() -> None:
    """The head's origin lands where the columns say, and a point beside it as far off as the scale says."""
    fit = _fit()
    columns = to_columns(**fit, height=480, width=640)
    camera = Camera(900.0, 310.0, 245.0)
    at = camera.project(fit["translation"])
    told = columns[:, PLACE] * torch.tensor([1.0, -1.0]) * 480 / UNITS + torch.tensor([320.0, 240.0])
    torch.testing.assert_close(told, at, atol=1e-2, rtol=1e-4)
    point = torch.tensor([30.0, -40.0, 0.0])
    seen = camera.project(fit["translation"] + point)
    weak = at + columns[:, SCALE, None] * 480 / UNITS * point[:2]
    torch.testing.assert_close(weak, seen, atol=1e-2, rtol=1e-4)
    assert torch.linalg.det(rotation(fit["rotation"])).allclose(torch.ones(20))


def test_the_same_head_in_a_larger_picture_has_the_same_columns() -> None:
    fit = _fit()
    small = to_columns(**fit, height=480, width=640)
    fit["camera"] = 2 * fit["camera"]
    torch.testing.assert_close(to_columns(**fit, height=960, width=1280), small)


def test_scores_go_and_come_back_and_leave_all_but_pose() -> None:
    rows = torch.randn(50, COLUMNS, generator=torch.Generator().manual_seed(1)) * 7 + 3
    known = Statistics.of(rows)
    lost = torch.cat([rows, torch.full((5, 71), 9e3)])
    trust = (torch.arange(len(lost)) < len(rows)).float()
    for part, told in zip(Statistics.of(lost, trust), known, strict=True):
        assert torch.allclose(part, told, atol=1e-3)
    scored = known.score(rows)
    torch.testing.assert_close(scored[:, POSE].mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(scored[:, POSE].std(0, correction=0), torch.ones(6))
    assert torch.equal(scored[:, BLINK:], rows[:, BLINK:])
    torch.testing.assert_close(known.unscore(scored), rows)


def test_networks_have_the_published_number_of_parameters() -> None:
    net = Generator(PerformerConfig.preset("gpu"))
    assert parameters_of(net) == 9_688_967
    assert sum(parameters_of(part) for part in (net.phonetic, net.heard, net.out)) == 31_623
    assert net.context is not None
    assert parameters_of(net.context.ladder) == 8_394_496
    assert parameters_of(SequenceCritic()) == 1_555_329


def test_networks_have_the_published_shapes() -> None:
    torch.manual_seed(0)
    net = Generator(PerformerConfig.preset("gpu")).eval()
    assert net.context is not None
    sound = torch.randn(2, 128, AROUND, SYMBOLS)
    looked = net.context.look(sound[:, :, 8][:, None])
    assert looked.shape == (2, 256, 34, 2)
    rows = net(sound, torch.zeros(2, COLUMNS))
    assert rows.shape == (2, 128, COLUMNS)
    assert SequenceCritic()(rows).shape == (2, 1, 32, 9)


def test_the_bundled_network_is_light() -> None:
    assert 2 * sum(x.numel() for x in Generator(PerformerConfig.preset("cpu")).state_dict().values()) < 6e6


@pytest.mark.parametrize("off", ["context", "phonetic"])
def test_a_branch_can_be_left_out(off: str) -> None:
    torch.manual_seed(0)
    config = PerformerConfig.from_dict(PerformerConfig.preset("smoke").as_dict() | {off: False})
    net = Generator(config).eval()
    sound, state = torch.randn(1, 128, AROUND, SYMBOLS), torch.randn(1, COLUMNS)
    before = net(sound, state)
    assert before.shape == (1, 128, COLUMNS)
    # Without context nobody knows the beginning; without the phonetic branch a frame's edge is not heard.
    sound[:, 40, 0 if off == "phonetic" else AROUND // 2] += 3
    told = net(sound, state if off == "phonetic" else state + 1)
    changed = (told - before).abs().amax(-1)[0] > 1e-6
    assert changed.sum() == (0 if off == "phonetic" else 1)


def test_configurations_come_back_from_json() -> None:
    for name in PERFORMER_PRESETS:
        config = PerformerConfig.preset(name)
        assert PerformerConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config
        assert config.plan(True, 3).seed == 3
    with pytest.raises(ValueError, match="no preset"):
        PerformerConfig.preset("vast")
