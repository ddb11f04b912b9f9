"""Has the disk hold what was written. Private to `clips`."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

__all__ = ["flush", "flush_soon"]


def flush(folder: Path) -> None:
    """Everything below: a power cut must not leave a name whose bytes are gone."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_flush, [*folder.rglob("*"), folder]))


def flush_soon(path: Path) -> None:
    """Begin with one file, and do not wait; whoever publishes it flushes it again."""
    _background().submit(_try_to_flush, path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _try_to_flush(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone already, or told by `flush`
        _flush(path)


@cache
def _background() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="flush")
