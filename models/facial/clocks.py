"""Rows of one clock read on another, in bounded memory: performances beside the lips of an ear.

At small presets a person's lips follow MemFace's first network at its own 25 rows a second; lips that were
read between rows would no longer close. So it is what is performed, all of it slower, that is read on the
lips' clock. Called by `models.facial.method`.

Shape legend: n rows, C columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["Reread"]


class Reread:
    """Rows (n, C) that come `come` a second, block by block, read `wanted` a second in order."""

    def __init__(self, blocks: Iterator[Tensor], come: float, wanted: float) -> None:
        self._blocks, self._step = blocks, come / wanted
        self._held: Tensor | None = None
        self._first, self._ended = 0, False

    def read(self, start: int, stop: int) -> Tensor:
        """Rows start to stop, at the middle of their time; none before `start` is ever asked for again.

        The first and the last row that came hold on beyond the ends.
        """
        at = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * self._step - 0.5
        rows = self._until(int(at[-1]) + 2)
        at = (at - self._first).clamp(0, len(rows) - 1)
        low = at.floor().long()
        part = (at - low)[:, None].to(rows)
        out = rows[low] * (1 - part) + rows[(low + 1).clamp(max=len(rows) - 1)] * part
        drop = max(int(low[-1]) - 1, 0)
        self._held, self._first = rows[drop:], self._first + drop
        return out

    def _until(self, count: int) -> Tensor:
        """What is held, once there are so many rows or no more come."""
        parts = [] if self._held is None else [self._held]
        have = self._first + sum(map(len, parts))
        while have < count and not self._ended:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
            elif len(block):
                parts.append(block)
                have += len(block)
        if not parts:
            raise ValueError("nothing was heard")
        return torch.cat(parts)
