"""Rows on disk that are written once and read in stretches: what must not pile up in memory.

For this package only. Plain float32, one row after the other; whoever writes says when a spool is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spool", "SpoolWriter"]

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Spool:
    """Rows (n, width) of a finished file. Any number of threads may read."""

    path: Path
    width: int

    def __len__(self) -> int:
        return self.path.stat().st_size // (4 * self.width)

    def read(self, start: int = 0, stop: int | None = None) -> F32:
        """Rows start to stop, fewer where the file ends."""
        count = -1 if stop is None else max(stop - start, 0) * self.width
        # Read, not mapped: pages of a mapping count as this process's memory.
        flat = np.fromfile(self.path, np.float32, count, offset=4 * self.width * start)
        return flat.reshape(-1, self.width)


class SpoolWriter:
    """A context manager: rows are appended; a file that is there already is begun anew."""

    def __init__(self, path: Path, width: int) -> None:
        self.spool = Spool(path, width)
        self.rows = 0

    def __enter__(self) -> Self:
        self.spool.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.spool.path.open("wb")
        return self

    def append(self, rows: F32) -> None:
        """Rows (n, width), or (n,) where the width is 1."""
        own = np.ascontiguousarray(rows, np.float32).reshape(len(rows), self.spool.width)
        self._file.write(own.tobytes())
        self.rows += len(own)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
