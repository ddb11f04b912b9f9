"""Carrying out a refresh's intake: file by file, a clip first, then what the ledger says of its file.

So a kill at any point leaves what is not done to be found again. Called by `flows.refresh`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flows.engine import as_error, call, passes
from flows.intake import LEFT, Intake, Taking, whole_in
from flows.watching import Watch
from storage import consent
from storage.artifacts import Artifact, find
from storage.errors import (
    ConsentError,
    HomeError,
    LeaseLost,
    MemdubError,
)
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import Run, record_failure
from tasks.sources import local_copy, row_of

__all__ = ["carry_out"]


@dataclass
class _Hands:
    """What carrying out needs."""

    home: Home
    ledger: Ledger
    run: Run
    intake: Intake
    watch: Watch
    tell: Callable[[str], None]
    made: list[Artifact]
    failed: list[MemdubError]


def carry_out(
    home: Home, run: Run, intake: Intake, *, watch: Watch, tell: Callable[[str], None]
) -> tuple[list[Artifact], list[MemdubError]]:
    """Take what is to be taken, retire what is gone. Raises what would fail for every file alike."""
    hands = _Hands(home, Ledger(home.objects), run, intake, watch, tell, [], [])
    now = dt.datetime.now(dt.UTC)
    touched = [_same_row(intake.identity, one, now) for one in intake.touched]
    hands.ledger.note_sources(intake.identity, touched)
    for number, taking in enumerate(intake.takings, 1):
        _take(hands, taking, number)
    _retire_gone(hands)
    intake.person.waiting = sum(one.became in LEFT for one in intake.files)
    intake.person.clips = len(hands.ledger.live_clips(intake.identity))
    return hands.made, hands.failed


def _same_row(identity: str, one: Taking, now: dt.datetime) -> dict[str, Any]:
    known = one.change.known
    assert known is not None
    said = {name: known[name] for name in ("state", "clip", "reason", "run_id")}
    return row_of(identity, one.seen, one.sha256, known, now=now, **said)


def _take(hands: _Hands, taking: Taking, number: int) -> None:
    intake, former = hands.intake, taking.former()
    try:
        clip, became = _clip_of(hands, taking, number)
    except MemdubError as error:
        _refuse(hands, taking, error)
        return
    replaced = intake.unheld(former) - {clip.id}
    hands.ledger.retire(intake.identity, replaced, dt.datetime.now(dt.UTC))
    intake.person.retired += len(replaced)
    _note(hands, taking, state="done", clip=clip.id)
    intake.note(taking.seen.path, "changed" if former and became == "new" else became, clip.id)
    intake.person.taken += became == "new"
    intake.person.returned += became == "back"
    hands.made.append(clip)


def _clip_of(hands: _Hands, taking: Taking, number: int) -> tuple[Artifact, str]:
    """The clip of this content: one that there is, or one that is made now. Raises why there is none."""
    intake = hands.intake
    decision = intake.decide(taking, whole_in(hands.home, hands.ledger, intake.identity))
    if decision.error is not None:
        raise decision.error
    clip = None if decision.clip is None else find(hands.ledger, decision.clip, intake.identity)
    if clip is not None:
        there = [row["id"] for row in intake.clips if row["source_sha256"] == taking.sha256]
        hands.ledger.retire(intake.identity, there, None)
        hands.run.reused.append(clip.id)
        return clip, decision.became
    clip = _ingest(hands, taking, number)
    # Another file may hold the same.
    intake.clips.append({"id": clip.id, "source_sha256": taking.sha256, "retired_at": None})
    return clip, "new"


def _ingest(hands: _Hands, taking: Taking, number: int) -> Artifact:
    from tasks.ingest import ingest_file

    identity, name = hands.intake.identity, taking.seen.path

    def waiting(holder: str) -> None:
        hands.tell(f"waiting for {holder}, which makes the clip of {name}")

    told = f"ingest {identity} <- {name}"
    try:
        with (
            hands.watch(told, number, len(hands.intake.takings)) as progress,
            local_copy(hands.home, taking.seen) as file,
        ):
            return call(
                ingest_file, hands.home, file, identity, progress=progress, waiting=waiting, name=told
            )
    except (MemdubError, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever a file does to a decoder must not stop the others
        raise as_error(error, taking.seen.where) from error


def _refuse(hands: _Hands, taking: Taking, error: MemdubError) -> None:
    """Put a bad file aside; leave one that is not complete, or that broke something which may pass.

    Raises what is wrong with more than the file.
    """
    intake, seen = hands.intake, taking.seen
    if isinstance(error, HomeError | LeaseLost):
        raise error
    if isinstance(error, ConsentError):
        consent.require(hands.home, intake.identity, "ingest")  # withdrawn meanwhile: all of it ends
    if reason := intake.still_comes(hands.home, taking, error):
        intake.note(seen.path, "copying", reason=reason)
        return
    named = type(error)(error.what, where=seen.where, do=error.do)
    # The clip of what the file was before stays as it is: nothing has taken its place.
    former = next((row["clip"] for row in taking.former()), None)
    # Written down first: killed in between it is refused, and written down, once more.
    record_failure(
        hands.ledger, hands.run, stage="ingest", subject=seen.where, error=named, identity=intake.identity
    )
    if not passes(named):
        _note(hands, taking, state="quarantined", clip=former, reason=str(named.what))
    intake.note(seen.path, "failed" if passes(named) else "quarantined", former, named.what)
    hands.failed.append(named)


def _note(hands: _Hands, taking: Taking, **said: Any) -> None:
    now, identity = dt.datetime.now(dt.UTC), hands.intake.identity
    row = row_of(
        identity, taking.seen, taking.sha256, taking.change.known, now=now, run_id=hands.run.id, **said
    )
    hands.ledger.note_sources(identity, [row])
    hands.intake.known[taking.seen.path] = row


def _retire_gone(hands: _Hands) -> None:
    intake, now = hands.intake, dt.datetime.now(dt.UTC)
    rows = [change.known for change in intake.gone if change.known is not None]
    if not rows:
        return
    retired = intake.unheld(rows)
    hands.ledger.retire(intake.identity, retired, now)
    intake.person.retired += len(retired)
    changed = {"state": "gone", "changed_at": now, "run_id": hands.run.id}
    hands.ledger.note_sources(intake.identity, [{**row, **changed} for row in rows])
    for row in rows:
        intake.note(row["path"], "gone", row["clip"])
