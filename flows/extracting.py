"""Extraction under way: clips over workers, whoever they are; each is told as it ends.

Workers that see the home share every clip's blocks, and several clips are under way at once, so that no
worker waits. Workers that see only the bucket take whole clips (`tasks.whole`), of which no more is known
here than how far they are and how they ended. Called by `flows.extract`.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flows.engine import call
from flows.ingest import Watch
from storage.artifacts import DRAFT, Artifact, find_whole
from storage.errors import HomeError, LeaseLost, MemdubError
from storage.home import Home
from storage.ledger import Commit, Ledger
from storage.recipes import Recipe
from storage.runs import Run, record_failure
from tasks.chain import Chain, Ingredients, said_of

if TYPE_CHECKING:
    from tasks.team import Workers
    from tasks.whole import Order

__all__ = ["Outcome", "Planned", "Who", "Work", "extract_all"]

# What a frame costs in each stage, roughly: only the bar's pace hangs on it.
COSTS: Mapping[str, float] = {"faces": 6.0, "track": 1.5, "fit": 4.0, "audio": 1.0}
# Finished clips are written into the ledger so many artifacts at a time, and not later than this.
BATCH, BATCH_SECONDS = 512, 15.0


@dataclass(frozen=True)
class Who:
    """Who does the work: our own processes, a scheduler's workers, a cluster's; 0 is nobody but us."""

    workers: int | None = None
    address: str | None = None
    cluster: str | None = None


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
class Work:
    """What the threads of one extraction share."""

    home: Home
    ingredients: Ingredients
    run: Run
    finished: Callable[[Outcome], None]
    refused: Callable[[MemdubError], None]
    tell: Callable[[str], None] | None
    seen: set[str] = field(default_factory=set)  # clips whose end was told: Prefect may try again

    def refuse(self, one: Planned, error: MemdubError) -> None:
        """Nothing is dropped silently: a clip that is refused is a row."""
        named = type(error)(error.what, where=error.where or one.row["source_name"], do=error.do)
        self.refused(named)
        record_failure(
            Ledger(self.home.objects),
            self.run,
            stage="extract",
            subject=one.clip.id,
            error=named,
            identity=one.row["identity"],
        )


def extract_all(work: Work, todo: Sequence[Planned], who: Who, watch: Watch) -> None:
    """Extract every clip; who fails is told, and does not stop the rest."""
    from tasks.team import Alone, check_shared, is_shared, open_workers

    label = todo[0].row["identity"] if len({one.row["identity"] for one in todo}) == 1 else "all"
    with (
        open_workers(who.workers, who.address, who.cluster) as team,
        _bar(watch(f"extracting {label}", 1, 1), todo) as step,
    ):
        if isinstance(team, Alone):
            for one in todo:
                _collect(work, one, lambda one=one: _extract_one(work, one, team, 0, step))  # type: ignore[misc]
        elif work.home.is_local or is_shared(team, work.home.workspace_root()):
            check_shared(team, work.home.workspace_root())
            _share_out(work, todo, team, step)
        else:
            many = f"extract {len(todo)} clips of {label} far away"
            call(extract_far, work, todo, team, step, name=many)


def _share_out(work: Work, todo: Sequence[Planned], team: Workers, step: Callable[[str, int], None]) -> None:
    # One clip more than there are workers: its last stages leave cores free.
    with ThreadPoolExecutor(min(len(todo), team.size + 1)) as pool:
        futures = {
            pool.submit(contextvars.copy_context().run, _extract_one, work, one, team, -number, step): one
            for number, one in enumerate(todo)
        }
        try:
            for future in as_completed(futures):
                _collect(work, futures[future], future.result)
        except BaseException:
            team.stop()  # threads that wait for workers come back at once
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def extract_far(work: Work, todo: Sequence[Planned], team: Workers, step: Callable[[str, int], None]) -> None:
    """Whole clips, by workers that see only the bucket; what they post is written down here, in batches."""
    from tasks.whole import extract_whole

    planned = {one.clip.id: one for one in todo if one.clip.id not in work.seen}
    gathering, memdub = _Gathering(Ledger(work.home.objects)), version("memdub")
    with _topics(team, step) as topics:
        orders = (_order(work, one, topics, memdub) for one in planned.values())
        try:
            for order, done in team.each(extract_whole, orders, name=lambda order: f"clip-{order.clip.id}"):
                one = planned[order.clip.id]
                work.seen.add(order.clip.id)
                if isinstance(done, MemdubError):
                    work.refuse(one, done)
                    continue
                gathering.add(done.commits)
                work.run.made.extend(done.made)
                work.run.reused.extend(done.reused)
                whole = not done.reused
                work.finished(Outcome(done.features, one.row, done.seconds, done.said, whole))
        except BaseException:
            team.stop()
            raise
        finally:
            gathering.finish()


@dataclass
class _Gathering:
    """A thousand workers must not write one ledger: this process does, many commits at a time."""

    ledger: Ledger
    waiting: list[Commit] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def add(self, commits: Sequence[Commit]) -> None:
        self.waiting.extend(commits)
        if len(self.waiting) >= BATCH or time.monotonic() - self.since > BATCH_SECONDS:
            self.ledger.gather(self.waiting)
            self.waiting, self.since = [], time.monotonic()

    def finish(self) -> None:
        """All that lies there: also what workers left that were lost."""
        self.ledger.gather(self.waiting)
        self.ledger.gather()


@contextmanager
def _topics(team: Workers, step: Callable[[str, int], None]) -> Iterator[dict[str, str]]:
    """Where workers report frames: a topic a stage."""
    with contextlib.ExitStack() as stack:
        yield {stage: stack.enter_context(team.steps(functools.partial(step, stage))) for stage in COSTS}


def _order(work: Work, one: Planned, topics: Mapping[str, str], memdub: str) -> Order:
    from tasks.whole import Order

    home = work.home
    wanted, told = one.chain.features.id, (work.run.id, work.run.flow_run_id)
    options = work.ingredients.options
    return Order(home.url, home.settings, one.clip, one.row, options, wanted, memdub, told, topics)


def _collect(work: Work, one: Planned, result: Callable[[], Outcome]) -> None:
    try:
        work.finished(result())
    except (HomeError, LeaseLost):
        raise
    except MemdubError as error:  # also of consent that ended meanwhile: other people's goes on
        work.refuse(one, error)


def _extract_one(
    work: Work, one: Planned, team: Workers, priority: int, step: Callable[[str, int], None]
) -> Outcome:
    from tasks.extract import Job, extract_clip, video_of

    def waiting(holder: str) -> None:
        if work.tell is not None:
            work.tell(f"waiting for {holder}, which extracts {one.row['source_name']}")

    whole = one.is_untouched(work.home)
    with video_of(work.home, one.clip) as video:
        job = Job(
            work.home, one.clip, video, one.row, work.ingredients, one.chain, team, priority, step, waiting
        )
        features = extract_clip(job, _stage)
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
