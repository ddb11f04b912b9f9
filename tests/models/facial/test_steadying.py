"""Performed rows made fit for a template: no jitter, no lag, and nowhere that its head was not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.facial.columns import BLINK, COLUMNS, EXPRESSION, POSE
from models.facial.steadying import Range, steadied


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, COLUMNS, generator=torch.Generator().manual_seed(seed))


def through(blocks: list[Tensor]) -> Tensor:
    return torch.cat(list(steadied(iter(blocks))))


@pytest.mark.parametrize("sizes", [(1,) * 40, (3, 1, 36), (40,), (0, 39, 1, 0)])
def test_the_same_rows_whatever_the_blocks(sizes: tuple[int, ...]) -> None:
    whole = rows(40)
    parts = list(whole.split(list(sizes)))
    found = through(parts)
    assert found.shape == whole.shape
    assert torch.allclose(found, through([whole]), atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_short_performances_are_whole(count: int) -> None:
    assert len(through([rows(count)])) == count


def test_it_neither_leads_nor_lags() -> None:
    """A step stays where it is, and comes and goes alike."""
    told = torch.zeros(41, COLUMNS)
    told[20, 0] = 1.0
    found = through([told])[:, 0]
    assert int(found.argmax()) == 20
    assert torch.allclose(found[:20].flip(0), found[21:], atol=1e-6)
    ramp = torch.arange(41.0)[:, None].expand(-1, COLUMNS)
    assert torch.allclose(through([ramp])[2:-2], ramp[2:-2], atol=1e-5)


def test_only_pose_is_smoothed() -> None:
    told = rows(30)
    found = through([told])
    assert torch.equal(found[:, BLINK], told[:, BLINK])
    assert torch.equal(found[:, EXPRESSION], told[:, EXPRESSION])
    changes = [(part[1:, POSE] - part[:-1, POSE]).std() for part in (found, told)]
    assert changes[0] < 0.6 * changes[1]


def test_poses_stay_where_the_head_was_filmed() -> None:
    filmed = rows(2000)
    told = 4 * rows(500, 1)
    found = Range.of(filmed).within(told)
    low, high = filmed[:, POSE].quantile(torch.tensor([0.01, 0.99]), 0)
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
