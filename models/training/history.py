"""Curves of losses, and an honest guess of the time that is left. Private to `training`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

__all__ = ["Clock", "History"]


class History:
    """Values by name and step. Tensors wait on their device until somebody looks: looking costs a pause."""

    def __init__(self, curves: Mapping[str, Tensor] | None = None) -> None:
        self._curves: dict[str, list[tuple[float, float]]] = {
            name: [(float(step), float(value)) for step, value in curve.tolist()]
            for name, curve in (curves or {}).items()
        }
        self._waiting: list[tuple[int, dict[str, Tensor]]] = []

    def note(self, step: int, values: Mapping[str, Tensor]) -> None:
        """What was told at a step."""
        self._waiting.append((step, {name: value.detach().float() for name, value in values.items()}))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._curves.setdefault(name, []).append((float(step), float(value)))

    def settle(self) -> None:
        """Fetch what waits, in one transfer."""
        if not self._waiting:
            return
        flat = torch.stack([value.reshape(()) for _, told in self._waiting for value in told.values()])
        values = iter(flat.double().cpu().tolist())
        for step, told in self._waiting:
            self.add(step, {name: next(values) for name in told})
        self._waiting = []

    def curves(self) -> dict[str, Tensor]:
        """(n, 2) step and value, float64, by name."""
        self.settle()
        return {name: torch.tensor(rows, dtype=torch.float64) for name, rows in self._curves.items()}

    def last(self, name: str, count: int = 1) -> float:
        """The mean of the last values; not a number where there is none."""
        rows = self._curves.get(name, [])[-count:]
        return float(np.mean([value for _, value in rows])) if rows else float("nan")

    def forget_after(self, step: int) -> None:
        """Drop what comes after a step."""
        for name, rows in self._curves.items():
            self._curves[name] = [row for row in rows if row[0] <= step]


class Clock:
    """Measures steps, judging and saving as they go."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}
        self.begun = time.monotonic()

    @contextmanager
    def times(self, what: str) -> Iterator[None]:
        """What is done now counts as `what`."""
        start = time.monotonic()
        yield
        # The last ones count: the first allocates, and machines get slower when others come.
        self._seconds.setdefault(what, deque(maxlen=100)).append(time.monotonic() - start)

    def usual(self, what: str) -> float:
        """Seconds that one usually takes."""
        seconds = self._seconds.get(what)
        return float(np.mean(seconds)) if seconds else 0.0

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.begun
