"""Lips by the ear that several systems share, read at the rate at which a head is performed.

At small presets a person's lips follow MemFace's first network, which is used to the person within a minute;
head, lids and brows stay the performer's. Called by `models.facial.method`.

Shape legend: n rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.facial.config_performer import RATE as PERFORMED
from models.memface.listening import RATE as HEARD

__all__ = ["AtThirty"]


class AtThirty:
    """Rows that come 25 a second, block by block, read 30 a second in order; the ends hold on."""

    def __init__(self, blocks: Iterator[Tensor]) -> None:
        self._blocks = blocks
        self._held: Tensor | None = None
        self._first, self._ended = 0, False

    def read(self, start: int, stop: int) -> Tensor:
        """Rows start to stop, (n, 64); none before `start` is ever asked for again."""
        at = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * (HEARD / PERFORMED) - 0.5
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
