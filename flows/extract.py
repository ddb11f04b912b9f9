"""The flow `extract`: clips in, features out; a clip that is refused is said and does not stop the rest.

Called by the command line and, as `flows.deployable.extract`, by Prefect. Stages of one clip run in order,
its sound beside its picture; several clips are under way at once, so that workers never wait for one.
"""

from __future__ import annotations

import contextvars
import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from flows.batch import error_of, refusals, status_of
from flows.engine import call
from flows.ingest import ENDS_ALL, Watch, no_progress
from storage import consent
from storage.artifacts import DRAFT, Artifact, find, find_whole
from storage.errors import ConsentError, MemdubError, RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.recipes import Recipe
from storage.runs import Run, record_failure, run
from tasks.chain import Chain, ExtractOptions, Ingredients, said_of

__all__ = ["Extracted", "Outcome", "Planned", "extract", "plan"]

# What a frame costs in each stage, roughly: only the bar's pace hangs on it.
COSTS: Mapping[str, float] = {"faces": 6.0, "track": 1.5, "fit": 4.0, "audio": 1.0}


@dataclass(frozen=True)
class Planned:
    """A clip, the recipes of its stages, and which of them are not done."""

    clip: Artifact
    row: Mapping[str, Any]
    chain: Chain
    features: Artifact | None

    @property
    def frames(self) -> int:
        return int(self.row["frames"])

    def to_run(self, home: Home, ledger: Ledger) -> list[Recipe]:
        """The stages that would run."""
        if self.features is not None:
            return []
        return [r for r in self.chain if find_whole(home, ledger, r, self.row["identity"]) is None]

    def is_untouched(self, home: Home) -> bool:
        """Whether nothing of it is there, not even a part."""
        begun = any((home.workspace_root() / f"{recipe.id}{DRAFT}").exists() for recipe in self.chain)
        return not begun and len(self.to_run(home, Ledger(home.objects))) == len(list(self.chain))


@dataclass(frozen=True)
class Outcome:
    """One clip's features, and how fast they came."""

    features: Artifact
    row: Mapping[str, Any]
    seconds: float

    said: Mapping[str, Any]  # what the group says of itself
    whole: bool = False  # whether all of it was computed now

    @property
    def frames_per_second(self) -> float | None:
        """None where something was there already."""
        return self.row["frames"] / max(self.seconds, 1e-9) if self.whole else None

    @property
    def warnings(self) -> Sequence[str]:
        """What speaks against the clip."""
        return list(self.said["warnings"])

    @property
    def report(self) -> Sequence[str]:
        """All that is said of the clip, line by line."""
        return list(self.said["preflight"])

    def line(self) -> str:
        """One line for people."""
        speed, faces = self.frames_per_second, self.said["faces_at_once"]
        found = "already there" if self.features.reused else "finished"
        how = found if speed is None else f"{speed:.0f} frames a second"
        who = "1 face" if faces == 1 else f"up to {faces} faces"
        told = "; ".join(self.warnings) or "no warnings"
        head = f"{self.features.id}  {self.row['source_name']}: {self.row['frames']} frames"
        return f"{head}, {how}, {who}; {told}"


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
    planned: list[Planned] = []
    left = math.inf if limit is None else limit
    for row in _clips(place, ledger, identities):
        if clips is not None and row["id"] not in clips:
            continue
        clip = find(ledger, row["id"], row["identity"])
        if clip is None:  # it was removed since we looked
            continue
        chain = Chain.of(clip.id, ingredients)
        done = find_whole(place, ledger, chain.features, row["identity"])
        left -= done is None
        if done is not None or left >= 0:
            planned.append(Planned(clip, row, chain, done))
    return place, ingredients, planned


def extract(
    identities: Sequence[str],
    *,
    options: ExtractOptions | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    home: str | None = None,
    limit: int | None = None,
    clips: Collection[str] | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] | None = None,
    finished: Callable[[Outcome], None] | None = None,
) -> Extracted:
    """Extract the live clips of these identities; of all that have consent, without any.

    With `clips`, only those of them.
    """
    if workers is not None and dask_address is not None:
        where = f"--dask-address {dask_address}"
        raise RequestError("workers of our own or a scheduler's, not both", where=where, do="leave one out")
    if dask_address == "":
        raise RequestError("no address", where="--dask-address", do="give one, as tcp://127.0.0.1:8786")
    place, ingredients, planned = plan(identities, options=options, home=home, limit=limit, clips=clips)
    whom = identities[0] if len(identities) == 1 else None
    asked = {"identities": list(identities), "options": (options or ExtractOptions()).__dict__}
    result = Extracted()
    with run(Ledger(place.objects), "extract", identity=whom, arguments=asked) as this:
        todo = [one for one in planned if one.features is None]
        for one in planned:
            if one.features is not None:
                this.reused.append(one.features.id)
                _note(result, Outcome(one.features, one.row, 0.0, said_of(place, one.features)), finished)
        if todo:
            ingredients.check()
            work = _Work(place, ingredients, result, this, tell, finished)
            _extract_all(work, todo, workers, dask_address, watch)
        this.status = result.status
    return result


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


