"""What an array of a clip is: its name, shape, dimensions, units and how it is cut along time.

Pure: no store is touched here. `catalogue` builds the standard ones, `group` creates them.

Lengths along time are powers of two, so that the shards of arrays on one time axis nest: a worker that
takes whole shards of the longest takes whole shards of all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import RequestError

__all__ = ["CHUNK_BYTES", "SHARD_BYTES", "ArraySpec", "check_specs", "lengths", "single_shard"]

CHUNK_BYTES = 2**20
# A writer holds one shard in memory about twice, raw and encoded.
SHARD_BYTES = 2**26
# Some eight workers can share a clip; a longer one has no longer shards, since memory must not grow with it.
_FEWEST, _MOST, _WORKERS = 256, 512, 8
_NAME = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")


def _ceil2(value: int) -> int:
    return 1 << max(value - 1, 0).bit_length()


def _floor2(value: int) -> int:
    return 1 << (max(value, 1).bit_length() - 1)


def lengths(shape: Sequence[int], itemsize: int) -> tuple[int, int]:
    """Chunk and shard length along time: chunks of about a megabyte, shards that some eight workers share."""
    row = itemsize * math.prod(shape[1:])
    wanted = min(max(_ceil2(math.ceil(shape[0] / _WORKERS)), _FEWEST), _MOST)
    shard = min(wanted, _floor2(SHARD_BYTES // row), _ceil2(shape[0]))
    return min(_floor2(CHUNK_BYTES // row), shard), shard


def single_shard(shape: Sequence[int], itemsize: int) -> tuple[int, int]:
    """Chunk and shard length of an array that one process writes whole: one file."""
    chunk = min(_floor2(CHUNK_BYTES // (itemsize * math.prod(shape[1:]))), _ceil2(shape[0]))
    return chunk, chunk * math.ceil(shape[0] / chunk)


@dataclass(frozen=True)
class ArraySpec:
    """One array of a clip; time is always its first axis, except for coordinates, which carry `values`.

    `fill` is NaN for floats: a frame where no face was found is missing, not zero. Chunks of nothing but
    fill are stored all the same, so that a shard that is there is a shard that was written.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    units: str = "1"
    about: str = ""
    finite: bool = False
    chunk: int | None = None
    shard: int | None = None
    values: NDArray[Any] | None = field(default=None, compare=False, repr=False)

    @property
    def fill(self) -> float | int | str:
        """What an element that nobody wrote reads as."""
        if self.dtype == "string":
            return ""
        return math.nan if np.dtype(self.dtype).kind == "f" else 0

    @property
    def layout(self) -> tuple[int, int]:
        """Chunk and shard length along time, whether given or worked out."""
        if self.values is not None:
            return self.shape[0], self.shape[0]
        chunk, shard = lengths(self.shape, np.dtype(self.dtype).itemsize)
        shard = self.shard or shard
        return min(self.chunk or chunk, shard), shard

    def describe(self) -> dict[str, Any]:
        """All that decides the stored bytes, as JSON."""
        chunk, shard = self.layout
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "dims": list(self.dims),
            "units": self.units,
            "about": self.about,
            "finite": self.finite,
            "chunk": chunk,
            "shard": shard,
        }

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes that xarray shows."""
        named = {"units": self.units, "long_name": self.about}
        shown: dict[str, Any] = {key: value for key, value in named.items() if value}
        return shown | ({"finite": True} if self.finite else {})


def check_specs(specs: Sequence[ArraySpec], group: str = "") -> None:
    """Refuse what xarray could not open again, or what would not fit together."""
    sizes: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    for spec in specs:
        _check_one(spec, group)
        if spec.name in seen:
            raise RequestError("the array is asked for twice", where=spec.name)
        seen.add(spec.name)
        for dim, size in zip(spec.dims, spec.shape, strict=True):
            if sizes.setdefault((spec.name.split("/")[0], dim), size) != size:
                raise RequestError(
                    f"dimension {dim!r} has length {size} here and another elsewhere in the group",
                    where=spec.name,
                    do="give arrays on different clocks different dimension names",
                )


def _check_one(spec: ArraySpec, group: str) -> None:
    if not _NAME.fullmatch(spec.name) or (group and not spec.name.startswith(f"{group}/")):
        raise RequestError("an array's name is group/array, in small letters", where=spec.name)
    if len(spec.shape) != len(spec.dims) or not spec.shape or min(spec.shape) < 1:
        raise RequestError(f"shape {spec.shape} does not fit dimensions {spec.dims}", where=spec.name)
    if len(spec.shape) > 1 and spec.name.split("/")[1] in spec.dims:
        raise RequestError("an array of several dimensions may not share a dimension's name", where=spec.name)
    chunk, shard = spec.layout
    if shard % chunk:
        raise RequestError(f"the shard of {shard} is not whole chunks of {chunk}", where=spec.name)
