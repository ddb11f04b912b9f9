"""How somebody moves and blinks, measured; and what makes a performance as lively as its person.

Squared misses have one answer to what sound does not tell: the mean. So performances come out calmer than
people are, and of two people's performances the calmer is not the calmer person's. What is done about it
beyond the critic is here, and is not of the paper: gains for slow and for quick motion of every axis of the
pose, and a person's own blink, shown where the network expects one most, as often as the person blinks. All
is measured on the person's training rows alone. Called by `models.facial.performing` and
`training_performer`, and by benches.

Shape legend: n rows, K rows of a blink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.facial.columns import BLINK, BLINK_MOST, COLUMNS, POSE, Statistics
from models.facial.config_performer import RATE
from models.track.eyes import blinks

__all__ = ["REACH", "Manner", "Measured", "finished", "fit_manner", "measured", "settled", "steady"]

_SLOW = 9.0  # deviation of the kernel that parts slow motion from quick, rows
_HALF = 24
_BLINK_HALF = 12  # rows to each side of a blink's middle; two blinks are at least as far apart
_NEVER = 1e9
_MOST_GAIN = 8.0
# Rows to each side that a finished row depends on.
REACH = 32
# Savitzky and Golay's kernel of nine rows and second order: what is quicker is a tracker's tremor.
_STEADY = (-21.0, 14.0, 39.0, 54.0, 59.0, 54.0, 39.0, 14.0, -21.0)


# What is quicker in a performance is jitter, and must not count as liveliness: a Gaussian of one row, the
# same to both sides, so that nothing leads and nothing lags.
_GAUSS = (0.054488685, 0.244201342, 0.402619947, 0.244201342, 0.054488685)


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
    threshold: Tensor
    open: Tensor
    blink: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(COLUMNS))
        self.register_buffer("std", torch.ones(COLUMNS))
        self.register_buffer("middle", torch.zeros(6))  # about which gains act, scored
        self.register_buffer("slow", torch.ones(6))
        self.register_buffer("quick", torch.ones(6))
        self.register_buffer("threshold", torch.full((), _NEVER))  # of what is expected, for a blink
        self.register_buffer("open", torch.zeros(()))  # AU45 between blinks
        self.register_buffer("blink", torch.zeros(2 * _BLINK_HALF + 1))  # above it

    @property
    def statistics(self) -> Statistics:
        return Statistics(self.mean, self.std)


def settled(pose: Tensor) -> Tensor:
    """Pose (n, 6) without a tracker's tremor."""
    kernel = torch.tensor(_STEADY, device=pose.device) / sum(_STEADY)
    return _through(pose, kernel)


def steady(rows: Tensor) -> Tensor:
    """Performed rows (n, 71) whose pose does not jitter."""
    out = rows.clone()
    out[:, POSE] = _through(rows[:, POSE], torch.tensor(_GAUSS, device=rows.device))
    return out


def measured(runs: Sequence[Tensor]) -> Measured:
    """The manner of rows (n, 71), run by run; pose counts about each run's own mean."""
    poses = [rows[:, POSE] - rows[:, POSE].mean(0) for rows in runs]
    changes = torch.cat([pose[1:] - pose[:-1] for pose in poses]) * RATE
    shut = [blinks((rows[:, BLINK] / BLINK_MOST).cpu().numpy(), RATE) for rows in runs]
    lengths = [stop - start for own in shut for start, stop in own]
    minutes = sum(map(len, runs)) / RATE / 60
    return Measured(
        len(lengths) / minutes,
        sum(lengths) / len(lengths) / RATE if lengths else 0.0,
        torch.cat(poses).square().mean(0).sqrt(),
        changes.square().mean(0).sqrt(),
    )


def finished(rows: Tensor, manner: Manner, *, moments: bool, shown: bool) -> Tensor:
    """Scored rows (n, 71) as lively as the person; each depends on `REACH` rows to its sides."""
    out = steady(rows)
    if moments:
        away = out[:, POSE] - manner.middle
        slow = _slow(away)
        out[:, POSE] = slow * manner.slow + (away - slow) * manner.quick
    if shown and float(manner.threshold) < _NEVER:
        out[:, BLINK] = _blinked(rows[:, BLINK], manner)
    out[:, BLINK] = out[:, BLINK].clamp(0, BLINK_MOST)
    return out


