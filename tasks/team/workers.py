"""What every kind of worker offers, and what a task may call while it runs.

`tasks.chunks` and `tasks.extract` hand work to `Workers`, and need not know whether these are Dask processes
(`crew.Team`) or this very process (`alone.Alone`). Called by `tasks` and, through `open_team`, by `flows`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from storage.errors import Broken, MemdubError, WorkError

__all__ = ["GO_ON", "HERE", "TOPIC", "Step", "Workers", "clocked", "ours", "report_step", "usual_workers"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Step = Callable[[int], None]
# What libraries say instead of raising MemoryError: the system, PyTorch, oneDNN, the dynamic linker.
_NO_MEMORY = (
    "Cannot allocate memory",
    "can't allocate memory",
    "could not create a primitive",
    "failed to map segment",
    "std::bad_alloc",
)
GO_ON = "run the same command again: what was finished is kept"
TOPIC = "memdub-steps"
# Topics whose listener is in this process, so that no scheduler is needed between the two.
HERE: dict[str, Step] = {}


class Workers(Protocol):
    """Somebody who calls functions: other processes, or nobody but ourselves."""

    @property
    def size(self) -> int:
        """How many work at a time now; where a cluster adapts, this changes."""
        ...

    def submit(self, function: Callable[..., Any], *arguments: Any, name: str, priority: int = 0) -> Any:
        """Have `function` called; higher priorities go first. A future may be an argument."""
        ...

    def results(self, futures: Sequence[Any], name: str) -> Iterator[Any]:
        """Results of `clocked` work as they come; the first failure cancels the rest and is raised."""
        ...

    def do(self, function: Callable[..., Result], *arguments: Any, name: str, priority: int = 0) -> Result:
        """Have `function` called and wait for its result."""
        ...

    def each(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, name: Callable[[Item], str]
    ) -> Iterator[tuple[Item, Result | MemdubError]]:
        """Results of many independent calls as they come; who fails is told, and does not stop the rest."""
        ...

    def share(self, future: Any, name: str) -> None:
        """Wait for `clocked` work and have its result at hand wherever it is needed."""
        ...

    def spent(self, about: str) -> float:
        """Seconds that were worked under names that end so, since this was last asked."""
        ...

    def steps(self, step: Step) -> contextlib.AbstractContextManager[str]:
        """A topic for `report_step`: what is reported on it arrives at `step`."""
        ...

    def stop(self) -> None:
        """Cancel everything: threads that wait for results get an error."""
        ...


def usual_workers() -> int:
    """One process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def clocked(function: Callable[..., Result], *arguments: Any) -> tuple[float, Result]:
    """Called inside a task: the result, and how long the worker took."""
    begun = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begun, result


def ours(error: BaseException) -> MemdubError:
    """What a task raised as an error of ours: one line, whatever it was."""
    if isinstance(error, MemdubError):
        return error
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        return WorkError("the memory of its worker was not enough", do=f"use fewer workers, and {GO_ON}")
    what = f"unexpected {type(error).__name__}: {error}"
    # A connection may be better the next time; a mistake of ours is the same one then.
    return WorkError(what, do=GO_ON) if isinstance(error, OSError) else Broken(what, do="report this")


def report_step(topic: str, steps: int) -> None:
    """Called inside a task: so many more steps are done. Lost reports do no harm."""
    if step := HERE.get(topic):
        step(steps)
    elif worker := sys.modules.get("distributed.worker"):
        with contextlib.suppress(ValueError):  # no worker: called directly
            worker.get_worker().log_event(TOPIC, (topic, steps))
