"""Reads a group once, whole: is everything there and sound, and what are its digests?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from storage.clips.digests import Stretches, array_digest
from storage.clips.marks import content_of
from storage.clips.regions import cut, merged
from storage.errors import CorruptArtifact

if TYPE_CHECKING:
    from storage.clips.group import ClipGroup

__all__ = ["Report", "check_complete", "examine"]

_SLAB = 2**26


@dataclass(frozen=True)
class Report:
    """What a full reading found."""

    digests: Mapping[str, str]
    problems: tuple[str, ...]
    spoilt: tuple[tuple[str, int], ...] = ()  # arrays, and rows where something wrong begins

    @property
    def content_hash(self) -> str:
        return content_of(self.digests)


def check_complete(group: ClipGroup) -> None:
    """Raises CorruptArtifact if a shard of a published group is gone: it would read as missing values.

    One listing. What was changed in a shard is noticed by its checksums, when it is read.
    """
    if group.writable:
        return
    for name, regions in group.gaps().items():
        start, stop = merged(regions)[0]
        what = f"rows {start} to {stop} are missing"
        raise CorruptArtifact(what, where=f"{group.url}/{name}", do="run its stage again to make it anew")


def examine(group: ClipGroup, known: Mapping[str, str] | None = None) -> Report:
    """Read every value of the group's own arrays, but for those whose digests are `known`."""
    digests = dict(known or {})
    gaps = group.gaps()
    problems = [
        f"{name}: rows {start} to {stop} were never written"
        for name, regions in gaps.items()
        for start, stop in merged(regions)
    ]
    spoilt: list[tuple[str, int]] = []
    for name in sorted(set(group.own) - set(digests)):
        stretches = Stretches()
        for start, problem in _examine_array(group, name, stretches, complete=name not in gaps):
            problems.append(f"{name}: {problem}")
            spoilt.append((name, start))
        digests[name] = array_digest(name, group.array(name), stretches.finish())
    return Report(digests, tuple(problems), tuple(spoilt))


def _examine_array(
    group: ClipGroup, name: str, stretches: Stretches, *, complete: bool
) -> Iterator[tuple[int, str]]:
    array = group.array(name)
    must = bool(array.attrs.get("finite")) and complete
    # Whole chunks at a time, and whole shards where these are small.
    shard = (array.shards or array.chunks)[0]
    row = max(1, array.nbytes // array.shape[0])
    step = min(shard, max(1, _SLAB // row // array.chunks[0]) * array.chunks[0])
    for start, stop in cut(array.shape[0], step):
        try:
            values = group.read(name, start, stop)
        except CorruptArtifact as error:
            yield start, error.what
            continue
        stretches.feed(values)
        if must and not np.isfinite(values).all():
            yield start, f"rows {start} to {stop} hold values that are not finite"
