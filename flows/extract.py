"""The flow `extract`: clips in, features out; a clip that is refused is said and does not stop the rest.

Called by the command line and, as `flows.deployable.extract`, by Prefect. Stages of one clip run in order,
its sound beside its picture; several clips are under way at once, so that workers never wait for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from flows.batch import error_of, refusals, status_of
from flows.extracting import Outcome, Planned, Who, Work, extract_all
from flows.ingest import Watch, no_progress
from storage import consent
from storage.artifacts import Artifact, check_whole, of_row
from storage.errors import ConsentError, CorruptArtifact, MemdubError, RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import run
from tasks.chain import Chain, ExtractOptions, Ingredients, said_of

__all__ = ["Extracted", "Outcome", "Planned", "extract", "plan"]

# A bucket answers slowly, but many at once.
LOOKS_AT_ONCE = 16


@dataclass
class Extracted:
    """What became of the clips."""

    outcomes: list[Outcome] = field(default_factory=list)
    refused: list[MemdubError] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        features = [
            {
                **one.features.as_dict(),
                "clip": one.row["id"],
                "frames": one.row["frames"],
                "frames_per_second": one.frames_per_second,
                "warnings": one.warnings,
                "preflight": one.report,
            }
            for one in self.outcomes
        ]
        return {"features": features, "refused": refusals(self.refused)}

    @property
    def status(self) -> str:
        return status_of(len(self.outcomes), self.refused)

    def error(self) -> MemdubError | None:
        return error_of(len(self.outcomes), self.refused, things="clips", done="extracted")

    def raise_if_refused(self) -> None:
        """For callers that want all or an error."""
        error = self.error()
        if error is not None:
            raise error


def plan(
    identities: Sequence[str],
    *,
    options: ExtractOptions | None = None,
    home: str | None = None,
    limit: int | None = None,
    clips: Collection[str] | None = None,
) -> tuple[Home, Ingredients, list[Planned]]:
    """The clips of these identities (of all, without any) and what is done of each; computes nothing.

    `limit` bounds those that are not done; `clips` are the only ones that count, where they are given.
    """
    place = Home(home)
    ledger = Ledger(place.objects)
    for identity in identities:
        consent.require(place, check_slug(identity), "ingest")
    ingredients = Ingredients.gather(place, options or ExtractOptions())
    rows = [row for row in _clips(place, ledger, identities) if clips is None or row["id"] in clips]
    planned: list[Planned] = []
    left = math.inf if limit is None else limit
    for one in _looked_up(place, ledger, ingredients, rows):
        left -= one.features is None
        if one.features is not None or left >= 0:
            planned.append(one)
    return place, ingredients, planned


def _looked_up(
    home: Home, ledger: Ledger, ingredients: Ingredients, rows: Sequence[Mapping[str, Any]]
) -> list[Planned]:
    """Each clip with its features, if these are there and whole: one look into the ledger for all."""
    chains = {row["id"]: Chain.of(row["id"], ingredients) for row in rows}
    known: dict[str, dict[str, Any]] = {}
    for identity in {row["identity"] for row in rows}:
        own = [row["id"] for row in rows if row["identity"] == identity]
        known |= ledger.find_all([*own, *(chains[clip].features.id for clip in own)], identity)

    def look(row: Mapping[str, Any]) -> Planned | None:
        clip, chain = known.get(row["id"]), chains[row["id"]]
        if clip is None:  # it was removed since we looked
            return None
        return Planned(of_row(clip), row, chain, _if_whole(home, known.get(chain.features.id)))

    with ThreadPoolExecutor(1 if home.is_local else LOOKS_AT_ONCE) as pool:
        return [one for one in pool.map(look, rows) if one is not None]


def _if_whole(home: Home, row: Mapping[str, Any] | None) -> Artifact | None:
    if row is None:
        return None
    try:
        check_whole(home, of_row(row))
    except CorruptArtifact:
        return None
    return of_row(row)


def extract(
    identities: Sequence[str],
    *,
    options: ExtractOptions | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    cluster: str | None = None,
    home: str | None = None,
    limit: int | None = None,
    clips: Collection[str] | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] | None = None,
    finished: Callable[[Outcome], None] | None = None,
) -> Extracted:
    """Extract the live clips of these identities; of all that have consent, without any.

    With `clips`, only those of them. Who works: `workers` processes of our own (0: none, all happens in this
    process), the scheduler at `dask_address`, or the `cluster` that a YAML file describes.
    """
    who = _who(workers, dask_address, cluster)
    Ledger(Home(home).objects).gather()  # what workers of a killed run have left
    place, ingredients, planned = plan(identities, options=options, home=home, limit=limit, clips=clips)
    whom = identities[0] if len(identities) == 1 else None
    asked = {"identities": list(identities), "options": (options or ExtractOptions()).__dict__}
    result = Extracted()

    def note(outcome: Outcome) -> None:
        result.outcomes.append(outcome)
        if finished is not None:
            finished(outcome)

    with run(Ledger(place.objects), "extract", identity=whom, arguments=asked) as this:
        todo = [one for one in planned if one.features is None]
        for one in planned:
            if one.features is not None:
                this.reused.append(one.features.id)
                note(Outcome(one.features, one.row, 0.0, said_of(place, one.features)))
        if todo:
            ingredients.check()
            work = Work(place, ingredients, this, note, result.refused.append, tell)
            extract_all(work, todo, who, watch)
        this.status = result.status
    return result


def _who(workers: int | None, address: str | None, cluster: str | None) -> Who:
    given = {"--workers": workers, "--dask-address": address, "--cluster": cluster}
    asked = [f"{option} {value}" for option, value in given.items() if value is not None]
    if len(asked) > 1:
        what = "workers of our own, a scheduler's or a cluster's, not both"
        raise RequestError(what, where=asked[-1], do="leave one out")
    if address == "":
        raise RequestError("no address", where="--dask-address", do="give one, as tcp://127.0.0.1:8786")
    return Who(workers, address, cluster)


def _clips(home: Home, ledger: Ledger, identities: Sequence[str]) -> list[dict[str, Any]]:
    """The live clips' lines, in the order of their identities and of their making."""
    wanted = list(dict.fromkeys(identities)) or [
        name for name in consent.identities(home) if _may(home, name)
    ]
    chosen = [row for name in wanted for row in ledger.live_clips(name)]
    without = set(identities) - {row["identity"] for row in chosen}
    if without or not chosen:
        where = sorted(without)[0] if without else home.url
        raise RequestError("no clips", where=where, do="`memdub ingest` footage first")
    return chosen


def _may(home: Home, identity: str) -> bool:
    try:
        consent.require(home, identity, "ingest")
    except ConsentError:
        return False
    return True
