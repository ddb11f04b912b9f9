"""What a refresh makes of clips once they are there: features, memories, checkpoints; no more than is needed.

Called by `flows.refresh`; `flows.planning` asks the same questions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.engine import as_error
from flows.failures import refused_clips, standing
from flows.inventory import Inventory, train_options
from flows.watching import Watch
from storage.artifacts import Artifact
from storage.errors import HomeError, LeaseLost, MemdubError, RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import Run, record_failure

if TYPE_CHECKING:
    from tasks.chain import ExtractOptions
    from tasks.training import TrainOptions

__all__ = ["Keeper", "Retraining", "asked_methods", "mark_refused", "memory_due", "retrainings"]


@dataclass(frozen=True)
class Retraining:
    """A stage to train again, or a method to train at all, and why."""

    identity: str
    method: str
    preset: str
    stage: str | None
    share: float | None  # of the footage that changed; None where it was never trained
    checkpoint: Mapping[str, Any] | None = None

    @property
    def why(self) -> str:
        return "asked for" if self.share is None else f"{self.share:.0%} of the footage changed"

    @property
    def subject(self) -> str:
        return ":".join(filter(None, (self.method, self.preset, self.stage)))

    def options(self) -> TrainOptions:
        from tasks.training import TrainOptions

        if self.checkpoint is None:
            return TrainOptions(self.method, self.preset)
        return train_options(dict(self.checkpoint))


def asked_methods(train: Sequence[str]) -> list[tuple[str, str]]:
    """METHOD or METHOD:PRESET; RequestError where there is no such thing."""
    pairs = [(name.partition(":")[0], name.partition(":")[2] or "cpu") for name in train]
    if pairs:
        from tasks.training import TrainOptions, method_of

        for method, preset in pairs:
            method_of(TrainOptions(method, preset))
    return pairs


def retrainings(
    inventory: Inventory, retrain_at: float, asked: Iterable[tuple[str, str]] = ()
) -> list[Retraining]:
    """What is to be trained: stages whose footage changed beyond the share, and what was asked for."""
    there = inventory.checkpoints()
    found = []
    for (method, preset), stages in sorted(there.items()):
        for stage, row in sorted(stages.items()):
            share = inventory.changed_share(row)
            if share > retrain_at:
                found.append(Retraining(inventory.identity, method, preset, stage, share, row))
    new = [pair for pair in asked if pair not in there]
    return found + [Retraining(inventory.identity, *pair, None, None) for pair in new]


def memory_due(inventory: Inventory, failures: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there is a memory to make; one that was refused waits for other features."""
    if inventory.coming:
        return True
    features = list(inventory.extracted.values())
    if not features or inventory.memory() is not None:
        return False
    newest = max(row["started"] for row in features)
    return not any(
        (row["stage"], row["identity"]) == ("remember", inventory.identity) and row["failed_at"] > newest
        for row in failures
    )


def mark_refused(ledger: Ledger, identity: str, run: Run) -> list[dict[str, Any]]:
    """Have the ledger's files say what extraction refused of them, or no longer refuses; returns these."""
    refused = refused_clips(ledger)
    contents = {row["id"]: row["source_sha256"] for row in ledger.live_clips(identity)}
    now, changed = dt.datetime.now(dt.UTC), []
    for row in ledger.sources(identity):
        if row["state"] == "gone" or contents.get(row["clip"]) != row["sha256"]:
            continue
        state, reason = ("quarantined", refused[row["clip"]]) if row["clip"] in refused else ("done", None)
        if (state, reason) != (row["state"], row["reason"]):
            changed.append({**row, "state": state, "reason": reason, "changed_at": now, "run_id": run.id})
    ledger.note_sources(identity, changed)
    return changed


@dataclass
class Keeper:
    """Brings what is made of clips up to date."""

    home: Home
    run: Run
    watch: Watch
    tell: Callable[[str], None]
    made: list[Artifact] = field(default_factory=list)
    failed: list[MemdubError] = field(default_factory=list)

    def extract(
        self,
        identities: Sequence[str],
        *,
        workers: int | None = None,
        dask_address: str | None = None,
        cluster: str | None = None,
        limit: int | None = None,
    ) -> None:
        """Features of live clips that have none, but for those that were refused for good."""
        ledger = Ledger(self.home.objects)
        refused, left = refused_clips(ledger), limit
        groups: dict[ExtractOptions, dict[str, str]] = {}
        for identity in identities:
            inventory = Inventory(self.home, ledger, identity)
            todo = [row["id"] for row in inventory.unextracted() if row["id"] not in refused]
            if todo:
                wanted = todo if left is None else todo[: max(left, 0)]
                left = None if left is None else left - len(wanted)
                options = inventory.extract_options()
                groups.setdefault(options, {}).update(dict.fromkeys(wanted, identity))
        for options, clips in groups.items():
            if clips:
                self._extract(options, clips, workers=workers, dask_address=dask_address, cluster=cluster)

    def _extract(self, options: ExtractOptions, clips: dict[str, str], **how: Any) -> None:
        from flows.extract import extract

        whose = list(dict.fromkeys(clips.values()))
        self.tell(f"extracting {_count(len(clips), 'clip')} of {', '.join(whose)}")
        how |= {"home": self.home.url, "watch": self.watch, "tell": self.tell}
        try:
            done = extract(whose, options=options, clips=clips.keys(), **how)
        except Exception as error:  # the others' work goes on
            self._failed(error, "extract", ", ".join(whose), None)
            return
        self.made += [one.features for one in done.outcomes]
        self.failed += done.refused

    def remember(self, identity: str) -> None:
        """The memory of the features that there are now."""
        ledger = Ledger(self.home.objects)
        if not memory_due(Inventory(self.home, ledger, identity), standing(ledger)):
            return
        from flows.remember import remember

        self.tell(f"remembering {identity}")
        try:
            self.made.append(remember(identity, home=self.home.url).memory)
        except Exception as error:  # the others' work goes on
            self._failed(error, "remember", identity, identity)

    def train(self, one: Retraining, **how: Any) -> None:
        """One stage, or one method's all."""
        from flows.train import train

        self.tell(f"training {one.identity} {one.subject}: {one.why}")
        try:
            done = train(
                one.identity, one.options(), home=self.home.url, watch=self.watch, tell=self.tell, **how
            )
        except Exception as error:  # the others' work goes on
            self._failed(error, "train", one.subject, one.identity)
            return
        self.made += [outcome.checkpoint for outcome in done.outcomes]

    def _failed(self, error: Exception, stage: str, subject: str, identity: str | None) -> None:
        """Written down and told at the end; what would fail for everything is raised."""
        if isinstance(error, HomeError | LeaseLost):
            raise error
        told = as_error(error)
        self.failed.append(type(told)(told.what, where=told.where or subject, do=told.do))
        if isinstance(told, RequestError):  # a flow writes down its own failures, but no wrong requests
            ledger = Ledger(self.home.objects)
            record_failure(ledger, self.run, stage=stage, subject=subject, error=told, identity=identity)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
