"""The flow `backfill`: a stage done again where its newest result was made by another version of it.

    --since 3            by version 3 or a later one, but not by the one that there is now
    --since 2026-11-01   on that day or later, by any version but the one that there is now

What there was stays: the new result is another artifact beside it. What is made of it follows: a new track
has a new fit and new features. Called by the command line.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flows.batch import first_few, refusals
from flows.inventory import CLIP_STAGES, Inventory
from flows.watching import Watch, no_progress
from storage import consent
from storage.artifacts import Artifact
from storage.errors import ConsentError, MemdubError, PartlyFailed, RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import run

__all__ = ["STAGES", "Backfilled", "Redo", "backfill"]

STAGES = ("ingest", *CLIP_STAGES, "remember", "train")
KINDS = {"ingest": "clip", "remember": "memory", "train": "checkpoint"}


@dataclass
class Redo:
    """An artifact that is to be made by the version that there is now."""

    identity: str
    subject: str  # the clip; of a memory or checkpoint the identity
    artifact: str
    version: int
    made: dt.datetime
    became: str = "to do"  # done, failed, blocked, gone
    why: str | None = None


@dataclass
class Backfilled:
    """What is done again, and what came of it."""

    stage: str
    version: int  # the one that there is now
    follows: tuple[str, ...]  # stages that are made of it
    redos: list[Redo] = field(default_factory=list)
    made: list[Artifact] = field(default_factory=list)
    failed: list[MemdubError] = field(default_factory=list)
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        told = {
            "stage": self.stage,
            "version": self.version,
            "follows": self.follows,
            "dry_run": self.dry_run,
        }
        redos = [asdict(one) for one in self.redos]
        made = [one.as_dict() for one in self.made]
        return {**told, "redo": redos, "artifacts": made, "failed": refusals(self.failed)}

    def line(self) -> str:
        """What is about to happen, in one line."""
        whose = sorted({one.identity for one in self.redos})
        versions = sorted({one.version for one in self.redos})
        by = ", ".join(map(str, versions))
        then = f", and after it {', '.join(self.follows)}" if self.follows else ""
        count = len(self.redos)
        return (
            f"{self.stage} is done again for {count} of {', '.join(whose)}: made by version {by}, "
            f"now there is {self.version}{then}; what there was is kept"
            if count
            else f"nothing to do: no {self.stage} of that time by another version than {self.version}"
        )

    @property
    def status(self) -> str:
        return "partly" if self.failed else "done"

    def error(self) -> MemdubError | None:
        """What failed, as one error; None where nothing did."""
        if not self.failed:
            return None
        what = f"{len(self.failed)} of {len(self.redos)} failed: {first_few(self.failed)}"
        return PartlyFailed(what, do="`memdub retry --failed` tries them again")


def backfill(
    stage: str,
    since: str,
    identities: Sequence[str] = (),
    *,
    home: str | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    cluster: str | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Backfilled:
    """Do a stage again for live clips whose newest artifact of it an outdated version made since then."""
    if stage not in STAGES:
        raise RequestError("no such stage", where=f"--stage {stage}", do=f"use one of {', '.join(STAGES)}")
    bound = _bound(since)
    place = Home(home)
    for identity in identities:
        consent.require(place, check_slug(identity), _purpose(stage))
    ledger = Ledger(place.objects)
    result = Backfilled(stage, current_version(stage), _follows(stage), dry_run=dry_run)
    for name in identities or consent.identities(place):
        if _may(place, name, stage):
            result.redos += _outdated(Inventory(place, ledger, name), stage, bound, result.version)
    result.redos = result.redos[:limit]
    tell(result.line())
    if dry_run or not result.redos:
        return result
    told = {"stage": stage, "since": since, "identities": list(identities), "limit": limit}
    whom = identities[0] if len(identities) == 1 else None
    how = {"workers": workers, "dask_address": dask_address, "cluster": cluster}
    with run(ledger, "backfill", identity=whom, arguments=told) as this:
        from flows.redoing import Redoing

        Redoing(place, this, result, {**how, "watch": watch, "tell": tell}).do()
        this.status = result.status
    return result


def current_version(stage: str) -> int:
    """The version of the stage that would do the work now."""
    if stage in CLIP_STAGES:
        from tasks.chain import VERSIONS

        return VERSIONS[stage]
    if stage == "ingest":
        import tasks.ingest

        return tasks.ingest.STAGE_VERSION
    if stage == "remember":
        import tasks.remember

        return tasks.remember.VERSION
    import tasks.training

    return tasks.training.VERSION


def _bound(since: str) -> int | dt.datetime:
    if since.isdecimal() and len(since) < 6:
        return int(since)
    try:
        when = dt.datetime.fromisoformat(since)
    except ValueError as error:
        do = "use a version as 2, or a date as 2026-11-01"
        raise RequestError("neither a version nor a date", where=f"--since {since}", do=do) from error
    return when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)


def _purpose(stage: str) -> consent.Purpose:
    return "train" if stage in ("remember", "train") else "ingest"


def _may(home: Home, identity: str, stage: str) -> bool:
    try:
        consent.require(home, identity, _purpose(stage))
    except ConsentError:
        return False
    return True


def _follows(stage: str) -> tuple[str, ...]:
    """What is made of a stage's result, of those that are made at once."""
    after = {"ingest": CLIP_STAGES, "faces": CLIP_STAGES[1:2] + CLIP_STAGES[3:], "track": CLIP_STAGES[3:]}
    after |= {"fit": CLIP_STAGES[4:], "audio": CLIP_STAGES[4:]}
    return after.get(stage, ())


def _outdated(inventory: Inventory, stage: str, bound: int | dt.datetime, current: int) -> list[Redo]:
    """The newest of each clip (or of the person), if an outdated version made it since the bound."""

    def counts(row: dict[str, Any]) -> bool:
        late = row["started"] >= bound if isinstance(bound, dt.datetime) else row["stage_version"] >= bound
        return bool(late and row["stage_version"] != current)

    return [
        Redo(inventory.identity, subject, row["id"], row["stage_version"], row["started"])
        for subject, row in _newest(inventory, stage)
        if counts(row)
    ]


def _newest(inventory: Inventory, stage: str) -> list[tuple[str, dict[str, Any]]]:
    live = {row["id"] for row in inventory.clips}
    if stage in CLIP_STAGES:
        return [(clip, row) for clip, row in sorted(inventory.newest(stage).items()) if clip in live]
    rows = [row for row in inventory.artifacts if row["kind"] == KINDS[stage]]
    if stage == "ingest":
        return [(row["id"], row) for row in rows if row["id"] in live]
    if stage == "remember":
        return [(inventory.identity, row) for row in rows[-1:]]
    trained = [row for stages in inventory.checkpoints().values() for row in stages.values()]
    return [(inventory.identity, row) for row in trained]
