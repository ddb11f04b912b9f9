"""Which stretches of time may be written, so that a shard has one writer.

Pure. Zarr writes smaller than a shard read the shard, change it and write it back: two such writers at
once lose each other's values without an error. So a region starts and ends on shard borders, or ends with
the array.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from storage.errors import RequestError

__all__ = ["Region", "check_aligned", "common", "cut", "merged"]


class Region(NamedTuple):
    """From `start` up to, not including, `stop`."""

    start: int
    stop: int


def cut(length: int, step: int) -> list[Region]:
    """All regions of `step` along an axis; the last may be shorter."""
    return [Region(start, min(start + step, length)) for start in range(0, length, step)]


def common(axes: Sequence[tuple[str, int, int]]) -> list[Region]:
    """The smallest regions that are whole shards of every array; `axes` is (name, length, shard) of each."""
    if not axes:
        raise RequestError("no array was named to plan regions for")
    if len({length for _, length, _ in axes}) > 1:
        told = ", ".join(f"{name} {length}" for name, length, _ in axes)
        raise RequestError(f"these arrays have no common time axis: {told}", do="plan them one by one")
    return cut(axes[0][1], math.lcm(*(shard for _, _, shard in axes)))


def check_aligned(name: str, region: Region, length: int, shard: int) -> None:
    """Refuse a region that shares a shard with another writer."""
    start, stop = region
    if not 0 <= start < stop <= length:
        raise RequestError(f"{start} to {stop} is not inside its {length} rows", where=name)
    if start % shard or (stop % shard and stop != length):
        raise RequestError(
            f"{start} to {stop} is not whole shards of {shard}: two writers in one shard lose each other's "
            "values without an error",
            where=name,
            do="write the regions that `regions()` gives",
        )


def merged(regions: Iterable[Region]) -> list[Region]:
    """Neighbours joined, for telling people."""
    joined: list[Region] = []
    for region in sorted(regions):
        if joined and joined[-1].stop == region.start:
            joined[-1] = Region(joined[-1].start, region.stop)
        else:
            joined.append(region)
    return joined
