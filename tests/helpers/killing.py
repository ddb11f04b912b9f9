"""Kill -9 at random points, a hundred times in seconds."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable
from typing import Any

__all__ = ["kill_at_random"]

# A warm server forks children in milliseconds; each is killed for real, by the kernel.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    ["storage.artifacts", "tests.storage.test_ledger", "tests.storage.test_artifacts"]
)


def kill_at_random(work: Callable[..., None], arguments: tuple[Any, ...], *, seed: int) -> set[str]:
    """Runs `work(*arguments, said)` and kills it at a random moment; returns what it had said by then."""
    chance = random.Random(seed)
    heard, said = FORKED.Pipe(duplex=False)
    process = FORKED.Process(target=work, args=(*arguments, said))
    process.start()
    said.close()
    words = set()
    for _ in range(chance.randrange(1, 5)):
        words.add(_word(heard))
    # Somewhere inside the next piece of work, not at its edge.
    if heard.poll(chance.uniform(0, 0.012)):
        words.add(_word(heard))
    process.kill()
    process.join()
    while heard.poll():
        try:
            words.add(heard.recv())
        except EOFError:
            break
    return words


def _word(heard: Any) -> str:
    assert heard.poll(60), "the worker said nothing for a minute"
    return str(heard.recv())
