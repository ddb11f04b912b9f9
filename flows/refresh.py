"""The flow `refresh`: what is new in raw/ is taken, what is done is left, what is gone is retired.

    files -> clips -> features -> memories -> checkpoints

Called by the command line and, as `flows.deployable.refresh`, by Prefect on a schedule. One refresh of a home
runs at a time: a second one waits, and then finds nothing to do. Nothing that only the work itself needs is
imported before there is work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flows.batch import first_few, refusals
from flows.failures import refused_clips, standing
from flows.foreseeing import after, foresee
from flows.intake import File, Intake, Person, everyone, survey_files, why_not
from flows.inventory import Inventory
from flows.keeping import Keeper, Retraining, asked_methods, mark_refused, memory_due, retrainings
from flows.shrinking import Shrinks, check_shrink
from flows.taking import carry_out
from flows.watching import Watch, no_progress
from storage import consent, leases
from storage.artifacts import Artifact
from storage.errors import ConsentError, MemdubError, PartlyFailed, RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import Run, run

__all__ = ["File", "Person", "Refreshed", "Shrinks", "refresh"]

LEASE = "refresh"


@dataclass
class Refreshed:
    """What a refresh found and did; of a dry run, what it would do."""

    home: str
    dry_run: bool = False
    people: list[Person] = field(default_factory=list)
    files: list[File] = field(default_factory=list)  # that are not as they were
    made: list[Artifact] = field(default_factory=list)
    to_train: list[Retraining] = field(default_factory=list)  # of a dry run
    stops: str | None = None  # of a dry run: why it would stop before it changes anything
    failed: list[MemdubError] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Artifacts under the plural of their kinds, as everywhere."""
        kinds = {"clip": "clips", "features": "features", "memory": "memories", "checkpoint": "checkpoints"}
        made = {
            name: [one.as_dict() for one in self.made if one.kind == kind] for kind, name in kinds.items()
        }
        told = {
            "people": self.rows(),
            "files": [asdict(one) for one in self.files],
            "stops": self.stops,
            "to_train": [
                {"identity": one.identity, "what": one.subject, "why": one.why} for one in self.to_train
            ],
            "seconds": self.seconds,
            "failed": refusals(self.failed),
        }
        return {"home": self.home, "dry_run": self.dry_run, **told, **made}

    def rows(self) -> list[dict[str, Any]]:
        """The table: one row a person."""
        return [asdict(one) for one in self.people]

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do."""
        return not self.made and not self.failed and not any(one.retired for one in self.people)

    @property
    def status(self) -> str:
        """How the run ended, as its row in the ledger says it."""
        return "partly" if self.failed else "done"

    def error(self) -> MemdubError | None:
        """What went wrong, as one error; None where nothing did."""
        if not self.failed:
            return None
        do = "the rest is done; `memdub retry --failed` tries these again"
        return PartlyFailed(f"{len(self.failed)} refused or failed: {first_few(self.failed)}", do=do)

    def raise_if_failed(self) -> None:
        """For callers that want all or an error."""
        error = self.error()
        if error is not None:
            raise error


def refresh(
    identities: Sequence[str] = (),
    *,
    home: str | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    cluster: str | None = None,
    retrain_at: float = 0.2,
    train: Sequence[str] = (),
    allow_shrink: bool = False,
    limit: int | None = None,
    dry_run: bool = False,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Refreshed:
    """Bring everything that is made of raw/ up to date: of these identities, or of all.

    `train` names methods to train also where they have no checkpoint yet, as `memface` or `memface:gpu`;
    `retrain_at` is the share of footage that must have come or gone before a method is trained again;
    `limit` bounds the files that are taken, and the clips that are extracted.
    """
    place = Home(home)
    if not retrain_at >= 0:
        where = f"--retrain-at {retrain_at}"
        raise RequestError("not a share of the footage", where=where, do="use 0.2 for a fifth")
    asked = asked_methods(train)
    for identity in identities:
        consent.require(place, check_slug(identity), "ingest")
    work = _Work(place, list(identities), retrain_at, asked, allow_shrink, limit, watch, tell)
    if dry_run:
        return work.foresee()
    ledger = Ledger(place.objects)
    whom = identities[0] if len(identities) == 1 else None
    told = {"identities": list(identities), "train": list(train), "retrain_at": retrain_at, "limit": limit}

    def waiting(holder: str) -> None:
        tell(f"waiting for {holder}, which refreshes this home")

    with leases.hold(place.objects, LEASE, place.settings.lease_seconds, waiting=waiting) as lease:
        assert lease is not None
        with run(ledger, "refresh", identity=whom, arguments=told) as this:
            how = {"workers": workers, "dask_address": dask_address, "cluster": cluster}
            result = work.carry_out(this, lease, how)
            this.status = result.status
    return result


@dataclass
class _Work:
    """One refresh: what was asked, and what comes of it."""

    home: Home
    identities: list[str]
    retrain_at: float
    asked: list[tuple[str, str]]
    allow_shrink: bool
    limit: int | None
    watch: Watch
    tell: Callable[[str], None]
    intakes: list[Intake] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self.result = Refreshed(self.home.url)

    def carry_out(self, this: Run, lease: leases.Lease, how: dict[str, Any]) -> Refreshed:
        Ledger(self.home.objects).gather()  # what workers of a killed run have left
        self._survey()
        if not self.allow_shrink:
            check_shrink(self.home, self.intakes)
        keeper = Keeper(self.home, this, self.watch, self.tell)
        for intake in self.intakes:
            lease.check()
            self._take(this, intake)
        for intake in self.intakes:  # a consent may have ended while files were taken
            intake.person.blocked = intake.person.blocked or why_not(self.home, intake.identity)
        allowed = [intake for intake in self.intakes if intake.person.blocked is None]
        keeper.extract([intake.identity for intake in allowed], limit=self.limit, **how)
        for intake in allowed:
            lease.check()
            self._mark(this, intake)
            if self._may(intake.identity, "train"):
                self._keep(keeper, intake.identity)
        self.result.made += keeper.made
        self.result.failed += keeper.failed
        return self._told()

    def foresee(self) -> Refreshed:
        """What would be done; only reads."""
        self.result.dry_run = True
        self._survey()
        try:
            if not self.allow_shrink:
                check_shrink(self.home, self.intakes)
        except Shrinks as error:
            self.result.stops = str(error)
        ledger = Ledger(self.home.objects)
        refused, failures = refused_clips(ledger), standing(ledger)
        left = math.inf if self.limit is None else self.limit
        for intake in self.intakes:
            found = foresee(self.home, ledger, intake)
            then = after(Inventory(self.home, ledger, intake.identity), intake, found, refused, left)
            left -= len(then.coming)
            intake.person.extracted = len(then.coming)
            if self._may(intake.identity, "train") and (then.extracted or then.coming):
                intake.person.remembered = int(memory_due(then, failures))
                self.result.to_train += retrainings(then, self.retrain_at, self.asked)
        return self._told()

    def _survey(self) -> None:
        ledger = Ledger(self.home.objects)
        left = self.limit
        for name in self.identities or everyone(self.home, ledger):
            reason = why_not(self.home, name)
            if reason is not None:
                self.result.people.append(Person(name, blocked=reason))
                continue
            intake = survey_files(self.home, ledger, name, tell=self.tell)
            if left is not None:
                intake.takings, intake.later = intake.takings[:left], intake.takings[left:]
                for one in intake.later:
                    intake.note(one.seen.path, "later", reason=f"more than --limit {self.limit}")
                left -= len(intake.takings)
            self.intakes.append(intake)
            self.result.people.append(intake.person)

    def _take(self, this: Run, intake: Intake) -> None:
        try:
            made, failed = carry_out(self.home, this, intake, watch=self.watch, tell=self.tell)
        except ConsentError as error:  # withdrawn in the middle
            intake.person.blocked = error.what
            return
        self.result.made += made
        self.result.failed += failed

    def _mark(self, this: Run, intake: Intake) -> None:
        ledger = Ledger(self.home.objects)
        for row in mark_refused(ledger, intake.identity, this):
            became = "quarantined" if row["state"] == "quarantined" else "released"
            intake.note(row["path"], became, row["clip"], row["reason"])
        states = [row["state"] for row in ledger.sources(intake.identity)]
        intake.person.quarantined = states.count("quarantined")

    def _keep(self, keeper: Keeper, name: str) -> None:
        keeper.remember(name)
        inventory = Inventory(self.home, Ledger(self.home.objects), name)
        if inventory.extracted:
            for one in retrainings(inventory, self.retrain_at, self.asked):
                keeper.train(one)

    def _may(self, identity: str, purpose: consent.Purpose) -> bool:
        try:
            consent.require(self.home, identity, purpose)
        except ConsentError:
            return False
        return True

    def _told(self) -> Refreshed:
        result = self.result
        counts = {"features": "extracted", "memory": "remembered", "checkpoint": "trained"}
        for intake in self.intakes:
            result.files += intake.files
            for kind, name in counts.items():
                made = [one for one in result.made if (one.kind, one.identity) == (kind, intake.identity)]
                if not result.dry_run:
                    setattr(intake.person, name, sum(not one.reused for one in made))
        result.seconds = time.monotonic() - self.begun
        return result
