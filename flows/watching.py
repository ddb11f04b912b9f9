"""How flows let somebody watch: progress of one item of so many.

Apart from the flows, so that who only decides what to do imports nothing that does it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

__all__ = ["Progress", "Watch", "no_progress"]

Progress = Callable[[int, int], None]
# Opens progress for one item of so many: (name, number, of how many) -> context of a Progress.
Watch = Callable[[str, int, int], AbstractContextManager[Progress | None]]


def no_progress(name: str, number: int, total: int) -> AbstractContextManager[Progress | None]:
    """Watches nothing."""
    return nullcontext()
