"""Losses on pictures: zero for the same, larger for blur than for light, and weighted where asked."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.losses import Perception, fooled, psnr, ssim, told_apart, weighted_l1
from models.networks import ConvLSTM, PatchDiscriminator


def picture(seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    rough = torch.rand(2, 3, 48, 48, generator=draw) * 1.6 - 0.8
    return functional.avg_pool2d(rough, 3, 1, 1)


def blurred(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 5, 1, 2)


def test_the_same_is_no_distance() -> None:
    x = picture()
    assert Perception()(x, x) == 0
    assert ssim(x, x).min() == pytest.approx(1)
    assert psnr(x, x).min() > 90
    assert weighted_l1(x, x, torch.ones(2, 1, 48, 48)) == 0


def test_blur_is_farther_than_a_little_light() -> None:
    """By pixels both are as far; by features, what lost its edges is farther."""
    x = picture()
    soft = blurred(x)
    brighter = x + (soft - x).abs().mean()
    look = Perception()
    assert look(soft, x) > 2 * look(brighter, x)
    assert ssim(soft, x).mean() < ssim(brighter, x).mean()


def test_what_is_not_weighted_does_not_count() -> None:
    x, weight = picture(), torch.zeros(2, 1, 48, 48)
    weight[..., 8:40, 8:40] = 1
    other = x.clone()
    other[..., :2, :] += 1
    assert weighted_l1(other, x, weight) == 0
    assert torch.equal(psnr(other, x, weight), psnr(x, x, weight))
    assert Perception()(other, x, weight) < 0.2 * Perception()(other, x)


def test_psnr_is_the_textbooks() -> None:
    x = torch.zeros(1, 3, 8, 8)
    assert psnr(x, x + 0.2).item() == pytest.approx(20)


def test_half_precision_does_not_spoil_structure() -> None:
    x = picture()
    y = x + 0.02 * picture(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert ssim(x, y).mean().item() == pytest.approx(ssim(x.float(), y.float()).mean().item(), abs=1e-4)


def test_the_filters_are_the_same_everywhere_and_never_learn() -> None:
    one, two = Perception(), Perception()
    assert all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )
    assert not any(parameter.requires_grad for parameter in one.parameters())
    x = picture().requires_grad_(True)
    one(x, picture(1)).backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_the_game_of_two() -> None:
    sure, unsure = torch.full((2, 1, 3, 3), 2.0), torch.zeros(2, 1, 3, 3)
    assert told_apart(sure, -sure) == 0
    assert told_apart(unsure, unsure) == 2
    assert fooled(sure) < fooled(unsure)
    assert PatchDiscriminator(6)(torch.zeros(2, 6, 64, 64)).shape[:2] == (2, 1)


def test_a_state_goes_on() -> None:
    torch.manual_seed(0)
    memory = ConvLSTM(4, 5)
    x = torch.randn(2, 6, 4, 8, 8)
    whole, _ = memory(x)
    first, state = memory(x[:, :2])
    rest, _ = memory(x[:, 2:], state)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-6)
    assert isinstance(memory, nn.Module)