@dataclass
class _Work:
    """What the threads of one extraction share."""

    home: Home
    ingredients: Ingredients
    result: Extracted
    run: Run
    tell: Callable[[str], None] | None
    finished: Callable[[Outcome], None] | None
    lock: threading.Lock = field(default_factory=threading.Lock)


def _note(result: Extracted, outcome: Outcome, finished: Callable[[Outcome], None] | None) -> None:
    result.outcomes.append(outcome)
    if finished is not None:
        finished(outcome)


def _extract_all(
    work: _Work, todo: Sequence[Planned], workers: int | None, address: str | None, watch: Watch
) -> None:
    from tasks.team import check_shared, open_team

    label = todo[0].row["identity"] if len({one.row["identity"] for one in todo}) == 1 else "all"
    with open_team(workers, address) as team, _bar(watch(f"extracting {label}", 1, 1), todo) as step:
        check_shared(team, work.home.workspace_root())
        # One clip more than there are workers: its last stages leave cores free.
        with ThreadPoolExecutor(min(len(todo), team.size + 1)) as pool:
            futures = {
                pool.submit(contextvars.copy_context().run, _extract_one, work, one, team, -number, step): one
                for number, one in enumerate(todo)
            }
            try:
                for future in as_completed(futures):
                    _collect(work, futures[future], future)
            except BaseException:
                team.stop()  # threads that wait for workers come back at once
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def _collect(work: _Work, one: Planned, future: Future[Outcome]) -> None:
    try:
        _note(work.result, future.result(), work.finished)
    except ENDS_ALL:
        raise
    except MemdubError as error:
        named = type(error)(error.what, where=error.where or one.row["source_name"], do=error.do)
        work.result.refused.append(named)
        record_failure(
            Ledger(work.home.objects),
            work.run,
            stage="extract",
            subject=one.clip.id,
            error=named,
            identity=one.row["identity"],
        )


def _extract_one(
    work: _Work, one: Planned, team: Any, priority: int, step: Callable[[str, int], None]
) -> Outcome:
    from tasks import extract as stages

    def waiting(holder: str) -> None:
        if work.tell is not None:
            work.tell(f"waiting for {holder}, which extracts {one.row['source_name']}")

    whole = one.is_untouched(work.home)
    with stages.video_of(work.home, one.clip) as video, ThreadPoolExecutor(1) as beside:
        job = stages.Job(
            work.home, one.clip, video, one.row, work.ingredients, one.chain, team, priority, step, waiting
        )
        sound = beside.submit(contextvars.copy_context().run, _stage, stages.extract_audio, job)
        faces = _stage(stages.find_faces, job)
        track = _stage(stages.track_face, job, faces)
        fit = _stage(stages.fit_model, job, track)
        features = _stage(stages.join_features, job, faces, track, sound.result(), fit)
    # Other clips were under way meanwhile: what counts is the time that the workers gave to this one.
    seconds = team.spent(one.clip.id) / team.size
    return Outcome(features, one.row, seconds, said_of(work.home, features), whole)


def _stage(stage: Callable[..., Artifact], job: Any, *inputs: Artifact) -> Artifact:
    return call(stage, job, *inputs, name=f"{stage.__name__.replace('_', ' ')} {job.identity} {job.clip.id}")


@contextmanager
def _bar(
    watching: AbstractContextManager[Any], todo: Sequence[Planned]
) -> Iterator[Callable[[str, int], None]]:
    """One bar for everything: every stage's frames, weighed by what they cost."""
    total = sum(one.frames for one in todo) * sum(COSTS.values())
    done, lock = 0.0, threading.Lock()
    with watching as progress:

        def step(stage: str, frames: int) -> None:
            nonlocal done
            with lock:
                done += COSTS.get(stage, 0.0) * frames
                if progress is not None:
                    progress(int(min(done, total)), int(total))

        yield step
