"""No workers at all: every task is a plain call in this process, in order.

The same bytes as with any number of workers, since blocks are the same. It is the floor that overhead is
measured against, and what a far worker uses for the stages of its clip (`tasks.whole`).
"""

from __future__ import annotations

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from storage.errors import MemdubError, WorkError
from tasks.team.workers import GO_ON, HERE, Step, clocked, ours

__all__ = ["Alone"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Alone:
    """`Workers` of which there are none. For one thread."""

    size: int = 1
    _spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _stopped: bool = False

    def submit(
        self, function: Callable[..., Any], *arguments: Any, name: str, priority: int = 0
    ) -> Future[Any]:
        """Call it now: what comes later in the order would have to wait anyway."""
        if self._stopped:
            raise WorkError("the work was stopped", where=name, do=GO_ON)
        done: Future[Any] = Future()
        try:
            done.set_result(function(*(_value(argument) for argument in arguments)))
        except MemdubError:
            raise  # with its own cause: whether a new try may help hangs on that
        except Exception as error:
            raise ours(error) from error
        return done

    def results(self, futures: Sequence[Future[Any]], name: str) -> Iterator[Any]:
        for future in futures:
            seconds, result = future.result()
            self._spent[name] += seconds
            yield result

    def do(self, function: Callable[..., Result], *arguments: Any, name: str, priority: int = 0) -> Result:
        (result,) = self.results([self.submit(clocked, function, *arguments, name=name)], name)
        return result  # type: ignore[no-any-return]

    def each(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, name: Callable[[Item], str]
    ) -> Iterator[tuple[Item, Result | MemdubError]]:
        for item in items:
            try:
                yield item, self.submit(function, item, name=name(item)).result()
            except MemdubError as error:
                yield item, error

    def share(self, future: Future[Any], name: str) -> None:
        self._spent[name] += future.result()[0]

    def spent(self, about: str) -> float:
        names = [name for name in self._spent if name.endswith(about)]
        return sum(self._spent.pop(name) for name in names)

    @contextlib.contextmanager
    def steps(self, step: Step) -> Iterator[str]:
        topic = uuid.uuid4().hex
        HERE[topic] = step
        try:
            yield topic
        finally:
            del HERE[topic]

    def stop(self) -> None:
        self._stopped = True


def _value(argument: Any) -> Any:
    return argument.result() if isinstance(argument, Future) else argument
