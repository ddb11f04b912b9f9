"""A team of Dask workers: processes of this machine, of a scheduler, or of a cluster.

Workers read their inputs and write their results themselves, so that what passes through the scheduler is
small. Dask tries a task again whose worker died; what cannot be mended comes back as one of our errors.
Opened by `open_team`, used by `tasks` and `flows`.
"""

from __future__ import annotations

import asyncio
import contextlib
import operator
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from dask.typing import Key
from distributed import Client, Future, as_completed, wait
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from storage.errors import MemdubError, RequestError, WorkError
from tasks.team.workers import GO_ON, Step, clocked, ours

__all__ = ["CARD", "Team"]

Item = TypeVar("Item")
Result = TypeVar("Result")
# What a worker that owns a graphics card offers to Dask's scheduler: a label, which pins nothing by itself.
CARD = "GPU"
# Cancelled by Dask itself, when it lost what it needs.
_LOST = (CommClosedError, CancelledError, asyncio.CancelledError, TimeoutError, ConnectionError)
# How long a count of workers may be told again without asking the scheduler.
_COUNT_SECONDS = 2.0
# A cluster that begins with no workers must see that there is work for many.
_AHEAD = 256


@dataclass
class Team:
    """An open connection to workers. Threads may share it."""

    client: Client
    _counted: tuple[float, int] = (0.0, 0)
    _steps: dict[str, Step] = field(default_factory=dict)
    _spent: dict[str, float] = field(default_factory=dict)
    _given: weakref.WeakSet[Future[Any]] = field(default_factory=weakref.WeakSet)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    @property
    def size(self) -> int:
        """How many workers there are now, at least one: an adaptive cluster may begin with none."""
        asked, size = self._counted
        if time.monotonic() - asked > _COUNT_SECONDS:
            with contextlib.suppress(*_LOST):
                size = len(self.client.scheduler_info(n_workers=-1)["workers"])
            self._counted = time.monotonic(), size
        return max(1, size)

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        name: str,
        priority: int = 0,
        resources: Mapping[str, float] | None = None,
    ) -> Future[Any]:
        """Have a worker call `function`; higher priorities go first. A future may be an argument."""
        if self._stopped:
            raise WorkError("the work was stopped", where=name, do=GO_ON)
        key: Key = f"{name}-{uuid.uuid4().hex[:12]}"
        with _plain(name):
            future = self.client.submit(
                function, *arguments, key=key, priority=priority, pure=False, resources=resources
            )
        with self._lock:
            self._given.add(future)
        return future

    def results(self, futures: Sequence[Future[Any]], name: str) -> Iterator[Any]:
        """Results of `clocked` work as they come; the first failure cancels the rest and is raised."""
        try:
            with _plain(name):
                for future in as_completed(futures):
                    seconds, result = _result(future)
                    self._note(name, seconds)
                    yield result
        except BaseException:
            with contextlib.suppress(Exception):
                self.client.cancel(list(futures))
            raise

    def each(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, name: Callable[[Item], str]
    ) -> Iterator[tuple[Item, Result | MemdubError]]:
        """Results of many independent calls as they come; who fails is told, and does not stop the rest.

        Only so many are handed over ahead as keep the workers busy, and a growing cluster growing: a
        scheduler need not hold a hundred thousand tasks.
        """
        left, given = iter(items), dict[Future[Any], Item]()
        coming = as_completed()

        def hand_over() -> None:
            for item in islice(left, max(0, max(_AHEAD, 4 * self.size) - len(given))):
                future = self.submit(function, item, name=name(item))
                given[future] = item
                coming.add(future)

        hand_over()
        for future in coming:
            item = given.pop(future)
            yield item, _outcome(future, name(item))
            hand_over()

    def do(self, function: Callable[..., Result], *arguments: Any, name: str, priority: int = 0) -> Result:
        """Have a worker call `function` and wait for its result."""
        future = self.submit(clocked, function, *arguments, name=name, priority=priority)
        (result,) = self.results([future], name)
        return result  # type: ignore[no-any-return]

    def share(self, future: Future[Any], name: str) -> None:
        """Wait for `clocked` work and give its result to every worker: what needs it would go to one."""
        with _plain(name):
            wait([future])
            if future.status == "error":
                _result(future)
            self.client.replicate([future])
            seconds = self.client.submit(operator.itemgetter(0), future, pure=False).result()
        self._note(name, seconds)

    def _note(self, name: str, seconds: float) -> None:
        with self._lock:
            self._spent[name] = self._spent.get(name, 0.0) + seconds

    def spent(self, about: str) -> float:
        """Seconds that workers worked under names that end so, since this was last asked."""
        with self._lock:
            names = [name for name in self._spent if name.endswith(about)]
            return sum(self._spent.pop(name) for name in names)

    def on_card(self, function: Callable[..., Any], *arguments: Any, name: str) -> Future[Any]:
        """Have a worker with a graphics card call `function`: one such call a card at a time."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        if not any(worker["resources"].get(CARD) for worker in workers):
            do = f'start workers with --resources "{CARD}=1", one for each card'
            raise RequestError("no worker offers a graphics card", where=name, do=do)
        return self.submit(function, *arguments, name=name, resources={CARD: 1})

    @contextlib.contextmanager
    def steps(self, step: Step) -> Iterator[str]:
        """A topic for `report_step`: what workers report on it arrives at `step`."""
        topic = uuid.uuid4().hex
        self._steps[topic] = step
        try:
            yield topic
        finally:
            self._steps.pop(topic, None)

    def stop(self) -> None:
        """Cancel everything: threads that wait for results get an error."""
        self._stopped = True
        with self._lock, contextlib.suppress(Exception):
            self.client.cancel(list(self._given))

    def arrived(self, event: tuple[float, Any]) -> None:
        topic, steps = event[1]
        if step := self._steps.get(topic):
            step(steps)


def _result(future: Future[Any]) -> Any:
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        raise WorkError("a worker died again and again", do=f"give it more memory, and {GO_ON}") from error
    if error is not None:
        raise ours(error) from error
    return future.result()


def _outcome(future: Future[Any], name: str) -> Any:
    """The result, or the error of this call alone; a lost scheduler is raised."""
    with _plain(name):
        if future.status != "error":
            return future.result()
        try:
            return _result(future)
        except MemdubError as error:
            return error


@contextlib.contextmanager
def _plain(name: str) -> Iterator[None]:
    try:
        yield
    except MemdubError as error:
        raise type(error)(error.what, where=error.where or name, do=error.do) from error
    except _LOST as error:
        raise WorkError("the Dask scheduler was lost", where=name, do=GO_ON) from error
