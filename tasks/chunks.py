"""Frame stages in blocks: any number of workers, in any order, killed and resumed, the same bytes.

A stage computes whole blocks of a fixed grid, so its result cannot depend on who computes what. A worker
takes a region (whole shards of every array), computes it block by block, and writes it itself; what is
missing of a draft is what is left to do. Called by `tasks.extract`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from storage import clips
from storage.clips import ArraySpec, ClipGroup, Region
from storage.errors import RequestError
from tasks.team import Step, Team, clocked, report_step
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


def open_draft(path: Path, stage: FrameStage, attrs: Mapping[str, Any], token: str) -> ClipGroup:
    """The stage's group: a draft to fill, or published already by a run that was killed right after."""
    try:
        return clips.open_clip(path)
    except RequestError:
        return clips.create(path, stage.specs(), attrs, token=token)


def fill(
    draft: ClipGroup,
    stage: FrameStage,
    team: Team,
    *,
    name: str,
    priority: int = 0,
    regions_at_once: int = 1,
    step: Step | None = None,
) -> ClipGroup:
    """Compute what is missing and publish. `step` hears of every block's frames, found or computed.

    `regions_at_once` joins regions to larger tasks.
    """
    if not draft.writable:
        return draft
    arrays = _arrays(stage)
    todo = _missing(draft, arrays)
    told: dict[str, dict[int, list[str]]] = {name: {} for name in arrays}
    if step is not None:
        step(draft.array(arrays[0]).shape[0] - sum(stop - start for start, stop in todo))
    if todo:
        plan = team.submit(_plan, stage, name=f"plan-{name}", priority=priority)
        team.share(plan, name)
        with team.steps(step) as topic:
            futures = [
                team.submit(
                    clocked, _write_regions, draft, stage, plan, part, topic, name=name, priority=priority
                )
                for part in _grouped(todo, regions_at_once)
            ]
            for part in team.results(futures, name):
                for array, start, digests in part:
                    told[array][start] = digests
    return draft.finish(_known(draft, told))


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
def _write_regions(
    draft: ClipGroup, stage: FrameStage, plan: Any, regions: Sequence[Region], topic: str
) -> list[Written]:
    # Dask runs finished tasks again whose worker died afterwards: what is written is not computed twice.
    lacking = set(_missing(draft, _arrays(stage)))
    todo = [region for region in regions if region in lacking]
    return [written for region in todo for written in write_region(draft, stage, plan, region, topic)]


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


def _grouped(regions: Sequence[Region], size: int) -> list[list[Region]]:
    return [list(regions[start : start + size]) for start in range(0, len(regions), size)]
