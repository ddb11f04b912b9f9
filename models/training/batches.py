"""The batches of a training: each a function of the seed and its step. Private to `training`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from models.methods import Trainee
from models.training.devices import Place
from models.training.plan import Plan

__all__ = ["Batches", "seed_of"]


def seed_of(seed: int, what: str, step: int, rank: int = 0) -> int:
    """Where chance begins for a purpose at a step."""
    told = hashlib.blake2b(f"{seed}/{what}/{step}/{rank}".encode(), digest_size=8).digest()
    return int.from_bytes(told, "big") >> 1


class Batches:
    """Batches from a step on; on a GPU the next one is made while this one is used."""

    def __init__(self, trainee: Trainee, plan: Plan, place: Place, step: int) -> None:
        self._trainee, self._plan, self._place, self._next = trainee, plan, place, step
        self._pool = ThreadPoolExecutor(1) if place.device.type == "cuda" else None

    def __enter__(self) -> Iterator[dict[str, Tensor]]:
        return self._ahead(self._pool) if self._pool else self._plain()

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _plain(self) -> Iterator[dict[str, Tensor]]:
        while True:
            yield self._place.share(self._make(self._next))
            self._next += 1

    def _ahead(self, pool: ThreadPoolExecutor) -> Iterator[dict[str, Tensor]]:
        waiting = pool.submit(self._make, self._next)
        while True:
            batch = waiting.result()
            self._next += 1
            waiting = pool.submit(self._make, self._next)
            yield self._place.share(batch)

    def _make(self, step: int) -> dict[str, Tensor]:
        draw = torch.Generator().manual_seed(seed_of(self._plan.seed, "batch", step))
        batch = self._trainee.batch(step, draw)
        wrong = sorted(name for name, value in batch.items() if len(value) != self._plan.batch)
        if wrong:
            what = f"{len(batch[wrong[0]])} rows of {wrong[0]!r} instead of {self._plan.batch}"
            raise ValueError(f"the method gave a batch with {what}; report this as a bug")
        return batch
