"""What is in a home, at a glance. Called by the command line and by reports."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, field
from typing import Any

from storage import consent
from storage.errors import ConsentError
from storage.home import Home
from storage.ledger import Ledger, connect

__all__ = ["Person", "Status", "survey"]

LAST = 5


@dataclass
class Person:
    """One identity."""

    name: str
    consent: str
    counts: dict[str, int] = field(default_factory=dict)
    clip_seconds: float = 0.0
    bytes: int = 0


@dataclass
class Status:
    """Everyone, and the last runs and failures."""

    home: str
    artifacts: int = 0
    bytes: int = 0
    identities: list[Person] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def survey(home: Home) -> Status:
    """Counts from the ledger, consent from the records."""
    ask = connect(Ledger(home.objects)).execute
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
    for identity, seconds in ask("select identity, sum(duration_s) from clips group by all").fetchall():
        people[identity].clip_seconds = seconds
    status.identities = [people[name] for name in sorted(people)]
    status.runs = _records(
        ask(
            "select id, flow, identity, status, len(made) made, len(reused) reused, seconds"
            f" from runs order by id desc limit {LAST}"
        )
    )
    status.failures = _records(
        ask(f"select failed_at, stage, subject, reason from failures order by failed_at desc limit {LAST}")
    )
    return status


def _records(answer: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _consent(home: Home, identity: str) -> str:
    try:
        record = consent.read(home, identity)
    except ConsentError:
        return "broken record"
    today = dt.date.today()
    if record.expires < today:
        return f"expired {record.expires}"
    if record.given_on > today:
        return f"from {record.given_on}"
    return "synthetic" if record.synthetic else f"{', '.join(sorted(record.scope))} until {record.expires}"
