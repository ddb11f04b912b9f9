"""Cuts a stream of sound into tiles on a fixed grid, so that blocks of any size give the same bits.

Matrix products may round differently for other numbers of rows: hence tiles are always whole, the last one
filled up with silence. Used by every feature of this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "SPEECH_HOP", "Grid", "Stream", "run", "speech_rows", "windows"]

RATE = 16_000
SPEECH_HOP = 320


def speech_rows(samples: int) -> int:
    """Rows at 50 a second that cover this many samples: row k is the 20 ms from k / 50 s on."""
    return -(-samples // SPEECH_HOP)


@dataclass(frozen=True)
class Grid:
    """Row k looks at `length` samples from k * hop - before on; `rows` of them are computed at once."""

    hop: int
    before: int
    length: int
    rows: int = 256

    @property
    def span(self) -> int:
        """Samples of one tile."""
        return (self.rows - 1) * self.hop + self.length

    @property
    def step(self) -> int:
        return self.rows * self.hop


class Stream:
    """Rows of one feature from sound that arrives in blocks; memory holds about one tile.

    `compute` makes rows from one tile's samples; `count` says how many rows so many samples have.
    """

    def __init__(
        self, grid: Grid, compute: Callable[[NDArray[Any]], NDArray[Any]], count: Callable[[int], int]
    ) -> None:
        self._grid, self._compute, self._count = grid, compute, count
        self._held: NDArray[Any] = np.zeros(grid.before)
        self._samples = self._rows = 0

    def push(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """The rows that became ready: none or many."""
        self._samples += len(block)
        self._held = np.concatenate([self._held, block])
        made = []
        while len(self._held) >= self._grid.span:
            made.append(self._compute(self._held[: self._grid.span]))
            self._held = self._held[self._grid.step :]
            self._rows += self._grid.rows
        return self._joined(made)

    def finish(self) -> NDArray[np.float32]:
        """The last rows; after the sound comes silence."""
        wanted, made = self._count(self._samples) - self._rows, []
        while wanted > 0:
            tile = np.zeros(self._grid.span)
            head = self._held[: self._grid.span]
            tile[: len(head)] = head
            made.append(self._compute(tile)[:wanted])
            self._held = self._held[self._grid.step :]
            wanted -= self._grid.rows
        return self._joined(made)

    def _joined(self, made: list[NDArray[Any]]) -> NDArray[np.float32]:
        if not made:
            made = [self._compute(np.zeros(self._grid.span))[:0]]
        return np.concatenate(made).astype(np.float32)


def windows(tile: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """(rows, length): what each row of a tile looks at, without copying."""
    return np.lib.stride_tricks.sliding_window_view(tile, grid.length)[:: grid.hop]


def run(stream: Stream, blocks: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
    """All rows of some sound, for whoever has room for them."""
    rows = [stream.push(block) for block in blocks]
    return np.concatenate([*rows, stream.finish()])
