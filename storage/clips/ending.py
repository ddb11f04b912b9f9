"""The end of a process that has used Zarr, on a busy machine. Private to `storage.clips`.

Zarr waits a fifth of a second for its own thread at exit, and where that is not enough closes what still
runs: a traceback after work that went well, and a thread that lives on while Python is taken down. Hooks
run in the reverse order of their registration: this one comes first, and waits longer.
"""

from __future__ import annotations

import atexit

import zarr.core.sync as inside

__all__ = ["let_finish"]

_LONGEST_S = 10.0


def let_finish() -> None:
    """Stops Zarr's thread and waits for it; without effect where there is none."""
    [loop], [thread] = getattr(inside, "loop", [None]), getattr(inside, "iothread", [None])
    if loop is None or thread is None or not thread.is_alive():
        return
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_LONGEST_S)


atexit.register(let_finish)
