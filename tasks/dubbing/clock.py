"""Who takes how long, and how much memory: seconds by part of the work, over all threads.

For `tasks.dubbing` and its bench.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]

__all__ = ["Clock"]


class Clock:
    """`with clock("draw"): ...`; sums of several threads may exceed the time on the wall.

    `peak` is the most bytes of main memory that this process had at the end of any part of the work.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.peak = 0
        self._process = psutil.Process()
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            held = self._process.memory_info().rss
            with self._lock:
                self.peak = max(self.peak, held)
                self.seconds[part] += time.perf_counter() - begun
