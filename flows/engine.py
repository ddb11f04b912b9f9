"""How a flow calls its tasks: directly, or as Prefect tasks when Prefect runs the flow.

One path through the code: a flow's body is the same in both cases. On the command line nothing of
Prefect is imported and no server is waited for; inside a Prefect flow run each call becomes a task run
with a name that says what it does, is tried again after what can pass, and tells Prefect which artifacts
it made. Called by flows only.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from storage.errors import Broken, CorruptArtifact, MemdubError, PartlyFailed, WorkError

__all__ = ["as_error", "call", "card_limit", "card_slots", "in_prefect", "log", "passes", "persevere"]

Result = TypeVar("Result")

RETRIES = 2
# Seconds before each new try of a task: what a lost worker needs to be started again.
BACKOFF = (4.0, 16.0)
# Before each new try of a whole flow, which opens a new team and asks the network anew.
_FLOW_BACKOFF = (10.0, 60.0)
# What the operating system says, but what no waiting will change.
_SETTLED = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)


def in_prefect() -> bool:
    """Whether a Prefect flow run surrounds us."""
    context = sys.modules.get("prefect.context")
    return context is not None and context.FlowRunContext.get() is not None


def call(task: Callable[..., Result], *arguments: Any, name: str, **keywords: Any) -> Result:
    """The result of `task(*arguments, **keywords)`."""
    if not in_prefect():
        return task(*arguments, **keywords)
    import prefect
    from prefect.cache_policies import NO_CACHE

    # Recipes are the cache: Prefect's own would believe in files that are gone.
    as_task = prefect.task(
        name=task.__name__,
        task_run_name=name.replace("{", "(").replace("}", ")"),
        cache_policy=NO_CACHE,
        retries=RETRIES,
        retry_delay_seconds=list(BACKOFF),
        retry_condition_fn=_try_again,
    )
    result: Result = as_task(_told_of(task))(*arguments, **keywords)
    return result


def passes(error: BaseException) -> bool:
    """Whether the same work may succeed in a while: a worker was lost, the network was away."""
    if isinstance(error, MemdubError):
        # A batch names what was refused; a stored artifact does not heal.
        return isinstance(error, WorkError) and not isinstance(error, Broken | PartlyFailed | CorruptArtifact)
    return isinstance(error, OSError) and not isinstance(error, _SETTLED)


def as_error(error: Exception, where: object = None) -> MemdubError:
    """One of ours, whatever it was, and as likely to pass."""
    if isinstance(error, MemdubError):
        return error
    what = f"unexpected {type(error).__name__}: {error}"
    if passes(error):
        return WorkError(what, where=where, do="run it again")
    return Broken(what, where=where, do="report it")


def persevere(
    work: Callable[[], Result],
    refused: Callable[[Result], Sequence[MemdubError]] = lambda result: (),
    *,
    wait: Callable[[float], None] = time.sleep,
) -> Result:
    """The result of `work`, tried again while something that speaks against it can pass.

    What is done is in the ledger, so that a new try does only the rest. Give `refused` only where a new try
    refuses once more what does not pass: the last result alone is returned.
    """
    for seconds in _FLOW_BACKOFF:
        try:
            result = work()
        except Exception as error:
            if not passes(error):
                raise
            log(f"{error}; once more in {seconds:.0f} s", warn=True)
        else:
            transient = [error for error in refused(result) if passes(error)]
            if not transient:
                return result
            log(f"{transient[0]}; once more in {seconds:.0f} s", warn=True)
        wait(seconds)
    return work()


def log(line: str, *, warn: bool = False) -> None:
    """A line in the logs of the run that surrounds us; nothing where there is none."""
    if not in_prefect():
        return
    from prefect.logging import get_run_logger

    (get_run_logger().warning if warn else get_run_logger().info)(line)


def card_limit() -> str:
    """The Prefect concurrency limit of this machine's cards."""
    return f"memdub-cards-{socket.gethostname()}"


@contextlib.contextmanager
def card_slots(count: int) -> Iterator[None]:
    """Inside a Prefect run, a place in the queue for this machine's cards, which the UI shows.

    It only makes waiting visible: what keeps a card to one training is the lock of `tasks.cards`. Without
    the limit, which `memdub serve` makes, or without its server, nobody waits here.
    """
    if count == 0 or not in_prefect():
        yield
        return
    from prefect.concurrency.sync import concurrency

    log(f"waiting for {count} of the cards of {socket.gethostname()}")
    with concurrency(card_limit(), occupy=count, raise_on_lease_renewal_failure=False):
        yield


def _told_of(task: Callable[..., Result]) -> Callable[..., Result]:
    """The task, followed by word to Prefect of the artifact that came of it."""

    @functools.wraps(task)
    def run(*arguments: Any, **keywords: Any) -> Result:
        from flows.assets import note

        result = task(*arguments, **keywords)
        try:
            note(result, (*arguments, *keywords.values()))
        except Exception as error:  # the work is done, and its record is the ledger
            log(f"no asset event for {result}: {error}", warn=True)
        return result

    return run


def _try_again(task: Any, task_run: Any, state: Any) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and passes(error)
