"""Workers: Dask processes of this machine, or of a cluster that is there already.

`tasks.chunks` and `tasks.extract` hand work to a `Team`; flows open one. Workers read their inputs and write
their results themselves, so that what passes through the scheduler is small. Dask tries a task again
whose worker died; what cannot be mended comes back as one of our errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import logging
import operator
import os
import sys
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import dask
from dask.typing import Key
from distributed import Client, Future, LocalCluster, WorkerPlugin, as_completed, get_worker, wait
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from storage.errors import MemdubError, RequestError, WorkError

__all__ = ["Step", "Team", "check_shared", "clocked", "open_team", "report_step", "usual_workers"]

Result = TypeVar("Result")
Step = Callable[[int], None]
GO_ON = "run the same command again: what was finished is kept"
_CONNECT_SECONDS = 20
# Frames come and go by the thousand: memory that is given back after each costs a twentieth of the time.
_KEEPING = {
    "MALLOC_TRIM_THRESHOLD_": 2**28,
    "MALLOC_MMAP_THRESHOLD_": 2**25,
    "MALLOC_ARENA_MAX": 1,
    "MALLOC_TOP_PAD_": 2**26,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}
# Cancelled by Dask itself, when it lost what it needs.
_LOST = (CommClosedError, CancelledError, asyncio.CancelledError, TimeoutError, ConnectionError)


def usual_workers() -> int:
    """One process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Team:
    """An open connection to workers. Threads may share it."""

    client: Client
    size: int
    _steps: dict[str, Step] = field(default_factory=dict)
    _spent: dict[str, float] = field(default_factory=dict)
    _given: weakref.WeakSet[Future[Any]] = field(default_factory=weakref.WeakSet)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def submit(
        self, function: Callable[..., Any], *arguments: Any, name: str, priority: int = 0
    ) -> Future[Any]:
        """Have a worker call `function`; higher priorities go first. A future may be an argument."""
        if self._stopped:
            raise WorkError("the work was stopped", where=name, do=GO_ON)
        key: Key = f"{name}-{uuid.uuid4().hex[:12]}"
        with _plain(name):
            future = self.client.submit(function, *arguments, key=key, priority=priority, pure=False)
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
        """Seconds that workers worked under names that end so."""
        with self._lock:
            return sum(seconds for name, seconds in self._spent.items() if name.endswith(about))

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

    def _arrived(self, event: tuple[float, Any]) -> None:
        topic, steps = event[1]
        if step := self._steps.get(topic):
            step(steps)


def clocked(function: Callable[..., Result], *arguments: Any) -> tuple[float, Result]:
    """Called inside a task: the result, and how long the worker took."""
    begun = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begun, result


_TOPIC = "memdub-steps"


def report_step(topic: str, steps: int) -> None:
    """Called inside a task: so many more steps are done. Lost reports do no harm."""
    with contextlib.suppress(ValueError):  # no worker: called directly
        get_worker().log_event(_TOPIC, (topic, steps))


@contextlib.contextmanager
def open_team(workers: int | None = None, address: str | None = None) -> Iterator[Team]:
    """Workers of our own (`workers` processes), or those of the scheduler at `address`.

    Without either, Dask's own configuration (DASK_SCHEDULER_ADDRESS) may name a scheduler.
    """
    if address is None:
        address = dask.config.get("scheduler-address", None)
    if address is not None and workers is not None:
        raise RequestError(
            "workers of our own or a scheduler's, not both", where=str(address), do="leave one of them out"
        )
    with _client_of(address) if address is not None else _own_client(workers or usual_workers()) as client:
        size = len(client.scheduler_info(n_workers=-1)["workers"])
        team = Team(client, size)
        client.subscribe_topic(_TOPIC, team._arrived)
        try:
            yield team
        finally:
            team.stop()


@contextlib.contextmanager
def _own_client(workers: int) -> Iterator[Client]:
    _be_quiet()
    # Dask sweeps this folder of what killed runs left, the next time it is used.
    scratch = Path(tempfile.gettempdir()) / "memdub"
    with _importable(), dask.config.set({"distributed.nanny.pre-spawn-environ": _KEEPING}):
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None would still take port 8787
            memory_limit=0,
            local_directory=str(scratch),
            silence_logs=logging.CRITICAL,
        )
        with cluster, Client(cluster) as client:
            if not os.environ.get("MEMDUB_TRACEBACK"):
                client.register_plugin(_Silence())
            yield client


class _Silence(WorkerPlugin):
    """MediaPipe and LiteRT write to standard error, which our workers share with the terminal."""

    def setup(self, worker: Any) -> None:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123  (a device, not a path of ours)
            os.dup2(nothing.fileno(), 2)


@contextlib.contextmanager
def _client_of(address: str) -> Iterator[Client]:
    _be_quiet()
    try:
        client = Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise RequestError("no Dask scheduler answers", where=address, do="check --dask-address") from error
    with client:
        _check_workers(client, address)
        yield client


def _check_workers(client: Client, address: str) -> None:
    """Other code makes other bytes: workers must have ours, whatever their machine."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise RequestError("this Dask scheduler has no workers", where=address, do="start some and run again")
    for worker, told in workers.items():
        if told["nthreads"] != 1:
            what = f"worker {worker} has {told['nthreads']} threads, which would only wait for each other"
            raise RequestError(what, where=address, do="start workers with --nthreads 1, one for each core")
    try:
        versions = client.run(version, "memdub")
    except Exception as error:
        raise RequestError(
            f"its workers cannot run memdub ({type(error).__name__})",
            where=address,
            do="install the same memdub there",
        ) from error
    for worker, theirs in versions.items():
        if theirs != version("memdub"):
            what = f"worker {worker} has memdub {theirs}, this is {version('memdub')}"
            raise RequestError(what, where=address, do="install the same memdub there")


def check_shared(team: Team, folder: Path) -> None:
    """Raises RequestError unless every worker sees this folder, with what we just put into it."""
    probe = folder / f".probe-{uuid.uuid4().hex}"
    probe.touch()
    try:
        seen = team.client.run(os.path.exists, str(probe))
    finally:
        probe.unlink(missing_ok=True)
    blind = [worker for worker, found in seen.items() if not found]
    if blind:
        raise RequestError(
            f"worker {blind[0]} does not see the home", where=folder, do="mount it there under the same path"
        )


def _result(future: Future[Any]) -> Any:
    error = future.exception() if future.status == "error" else None
    if isinstance(error, MemdubError):
        raise error
    if isinstance(error, KilledWorker):
        raise WorkError("a worker died again and again", do=f"give it more memory, and {GO_ON}") from error
    if error is not None:
        raise WorkError(f"unexpected {type(error).__name__}: {error}", do="report this") from error
    return future.result()


@contextlib.contextmanager
def _plain(name: str) -> Iterator[None]:
    try:
        yield
    except MemdubError as error:
        raise type(error)(error.what, where=error.where or name, do=error.do) from error
    except _LOST as error:
        raise WorkError("the Dask scheduler was lost", where=name, do=GO_ON) from error


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """Spawned workers import what they run: have them find it where we did."""
    spec = importlib.util.find_spec("tasks")
    assert spec is not None
    assert spec.origin is not None
    root = str(Path(spec.origin).parents[1])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, before)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@functools.cache
def _be_quiet() -> None:
    """Dask's loggers speak of its inner life: our errors are one line."""
    for name in ("distributed", "distributed.client", "distributed.worker", "asyncio", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if "distributed.nanny" in sys.modules:
        logging.getLogger("distributed.nanny").setLevel(logging.CRITICAL)
