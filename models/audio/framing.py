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

    `compute` makes rows, each of shape `row`, from one tile's samples; `count` says how many rows so many
    samples have.
    """

    def __init__(
        self,
        grid: Grid,
        compute: Callable[[NDArray[Any]], NDArray[Any]],
        count: Callable[[int], int],
        row: tuple[int, ...] = (),
    ) -> None:
        self._grid, self._compute, self._count, self._row = grid, compute, count, row
        self._waiting: list[NDArray[Any]] = [np.zeros(grid.before)]
        self._have = grid.before
        self._samples = self._rows = 0

    def push(self, block: NDArray[Any]) -> NDArray[np.float32]:
        """The rows that became ready: none or many."""
        self._samples += len(block)
        self._waiting.append(block)
        self._have += len(block)
        made = []
        while self._have >= self._grid.span:
            made.append(self._compute(self._tile()))
            self._rows += self._grid.rows
        return self._joined(made)

    def _tile(self) -> NDArray[Any]:
        """Takes the next tile off what is held; beyond the end of the sound it is silence."""
        held, grid = np.concatenate(self._waiting), self._grid
        self._waiting = [held[grid.step :]]
        self._have = len(self._waiting[0])
        return np.pad(held[: grid.span], (0, max(0, grid.span - len(held))))

    def finish(self) -> NDArray[np.float32]:
        """The last rows; after the sound comes silence."""
        wanted, made = self._count(self._samples) - self._rows, []
        while wanted > 0:
            made.append(self._compute(self._tile())[:wanted])
            wanted -= self._grid.rows
        return self._joined(made)

    def _joined(self, made: list[NDArray[Any]]) -> NDArray[np.float32]:
        return np.concatenate([np.zeros((0, *self._row)), *made]).astype(np.float32)


def windows(tile: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """(rows, length): what each row of a tile looks at, without copying."""
    return np.lib.stride_tricks.sliding_window_view(tile, grid.length)[:: grid.hop]


def run(stream: Stream, blocks: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
    """All rows of some sound, for whoever has room for them."""
    rows = [stream.push(block) for block in blocks]
    return np.concatenate([*rows, stream.finish()])
