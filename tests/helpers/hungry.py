"""A stage that needs more memory than its worker may have."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.stages import Counting

__all__ = ["Hungry"]

WANTED = 2**30


@dataclass(frozen=True)
class Hungry(Counting):
    """At the block `starving` its process may have a sixteenth of what it wants."""

    starving: int = 0

    def compute(self, plan: Any, start: int, stop: int) -> Mapping[str, np.ndarray]:
        if start == self.starving:
            _want(WANTED)
        return super().compute(plan, start, stop)


def _want(size: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + size // 16, before[1]))
    try:
        np.ones(size, np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
