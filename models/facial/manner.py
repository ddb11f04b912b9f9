"""How somebody moves and blinks, measured, and kept with the network that performs them.

Squared misses have one answer to what sound does not tell: the mean. So performances come out calmer than
people are, and of two people's performances the calmer is not the calmer person's. What is done about it
beyond the critic is not of the paper: gains for slow and for quick motion of every axis of the pose, and a
person's own blinks, as long and as far apart as theirs are. All is measured on the person's training rows
alone; `models.facial.liveliness` makes use of it. Called by `training_performer`, and by benches.

Shape legend: n rows, K rows of a blink, P pauses.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.facial.columns import BLINK, BLINK_MOST, COLUMNS, POSE, Statistics
from models.facial.config_performer import RATE
from models.facial.filters import slow_of, steady
from models.track.eyes import blinks

__all__ = ["BLINK_HALF", "Manner", "Measured", "fit_manner", "measured", "parted"]

BLINK_HALF = 12  # rows to each side of a blink's middle
_PAUSES = 32
_MOST_GAIN = 8.0


class Measured(NamedTuple):
    """A manner in figures."""

    blinks: float  # a minute
    blink_s: float  # how long the lids are more than half shut; 0 without a blink
    spread: Tensor  # (6,) deviation of each column of the pose
    speed: Tensor  # (6,) deviation of its change, a second


class Manner(nn.Module):
    """A person's statistics and manner, as buffers of the generator that performs them."""

    mean: Tensor
    std: Tensor
    middle: Tensor
    slow: Tensor
    quick: Tensor
    power: Tensor
    open: Tensor
    blink: Tensor
    pauses: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(COLUMNS))
        self.register_buffer("std", torch.ones(COLUMNS))
        # Of the person's own voice, scored: gains are about the middle, for slow and quick parts so strong.
        self.register_buffer("middle", torch.zeros(6))
        self.register_buffer("slow", torch.ones(6))
        self.register_buffer("quick", torch.ones(6))
        self.register_buffer("power", torch.ones(2, 6))
        self.register_buffer("open", torch.zeros(()))  # AU45 between blinks
        self.register_buffer("blink", torch.zeros(2 * BLINK_HALF + 1))  # above it
        self.register_buffer("pauses", torch.zeros(_PAUSES))  # rows from blink to blink, short to long; or 0

    @property
    def statistics(self) -> Statistics:
        return Statistics(self.mean, self.std)


def measured(runs: Sequence[Tensor]) -> Measured:
    """The manner of rows (n, 71), run by run; pose counts about each run's own mean."""
    poses = [rows[:, POSE] - rows[:, POSE].mean(0) for rows in runs]
    changes = torch.cat([pose[1:] - pose[:-1] for pose in poses]) * RATE
    lengths = [stop - start for rows in runs for start, stop in _blinks_of(rows)]
    minutes = sum(map(len, runs)) / RATE / 60
    return Measured(
        len(lengths) / minutes,
        sum(lengths) / len(lengths) / RATE if lengths else 0.0,
        torch.cat(poses).square().mean(0).sqrt(),
        changes.square().mean(0).sqrt(),
    )


def fit_manner(manner: Manner, made: Sequence[Tensor], own: Sequence[Tensor]) -> None:
    """Take over what makes performances `made` as lively as the person's `own` runs, all scored."""
    device = manner.mean.device
    made, own = [steady(rows.to(device)) for rows in made], [rows.to(device) for rows in own]
    manner.middle.copy_(torch.cat([rows[:, POSE] for rows in made]).mean(0))
    parts = [parted(rows[:, POSE] - manner.middle) for rows in made]
    for k in range(2):
        manner.power[k] = torch.cat([pair[k] for pair in parts]).square().mean(0)
    wanted = measured(own)
    for axis in range(6):
        alone = [(slow[:, axis], quick[:, axis]) for slow, quick in parts]
        found = _gains(alone, float(wanted.spread[axis]), float(wanted.speed[axis]) / RATE)
        manner.slow[axis], manner.quick[axis] = found
    _fit_blinks(manner, own)


# Motion ---------------------------------------------------------------------------------------------------


def parted(x: Tensor) -> tuple[Tensor, Tensor]:
    """Slow and quick parts of columns (n, C)."""
    slow = slow_of(x)
    return slow, x - slow


def _gains(parts: Sequence[tuple[Tensor, Tensor]], spread: float, speed: float) -> tuple[float, float]:
    """Gains of slow and quick parts with which their sum spreads and moves as much as is wanted."""
    slow, quick = (torch.cat([pair[k] for pair in parts]) for k in (0, 1))
    steps = [torch.cat([pair[k][1:] - pair[k][:-1] for pair in parts]) for k in (0, 1)]
    places = torch.stack([slow.square().mean(), quick.square().mean(), 2 * (slow * quick).mean()])
    moves = torch.stack([*(x.square().mean() for x in steps), 2 * (steps[0] * steps[1]).mean()])
    a = b = 1.0
    # Each in turn: spread is mostly slow motion, speed mostly quick.
    for _ in range(50):
        a = _root(places[0], places[2] * b, places[1] * b * b - spread**2)
        b = _root(moves[1], moves[2] * a, moves[0] * a * a - speed**2)
    return a, b


def _root(square: Tensor, linear: Tensor, rest: Tensor) -> float:
    """The larger x of square x^2 + linear x + rest = 0, within what a gain may be."""
    inside = linear**2 - 4 * square * rest
    if float(inside) <= 0 or float(square) < 1e-12:
        return 0.0
    return float(((inside.sqrt() - linear) / (2 * square)).clamp(0, _MOST_GAIN))


# Blinks ---------------------------------------------------------------------------------------------------


def _blinks_of(rows: Tensor) -> list[tuple[int, int]]:
    return blinks((rows[:, BLINK] / BLINK_MOST).cpu().numpy(), RATE)


def _fit_blinks(manner: Manner, own: Sequence[Tensor]) -> None:
    """The person's own blink, and how far apart they are."""
    shapes, apart, count = [], [], 0
    manner.open.copy_(torch.cat([rows[:, BLINK] for rows in own]).median())
    for rows in own:
        middles = [(start + stop) // 2 for start, stop in _blinks_of(rows)]
        count += len(middles)
        apart += [after - before for before, after in pairwise(middles)]
        inside = [at for at in middles if BLINK_HALF <= at < len(rows) - BLINK_HALF]
        shapes += [rows[at - BLINK_HALF : at + BLINK_HALF + 1, BLINK] for at in inside]
    if not shapes:
        manner.pauses.zero_()
        return
    manner.blink.copy_((torch.stack(shapes).median(0).values - manner.open).clamp(min=0))
    usual = sum(map(len, own)) / count
    pauses = torch.tensor([float(x) for x in apart] or [usual], device=manner.pauses.device)
    shares = (torch.arange(_PAUSES, device=pauses.device) + 0.5) / _PAUSES
    told = pauses.quantile(shares)
    # Pauses between blinks alone would forget those that the ends cut off.
    manner.pauses.copy_(told * usual / told.mean())
