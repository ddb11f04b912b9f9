"""`memdub status`: the home at a glance, without importing anything heavy."""

from __future__ import annotations

import click

from flows.cli.output import duration, json_option, print_json, say, size, table
from flows.status import Status, survey
from storage.home import Home

__all__ = ["status", "tell_status"]


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Who is here, what is done, runs, waits, failed and why."""
    found = survey(Home())
    if as_json:
        print_json(found.as_dict())
        return
    tell_status(found)


def tell_status(found: Status) -> None:
    """The home at a glance."""
    say(f"Home {found.home}: {found.artifacts} artifacts, {size(found.bytes)}")
    if not found.identities:
        say("Nobody is here yet: memdub demo, or memdub ingest VIDEO --identity NAME --consent FILE")
        return
    _tell_people(found)
    _tell_stages(found)
    _tell_work(found)
    if found.runs:
        say()
        columns = ["id", "flow", "identity", "status", "made", "reused"]
        rows = [[*(run[name] for name in columns), duration(run["seconds"])] for run in found.runs]
        table(["run", *columns[1:], "took"], rows, right=(4, 5, 6))
    if found.failures:
        say()
        rows = [[row["failed_at"], row["stage"], row["attempt"], row["reason"]] for row in found.failures]
        table(["failed", "stage", "attempt", "why"], rows, right=(2,))
        more = f"the last {len(rows)} of {found.failed}; " if found.failed > len(rows) else ""
        say(f"{more}memdub retry --failed tries again")


def _tell_people(found: Status) -> None:
    say()
    kinds = sorted({kind for person in found.identities for kind in person.counts} - {"clip"})
    retired = ["retired"] if any(person.retired for person in found.identities) else []
    columns = ["identity", "clips", *retired, "footage", *kinds, "size", "consent"]
    rows = [
        [
            person.name,
            person.counts.get("clip", 0) - person.retired,
            *([person.retired] if retired else []),
            duration(person.clip_seconds),
            *(person.counts.get(kind, 0) for kind in kinds),
            size(person.bytes),
            person.consent,
        ]
        for person in found.identities
    ]
    table(columns, rows, right=tuple(range(1, len(columns) - 1)))


def _tell_stages(found: Status) -> None:
    say()
    columns = ["stage", "done", "reused", "failed", "pending", "blocked"]
    rows = [
        [one.name, one.done, one.reused, one.failed, one.pending, one.blocked]
        for one in found.stages
        if one.done or one.failed or one.pending or one.blocked
    ]
    table(columns, rows, right=(1, 2, 3, 4, 5))


def _tell_work(found: Status) -> None:
    """What goes on at this moment, and who waits for it."""
    now = [("runs", row) for row in found.running] + [("waits", row) for row in found.waiting]
    if now:
        say()
        rows = [[state, *_about(row)] for state, row in now]
        table(["now", "stage", "identity", "of", "who", "since"], rows)


def _about(row: dict[str, object]) -> list[object]:
    seconds, silent = row["seconds"], row["silent_s"]
    since = None if not isinstance(seconds, float) else duration(seconds)
    quiet = f", silent for {duration(silent)}" if isinstance(silent, float) and silent > 30 else ""
    return [row["what"], row["identity"], row["of"], row["who"], f"{since or '-'}{quiet}"]
