"""Frame stages in blocks: any number of workers, in any order, killed and resumed, the same bytes.

A stage computes whole blocks of a fixed grid, so its result cannot depend on who computes what. A worker
takes a region (whole shards of every array), computes it block by block, and writes it itself; what is
missing of a draft is what is left to do. Called by `tasks.extract`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from storage import clips
from storage.clips import ArraySpec, ClipGroup, Region
from storage.errors import RequestError
from tasks.team import Step, Workers, clocked, report_step
from tasks.threads import one_thread

__all__ = ["BLOCK", "FrameStage", "fill", "open_draft", "write_region"]

BLOCK = 256
# An array's name, where a write began, and the digests of what was written.
Written = tuple[str, int, list[str]]


class FrameStage(Protocol):
    """A stage whose arrays all run along the clip's frames; small, and it pickles."""

    def specs(self) -> Sequence[ArraySpec]:
        """The arrays it makes."""
        ...

    def plan(self) -> Any:
        """What needs the whole clip at once: small, the same whoever makes it."""
        ...

    def compute(self, plan: Any, start: int, stop: int) -> Mapping[str, NDArray[Any]]:
        """Rows of every array for one block: a function of the clip and the block alone."""
        ...


def open_draft(
    path: Path, specs: Sequence[ArraySpec], attrs: Mapping[str, Any], token: str | None = None
) -> ClipGroup:
    """A draft to fill, or the group itself where somebody who was given up for dead had published it.

    Who shares a draft names it by a `token`; without one it is the caller's own.
    """
    try:
        return clips.open_clip(path)
    except RequestError:
        return clips.create(path, specs, attrs, token=token)


def fill(
    draft: ClipGroup,
    stage: FrameStage,
    team: Workers,
    *,
    name: str,
    priority: int = 0,
    step: Step | None = None,
) -> ClipGroup:
    """Compute what is missing and publish. `step` hears of every block's frames, found or computed."""
    if not draft.writable:
        return draft
    arrays = _arrays(stage)
    todo = _missing(draft, arrays)
    told: dict[str, dict[int, list[str]]] = {name: {} for name in arrays}
    tally = _Tally(draft.array(arrays[0]).shape[0], step)
    tally.add(tally.left - sum(stop - start for start, stop in todo))
    if todo:
        planned = team.submit(clocked, _plan, stage, name=f"plan-{name}", priority=priority)
        team.share(planned, name)
        with team.steps(tally.add) as topic:
            futures = [
                team.submit(
                    clocked, _write, draft, stage, planned, region, topic, name=name, priority=priority
                )
                for region in todo
            ]
            for part in team.results(futures, name):
                for array, start, digests in part:
                    told[array][start] = digests
    tally.add(tally.left)  # reports travel beside the results, and may come late or be lost
    return draft.finish(_known(draft, told))


@dataclass
class _Tally:
    """Tells `step` of every frame once, however often workers report it."""

    left: int
    step: Step | None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, frames: int) -> None:
        with self._lock:
            frames = min(frames, self.left)
            self.left -= frames
            if frames and self.step is not None:
                self.step(frames)


def _known(draft: ClipGroup, told: Mapping[str, Mapping[int, Sequence[str]]]) -> dict[str, str]:
    """Digests of the arrays that this run wrote whole: nobody need read them again."""
    known = {}
    for name, parts in told.items():
        digest = draft.digest(name, [one for start in sorted(parts) for one in parts[start]])
        if digest is not None:
            known[name] = digest
    return known


def write_region(
    draft: ClipGroup, stage: FrameStage, plan: Any, region: Region, topic: str = ""
) -> Iterator[Written]:
    """Compute one region block by block; every shard is written as soon as it is whole, and told."""
    shards = {spec.name: spec.layout[1] for spec in stage.specs() if spec.values is None}
    waiting: dict[str, list[NDArray[Any]]] = {name: [] for name in shards}
    begun = dict.fromkeys(shards, region.start)
    for start in range(region.start, region.stop, BLOCK):
        stop = min(start + BLOCK, region.stop)
        rows = stage.compute(plan, start, stop)
        for name, shard in shards.items():
            waiting[name].append(rows[name])
            if stop % shard == 0 or stop == region.stop:
                digests = draft.write(name, begun[name], _joined(waiting[name]))
                yield name, begun[name], digests
                waiting[name], begun[name] = [], stop
        report_step(topic, stop - start)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@one_thread()
def _plan(stage: FrameStage) -> Any:
    return stage.plan()


@one_thread()
def _write(
    draft: ClipGroup, stage: FrameStage, planned: tuple[float, Any], region: Region, topic: str
) -> list[Written]:
    # Dask runs finished tasks again whose worker died afterwards: what is written is not computed twice.
    if region not in _missing(draft, _arrays(stage)):
        return []
    return list(write_region(draft, stage, planned[1], region, topic))


def _arrays(stage: FrameStage) -> list[str]:
    return [spec.name for spec in stage.specs() if spec.values is None]


def _missing(draft: ClipGroup, arrays: Sequence[str]) -> list[Region]:
    """Regions of which any array lacks anything."""
    lacking = [region for name, regions in draft.gaps().items() if name in arrays for region in regions]
    return [
        region
        for region in draft.regions(*arrays)
        if any(start < region.stop and region.start < stop for start, stop in lacking)
    ]
