"""What is in a home, at a glance: who, how far every stage is, what runs, what waits, what failed and why.

Called by the command line and by reports. Answers in less than a second, so nothing heavy is imported and no
file of footage is opened.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from flows.failures import standing
from flows.inventory import CLIP_STAGES
from storage import consent, leases
from storage.errors import ConsentError, WorkError
from storage.home import Home
from storage.ledger import Ledger, asking
from tasks.sources import Change, compare, look

__all__ = ["Person", "Stage", "Status", "survey"]

LAST = 5
# Stages that are counted by what there is of them alone, and the kinds of artifacts that they make.
WHOLE = {"remember": "memory", "train": "checkpoint", "dub": "dub"}


@dataclass
class Person:
    """One identity."""

    name: str
    consent: str
    counts: dict[str, int] = field(default_factory=dict)
    clip_seconds: float = 0.0
    bytes: int = 0
    retired: int = 0


@dataclass
class Stage:
    """How far a stage is. Of extraction and ingest it counts live clips, of others what was made."""

    name: str
    done: int = 0
    reused: int = 0  # how often it was found and taken as it was
    failed: int = 0
    pending: int = 0
    blocked: int = 0  # waits for what failed, or for consent


@dataclass
class Status:
    """Everyone, every stage, the last runs, what goes on now, and what failed."""

    home: str
    artifacts: int = 0
    bytes: int = 0
    identities: list[Person] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    running: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    failed: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)  # the last of those

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def survey(home: Home) -> Status:
    """Counts from the ledger, consent from the records, work from the leases."""
    ledger = Ledger(home.objects)
    with asking(ledger) as connection:
        return _surveyed(home, ledger, connection.execute)


def _surveyed(home: Home, ledger: Ledger, ask: Any) -> Status:
    status = Status(home.url)
    people = {name: Person(name, _consent(home, name)) for name in consent.identities(home)}
    for kind, identity, count, size in ask(
        "select kind, identity, count(*), sum(bytes)::bigint from artifacts group by all"
    ).fetchall():
        status.artifacts += count
        status.bytes += size
        if identity is not None:
            person = people.setdefault(identity, Person(identity, "none"))
            person.counts[kind] = count
            person.bytes += size
    for identity, seconds, retired in ask(
        "select identity, sum(duration_s) filter (retired_at is null), count(retired_at)"
        " from clips group by all"
    ).fetchall():
        people[identity].clip_seconds, people[identity].retired = seconds or 0.0, retired
    status.identities = [people[name] for name in sorted(people)]
    failures = standing(ledger)
    status.failed, status.failures = len(failures), [_failure(row) for row in reversed(failures[-LAST:])]
    status.stages = _stages(home, ledger, ask, failures)
    status.running = [_lease(row) for row in leases.running(home.objects)]
    status.waiting = [_lease(row) for row in leases.waiting_for(home.objects)]
    status.runs = _records(
        ask(
            "select id, flow, identity, status, len(made) made, len(reused) reused, seconds"
            f" from runs order by id desc limit {LAST}"
        )
    )
    return status


def _stages(home: Home, ledger: Ledger, ask: Any, failures: list[dict[str, Any]]) -> list[Stage]:
    reused = dict(
        ask(
            "select kind, count(*) from (select unnest(reused) id from runs)"
            " join artifacts using (id) group by 1"
        ).fetchall()
    )
    counts = dict(ask("select kind, count(*) from artifacts group by 1").fetchall())
    failed = {(row["stage"], row["subject"]) for row in failures}
    found = {name: Stage(name, reused=reused.get(name, 0)) for name in ("ingest", *CLIP_STAGES)}
    found["ingest"].reused = reused.get("clip", 0)
    _count_clips(home, ask, found, {subject for stage, subject in failed if stage == "extract"})
    _count_files(home, ledger, found["ingest"])
    for name, kind in WHOLE.items():
        found[name] = Stage(name, counts.get(kind, 0), reused.get(kind, 0))
    for stage, subject in failed:
        if stage in found and (stage != "extract" or not subject.startswith("clip-")):
            found[stage].failed += 1
    return list(found.values())


def _count_clips(home: Home, ask: Any, found: dict[str, Stage], failed: set[str]) -> None:
    """Each live clip in each stage: done, or else failed in the first that is missing, or still to come."""
    rows = ask(
        "select c.identity, c.id, list(distinct a.kind) from clips c"
        " left join lineage l on l.parent = c.id and l.role = 'clip' left join artifacts a on a.id = l.child"
        " where c.retired_at is null group by all"
    ).fetchall()
    allowed = {name: _may_ingest(home, name) for name in {row[0] for row in rows}}
    for identity, clip, kinds in rows:
        found["ingest"].done += 1
        # What was made on the way may have been cleared away.
        missing = [name for name in CLIP_STAGES if name not in kinds and "features" not in kinds]
        for name in set(CLIP_STAGES) - set(missing):
            found[name].done += 1
        for place, name in enumerate(missing):
            stage = found[name]
            if clip in failed:
                stage.failed, stage.blocked = stage.failed + (place == 0), stage.blocked + (place > 0)
            elif allowed[identity]:
                stage.pending += 1
            else:
                stage.blocked += 1


def _count_files(home: Home, ledger: Ledger, stage: Stage) -> None:
    """Footage that the next refresh will take; in a bucket nobody looks for it at a glance."""
    for name in consent.identities(home) if home.is_local else ():
        if _may_ingest(home, name):
            changes = compare(look(home, name), ledger.sources(name), trusting=True)
            known = {(row["source_name"], row["source_bytes"]) for row in ledger.live_clips(name)}
            stage.pending += sum(
                one.kind == "changed" or (one.kind == "new" and _named(one) not in known) for one in changes
            )


def _named(change: Change) -> tuple[str, int]:
    """What tells a file that was ingested by hand, without reading it."""
    return change.path.rpartition("/")[2], 0 if change.seen is None else change.seen.bytes


def _may_ingest(home: Home, identity: str) -> bool:
    try:
        consent.require(home, identity, "ingest")
    except (ConsentError, WorkError):  # who cannot be asked now has not agreed
        return False
    return True


def _failure(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("failed_at", "stage", "identity", "subject", "reason", "attempt")}


def _lease(row: dict[str, Any]) -> dict[str, Any]:
    """Who does or waits for what, since how long."""
    about = row["about"] or {}
    seconds = None if row["since"] is None else max(0.0, time.time() - row["since"])
    return {
        "what": about.get("stage") or row["name"].rpartition("-")[0] or row["name"],
        "identity": about.get("identity"),
        "of": about.get("of"),
        "name": row["name"],
        "who": f"process {row['pid']} on {row['host']}",
        "seconds": seconds,
        "silent_s": row["silent_s"],
    }


def _records(answer: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _consent(home: Home, identity: str) -> str:
    try:
        record = consent.read(home, identity)
    except ConsentError:
        return "broken record"
    except WorkError:
        return "cannot be read now"
    today = dt.date.today()
    if record.expires < today:
        return f"expired {record.expires}"
    if record.given_on > today:
        return f"from {record.given_on}"
    return "synthetic" if record.synthetic else f"{', '.join(sorted(record.scope))} until {record.expires}"
