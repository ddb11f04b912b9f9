"""Performances as lively as their person, whatever voice is heard, in bounded memory.

Two things of a manner would not survive another's voice, to which a network answers more calmly or more
wildly, and expects blinks more often or never: so gains follow the power that its motion has had of late, and
blinks come at the person's own pauses, each where it is most expected thereabouts. Rows depend on the sound
before them and on `REACH` rows after, never on how the sound was cut into blocks. Called by
`models.facial.performing` and `training_performer`.

Shape legend: n rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil, floor, inf

import torch
from torch import Tensor

from models.facial.columns import BLINK, BLINK_MOST, COLUMNS, POSE
from models.facial.filters import steady, through
from models.facial.manner import BLINK_HALF, Manner, parted

__all__ = ["REACH", "TILE", "enlivened", "lively"]

TILE = 120  # rows that are finished at a time
_NEAR = 30.0  # rows by which a blink may come sooner or later than its pause says
_OF_PAUSE = 0.35  # and no more than this share of the pauses beside it
# Rows to each side that a finished row depends on.
REACH = 2 * int(_NEAR) + BLINK_HALF + 8
_KNOWN, _LATE = 150.0, 3600.0  # rows that the person's own voice counts, and that are remembered
_LEAST, _MOST = 0.4, 2.5  # of what a gain is changed by
_GOLDEN = 0.618034


def lively(blocks: Iterable[Tensor], manner: Manner, *, moments: bool, shown: bool) -> Iterator[Tensor]:
    """Blocks of scored rows (n, 71) as lively as the person; `moments` of the pose, `shown` blinks."""
    motion, lids = _Motion(manner), _Lids(manner)
    for number, rows in enumerate(_in_tiles(blocks)):
        told = rows.to(manner.mean)
        out = steady(told)
        if moments:
            out[:, POSE] = motion.next(out[:, POSE])
        if shown and bool(manner.pauses.any()):
            out[:, BLINK] = lids.next(told[:, BLINK], number * TILE)
        out[:, BLINK] = out[:, BLINK].clamp(0, BLINK_MOST)
        yield out[REACH:-REACH].cpu()


def enlivened(rows: Tensor, manner: Manner) -> Tensor:
    """The same for rows that are all at hand."""
    return torch.cat([*lively([rows], manner, moments=True, shown=True)])


def _in_tiles(blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Rows on a grid, each tile with `REACH` rows to its sides; the ends hold on."""
    held = torch.zeros(0, COLUMNS)
    begun = False
    for rows in blocks:
        if not begun and len(rows):
            held, begun = rows[:1].expand(REACH, -1), True
        held = torch.cat([held, rows])
        while len(held) >= TILE + 2 * REACH:
            yield held[: TILE + 2 * REACH]
            held = held[TILE:]
    if begun and len(held) > REACH:
        yield torch.cat([held, held[-1:].expand(REACH, -1)])


class _Motion:
    """Gains that follow what there was of motion; at first they know of the person's own voice."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._count = 0.0
        self._sums = [torch.zeros(6, device=manner.middle.device) for _ in range(3)]
        self._last: tuple[Tensor, Tensor, Tensor] | None = None

    def next(self, pose: Tensor) -> Tensor:
        """Rows of a tile, those around it too."""
        slow, quick = parted(pose)
        self._heard(slow[REACH:-REACH], quick[REACH:-REACH])
        now = self._told()
        before, self._last = self._last or now, now
        share = torch.ones(len(pose), 1, device=pose.device)
        share[REACH:-REACH, 0] = torch.linspace(0, 1, len(pose) - 2 * REACH, device=pose.device)
        middle, loud, lively = (a.lerp(b, share) for a, b in zip(before, now, strict=True))
        return (slow - middle) * loud + quick * lively

    def _heard(self, slow: Tensor, quick: Tensor) -> None:
        away = slow - self._manner.middle
        kept = max(0.0, 1 - len(slow) / _LATE)
        self._count = kept * self._count + len(slow)
        parts = (away.sum(0), away.square().sum(0), quick.square().sum(0))
        self._sums = [kept * old + new for old, new in zip(self._sums, parts, strict=True)]

    def _told(self) -> tuple[Tensor, Tensor, Tensor]:
        """The middle now, and the gains of slow and quick parts about it."""
        manner, count = self._manner, self._count + _KNOWN
        first, slow, quick = self._sums
        # Where another voice turns the head to is no motion.
        slow = slow - first.square() / self._count
        middle = first / count
        powers = (torch.stack([slow, quick]) + _KNOWN * manner.power) / count
        change = (manner.power / powers.clamp(min=1e-12)).sqrt().clamp(_LEAST, _MOST)
        return manner.middle + middle, manner.slow * change[0], manner.quick * change[1]


class _Lids:
    """The person's own blinks, at their own pauses."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._number = 0
        # Of each that may still matter: when it is due, and by how much it may be sooner or later.
        self._due: list[tuple[float, float]] = []
        self._at, self._pause = 0.5 * self._next(), inf

    def next(self, wanted: Tensor, first: int) -> Tensor:
        """AU45 of a tile (n,), with the rows around it, the first of which is `REACH` before row `first`."""
        begin, end = first - REACH, first - REACH + len(wanted)
        while self._at < end + _NEAR:
            pause = self._next()
            self._due.append((self._at, min(_NEAR, _OF_PAUSE * self._pause, _OF_PAUSE * pause)))
            self._at, self._pause = self._at + pause, pause
        self._due = [one for one in self._due if one[0] >= begin - _NEAR]
        expected = through(wanted[:, None], _around(wanted))[:, 0]
        out = torch.zeros_like(wanted)
        for at, near in self._due:
            low, high = max(ceil(at - near), begin, 0), min(floor(at + near), end - 1)
            if low <= high:
                middle = low + int(expected[low - begin : high - begin + 1].argmax())
                self._show(out, middle - begin)
        return self._manner.open + out

    def _show(self, out: Tensor, middle: int) -> None:
        start, stop = max(middle - BLINK_HALF, 0), min(middle + BLINK_HALF + 1, len(out))
        shape = self._manner.blink[start - middle + BLINK_HALF : stop - middle + BLINK_HALF]
        out[start:stop] = torch.maximum(out[start:stop], shape)

    def _next(self) -> float:
        """Another of the person's pauses: short and long ones in turn, and all alike often."""
        self._number += 1
        pauses = self._manner.pauses
        return float(pauses[int((self._number * _GOLDEN % 1) * len(pauses))])


def _around(like: Tensor) -> Tensor:
    """How much a blink is expected around a row, of what is expected at each."""
    return torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0], device=like.device) / 9