def fit_manner(manner: Manner, made: Sequence[Tensor], own: Sequence[Tensor]) -> None:
    """Take over what makes performances `made` as lively as the person's `own` runs, all scored."""
    device = manner.mean.device
    made, own = [steady(rows.to(device)) for rows in made], [rows.to(device) for rows in own]
    poses = torch.cat([rows[:, POSE] for rows in made])
    manner.middle.copy_(poses.mean(0))
    wanted = measured(own)
    for axis in range(6):
        parts = [_parts(rows[:, axis, None] - manner.middle[axis]) for rows in made]
        slow, quick = _gains(parts, float(wanted.spread[axis]), float(wanted.speed[axis]) / RATE)
        manner.slow[axis], manner.quick[axis] = slow, quick
    _fit_blinks(manner, made, own)


# Motion ---------------------------------------------------------------------------------------------------


def _through(x: Tensor, kernel: Tensor) -> Tensor:
    """Columns of (n, C) through a kernel; the ends hold on."""
    half = len(kernel) // 2
    columns = functional.pad(x.T[:, None], (half, half), mode="replicate")
    return functional.conv1d(columns, kernel[None, None].to(x.dtype))[:, 0].T


def _slow(x: Tensor) -> Tensor:
    at = torch.arange(-_HALF, _HALF + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (at / _SLOW) ** 2)
    return _through(x, kernel / kernel.sum())


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    slow = _slow(x)[:, 0]
    return slow, x[:, 0] - slow


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


def _expected(column: Tensor) -> Tensor:
    """How much a blink is expected around each row."""
    kernel = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0], device=column.device) / 9
    return _through(column[:, None], kernel)[:, 0]


def _peaks(expected: Tensor) -> Tensor:
    """(n,) bool: nothing within a blink's reach is expected more; of equals the first."""
    size = _BLINK_HALF

    def most(x: Tensor) -> Tensor:
        return functional.max_pool1d(x[None, None], size, 1)[0, 0]

    framed = functional.pad(expected, (size, size), value=-_NEVER)
    before, after = most(framed[: -size - 1]), most(framed[size + 1 :])
    return (expected > before) & (expected >= after)


def _blinked(column: Tensor, manner: Manner) -> Tensor:
    expected = _expected(column)
    at = _peaks(expected) & (expected > manner.threshold)
    shown = functional.conv1d(
        functional.pad(at.to(column.dtype)[None, None], (_BLINK_HALF, _BLINK_HALF)),
        manner.blink.flip(0)[None, None],
    )[0, 0]
    return manner.open + shown


def _fit_blinks(manner: Manner, made: Sequence[Tensor], own: Sequence[Tensor]) -> None:
    """The person's own blink, and how much must be expected for one, to come as often as theirs."""
    shapes, count = [], 0
    manner.open.copy_(torch.cat([rows[:, BLINK] for rows in own]).median())
    for rows in own:
        column = rows[:, BLINK]
        for start, stop in blinks((column / BLINK_MOST).cpu().numpy(), RATE):
            count += 1
            middle = (start + stop) // 2
            if _BLINK_HALF <= middle < len(column) - _BLINK_HALF:
                shapes.append(column[middle - _BLINK_HALF : middle + _BLINK_HALF + 1])
    heights = [own[_peaks(own)] for own in (_expected(rows[:, BLINK]) for rows in made)]
    ranked = torch.cat(heights).sort(descending=True).values
    wanted = round(count * sum(map(len, made)) / max(1, sum(map(len, own))))
    if not shapes or not wanted or len(ranked) < 2:
        manner.threshold.fill_(_NEVER)
        return
    manner.blink.copy_((torch.stack(shapes).median(0).values - manner.open).clamp(min=0))
    last = min(wanted, len(ranked) - 1)
    manner.threshold.copy_((ranked[last - 1] + ranked[last]) / 2)
