"""Render-to-video's networks: pix2pixHD to the unit, what generators make, and what critics see."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from models.facial.config_picture import PictureConfig, picture_config
from models.facial.losses_picture import fooled, matched, told_apart
from models.facial.network_picture import Critic, Enhancer, Picture, Scales, inputs_of, new_generator

SMOKE = picture_config("smoke")


def counted(network: torch.nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


def test_the_enhancer_has_the_papers_size() -> None:
    with torch.device("meta"):
        network = Enhancer(30, 3)
        assert counted(network) == 88_446_755
        assert network(torch.zeros(1, 30, 512, 512)).shape == (1, 3, 512, 512)


def test_the_critics_have_the_papers_size() -> None:
    with torch.device("meta"):
        critics = Scales(33, 3)
        assert counted(critics) == 8_386_371
        found = critics(torch.zeros(1, 33, 512, 512))
    assert [tuple(one[-1].shape) for one in found] == [(1, 1, side, side) for side in (67, 35, 19)]


@pytest.mark.parametrize("light", [True, False])
def test_generators_make_pictures_of_the_canvas(light: bool) -> None:
    config = replace(SMOKE, light=light)
    with torch.device("meta"):
        made = new_generator(config)(torch.zeros(2, 47, 64, 64))
    assert made.colours.shape == (2, 3, 64, 64)
    assert made.seen.shape == (2, 1, 64, 64)


def test_where_nothing_is_drawn_the_plate_is_seen() -> None:
    plate, colours = torch.full((1, 3, 4, 4), 0.25), torch.full((1, 3, 4, 4), -1.0)
    seen = torch.tensor([0.0, 1.0]).repeat(8).reshape(1, 1, 4, 4)
    made = Picture(colours, seen).over(plate)
    assert torch.equal(made[..., 0], plate[..., 0])
    assert torch.equal(made[..., 1], colours[..., 1])


def test_nothing_of_the_hole_is_shown() -> None:
    draw = torch.Generator().manual_seed(0)
    renders = torch.randint(0, 256, (1, 10, 8, 8, 3), generator=draw, dtype=torch.uint8)
    eyes = torch.randint(0, 256, (1, 10, 8, 8), generator=draw, dtype=torch.uint8)
    hole = torch.zeros(1, 1, 8, 8)
    hole[..., 2:6, 2:6] = 1
    one, other = (torch.rand(1, 3, 8, 8, generator=draw) for _ in range(2))
    other = torch.where(hole > 0, other, one)
    shut, plate = torch.ones(1, 10), torch.zeros(1, 3, 8, 8)
    shown = [inputs_of(renders, eyes, shut, around, hole, plate) for around in (one, other)]
    assert shown[0].shape == (1, 47, 8, 8)
    assert torch.equal(*shown)


def test_lids_are_told_by_their_own_channel_alone() -> None:
    """AU45 over 5 where the eyes are, and nothing of it in the rendered colours."""
    renders, eyes = torch.full((1, 10, 4, 4, 3), 128, dtype=torch.uint8), torch.zeros(1, 10, 4, 4)
    eyes[..., 1, 1] = 255
    around = torch.zeros(1, 3, 4, 4)
    told = [
        inputs_of(renders, eyes.to(torch.uint8), torch.full((1, 10), shut), around, around[:, :1], around)
        for shut in (0.0, 4.0)
    ]
    away = (told[1] - told[0]).abs()
    assert torch.equal(away[:, :30], torch.zeros(1, 30, 4, 4))
    assert torch.allclose(away[:, 30:40, 1, 1], torch.full((1, 10), 0.8))
    away[:, 30:40, 1, 1] = 0
    assert away.sum() == 0


def test_a_perfect_picture_matches_and_another_does_not() -> None:
    torch.manual_seed(0)
    critics = Scales(3, 2, 8)
    true, made = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        seen, other = critics(true), critics(made)
    assert float(matched(seen, seen)) == 0
    assert float(matched(other, seen)) > 0
    scores = [[torch.ones(1, 1, 3, 3)], [torch.ones(1, 1, 2, 2)]]
    nothing = [[torch.zeros_like(one[-1])] for one in scores]
    assert float(told_apart(scores, nothing)) == 0
    assert float(fooled(scores)) == 0
    assert float(told_apart(nothing, scores)) == pytest.approx(2.0)


def test_a_critic_tells_what_its_layers_saw() -> None:
    assert len(Critic(3, 4)(torch.rand(1, 3, 32, 32))) == 5


@pytest.mark.parametrize("preset", ["smoke", "cpu", "gpu"])
def test_a_configuration_survives_json(preset: str) -> None:
    config = picture_config(preset)
    assert PictureConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_no_other_preset() -> None:
    with pytest.raises(ValueError, match="no preset 'tpu'"):
        picture_config("tpu")
