"""Digests of arrays, by stretches of rows: who writes a region can tell its part without anyone reading it.

Private to `clips`. An array's digest is over its name, type, shape, dimensions, units and the digests of its
stretches, and so over its values alone: not over how they are cut into shards, or compressed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["STRETCH", "Stretches", "array_digest"]

STRETCH = 256


class Stretches:
    """Takes rows in any portions, in order, and gives a digest for each stretch of them."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._open = hashlib.sha256()
        self._rows = 0

    def feed(self, values: NDArray[Any]) -> None:
        """The next rows."""
        while len(values):
            taken, values = values[: STRETCH - self._rows], values[STRETCH - self._rows :]
            self._open.update(_bytes(taken))
            self._rows += len(taken)
            if self._rows == STRETCH:
                self._close()

    def finish(self) -> list[str]:
        """All digests; the last stretch may be short."""
        if self._rows:
            self._close()
        return self._done

    def _close(self) -> None:
        self._done.append(self._open.hexdigest())
        self._open, self._rows = hashlib.sha256(), 0


def array_digest(name: str, array: Any, stretches: Sequence[str]) -> str:
    """Of a zarr array with these stretches."""
    units = array.attrs.get("units", "")
    told = [name, str(array.dtype), list(array.shape), list(array.metadata.dimension_names), units]
    return hashlib.sha256("\n".join([json.dumps(told), *stretches]).encode()).hexdigest()


def _bytes(values: NDArray[Any]) -> bytes | memoryview:
    if values.dtype.kind in "TOU":
        return "\0".join(str(value) for value in values.ravel()).encode() + b"\0"
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).data.cast("B")
