"""Performed heads stay about where their template was filmed."""

from __future__ import annotations

import torch
from torch import Tensor

from models.facial.bounds import Range
from models.facial.columns import BLINK, COLUMNS, POSE


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, COLUMNS, generator=torch.Generator().manual_seed(seed))


def test_poses_stay_where_the_head_was_filmed() -> None:
    filmed = rows(2000)
    told = 4 * rows(500, 1)
    found = Range.of(filmed).within(told)
    low, high = filmed[:, POSE].quantile(torch.tensor([0.002, 0.998]), 0)
    assert bool((found[:, POSE] >= low - 1e-5).all())
    assert bool((found[:, POSE] <= high + 1e-5).all())
    assert torch.equal(found[:, BLINK:], told[:, BLINK:])


def test_what_is_well_inside_is_left_alone_and_order_is_kept() -> None:
    filmed = rows(2000)
    reach = Range.of(filmed)
    line = torch.linspace(-4, 4, 200)[:, None].expand(-1, COLUMNS)
    found = reach.within(line)
    inside = line[:, 0].abs() < 1.5
    assert torch.allclose(found[inside], line[inside], atol=1e-5)
    assert bool((found[1:, 0] - found[:-1, 0] >= -1e-6).all())
    # No corner either: nobody's head stops dead.
    bends = (found[2:, 0] - 2 * found[1:-1, 0] + found[:-2, 0]).abs()
    assert float(bends.max()) < 0.02
