"""Ctrl-C between steps and not within one: half a step must never be saved. Private to `training`."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["Patience"]


class Patience:
    """While it lasts, the first signal to end only sets `asked`; the second one acts as always."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Patience:
        # Only the main thread may set handlers; elsewhere the state that was written last has to do.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # Under nohup the hang-up is ignored, and stays so.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _heard(self, number: int, _: FrameType | None) -> None:
        self.asked = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
