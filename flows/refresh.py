"""The flow `refresh`: what is new in raw/ is taken, what is done is left, what is gone is retired.

Called by the command line and, as `flows.deployable.refresh`, by Prefect on a schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flows.batch import refusals
from flows.ingest import Watch, no_progress
from storage.errors import MemdubError, PartlyFailed, RequestError, WorkError

__all__ = ["File", "Person", "Refreshed", "Shrinks", "refresh"]


class Shrinks(RequestError):
    """A refresh would retire more clips than anybody takes away on purpose; nothing was changed."""


@dataclass
class File:
    """A file in raw/ that is not as it was; `became` says what was done about it."""

    identity: str
    path: str  # relative to raw/<identity>
    became: str  # new, changed, moved, back, gone, quarantined, copying, unreadable, later
    clip: str | None = None
    reason: str | None = None


@dataclass
class Person:
    """One row of the report."""

    identity: str
    files: int = 0
    unchanged: int = 0
    taken: int = 0
    retired: int = 0
    returned: int = 0
    quarantined: int = 0
    waiting: int = 0
    extracted: int = 0
    remembered: int = 0
    trained: int = 0
    blocked: str | None = None  # why nothing was looked at


@dataclass
class Refreshed:
    """What a refresh found and did."""

    home: str
    dry_run: bool = False
    people: list[Person] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)  # artifacts: id, kind, identity, uri, reused
    failed: list[MemdubError] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "failed": refusals(self.failed)}

    def rows(self) -> list[dict[str, Any]]:
        """The table: one row a person."""
        return [asdict(one) for one in self.people]

    def error(self) -> MemdubError | None:
        """What went wrong, as one error; None where nothing did."""
        if not self.failed:
            return None
        lines = "; ".join(f"{e.where}: {e.what}" for e in self.failed[:3])
        return PartlyFailed(f"{len(self.failed)} failed: {lines}", do="the rest is done")

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
    retrain_at: float = 0.2,
    train: Sequence[str] = (),
    allow_shrink: bool = False,
    limit: int | None = None,
    dry_run: bool = False,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Refreshed:
    """Bring everything made of raw/ up to date: of these identities, or of all.

    `train` names methods to train even where they have no checkpoint yet, as `memface` or `memface:gpu`.
    `retrain_at` is the share of footage that must have changed before a method is trained again.
    """
    raise WorkError("not in this version", where="refresh", do="wait for it")
