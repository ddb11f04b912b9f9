"""Files that nobody has looked at yet, read in a process of its own: a decoder may hang there, or crash.

`probe_apart` and `normalise_apart` are `probe` and `normalise` for footage as it comes. A decoder is C code
that nothing in its own process can interrupt; a process can be killed. Each thread that reads has one such
process and keeps it for its next file; it ends with the thread. Called by `tasks` for ingest.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from storage.errors import MediaError, MemdubError, WorkError
from storage.media.normalise import Normalised, normalise
from storage.media.probe import Probe, probe

__all__ = ["normalise_apart", "probe_apart", "serve"]

# What the slowest disk that footage may lie on gives in a second.
_SLOW_DISK = 10e6
_LOOK = 1.0  # seconds
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_CHILD = (
    "import sys; sys.path[:] = {path!r}; from storage.media.apart import serve; serve({handle}, {parent})"
)

Progress = Callable[[int, int], None]
_mine = threading.local()


def probe_apart(path: str | Path, *, stall_seconds: float) -> Probe:
    """As `probe`; MediaError also where the decoder gets no further, or crashes."""
    return _done(_Order("probe", (path,), {}), Path(path), stall_seconds, None)  # type: ignore[no-any-return]


def normalise_apart(
    source: str | Path,
    target: str | Path,
    *,
    stall_seconds: float,
    rate: Fraction | None = None,
    max_side: int | None = None,
    crf: int = 14,
    preset: str = "fast",
    progress: Progress | None = None,
) -> Normalised:
    """As `normalise`; MediaError also where the decoder gets no further, or crashes."""
    how = {"rate": rate, "max_side": max_side, "crf": crf, "preset": preset}
    order = _Order("normalise", (source, target), how)
    return _done(order, Path(source), stall_seconds, progress)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Order:
    """What is to be done, and from which folder paths are meant."""

    what: str
    arguments: tuple[Any, ...]
    how: dict[str, Any]
    folder: str = field(default_factory=os.getcwd)


def _done(order: _Order, path: Path, stall_seconds: float, progress: Progress | None) -> Any:
    # The index is read before there is any progress to tell of: a large file has more of it.
    patience = stall_seconds + (path.stat().st_size / _SLOW_DISK if path.exists() else 0.0)
    process = _process()
    try:
        process.line.send(order)
        kind, told = _answer(process, patience, progress)
    except (EOFError, ConnectionError):
        raise _ended(process, path) from None
    except BaseException:
        process.end()  # what it works at is not wanted any more
        raise
    if kind == "hangs":
        process.end()
        raise _hanging(path, patience)
    if kind == "failed":
        raise told
    return told


def _answer(process: _Process, patience: float, progress: Progress | None) -> tuple[str, Any]:
    """What came of it; `hangs` where nothing came for so long."""
    while process.says_something(patience):
        kind, told = process.line.recv()
        if kind != "progress":
            return kind, told
        if progress is not None:
            progress(*told)
    return "hangs", None


def _hanging(path: Path, patience: float) -> MediaError:
    do = "convert it with another program, or give it more time with MEMDUB_STALL_SECONDS"
    return MediaError(f"its decoder got no further for {patience:.0f} s", where=path, do=do)


def _ended(process: _Process, path: Path) -> MemdubError:
    number = process.end()
    if -number in (signal.SIGKILL, signal.SIGTERM):
        what = "the process that read it was killed"
        return WorkError(what, where=path, do="see that there is memory enough, and run again")
    why = signal.strsignal(-number) if number < 0 else f"exit status {number}"
    return MediaError(f"crashes its decoder ({why})", where=path, do="convert it with another program")


class _Process:
    """Somebody who reads files for one thread of ours."""

    def __init__(self) -> None:
        self.line, theirs = Pipe()
        handle = theirs.fileno()
        code = _CHILD.format(path=sys.path, handle=handle, parent=os.getpid())
        seen = None if os.environ.get("MEMDUB_TRACEBACK") else subprocess.DEVNULL
        self.owner = os.getpid()
        self._popen = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[handle],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=seen,
        )
        theirs.close()
        atexit.register(self.end)

    @property
    def is_ready(self) -> bool:
        """Whether it lives, and is not of the process that we were forked from."""
        return self.owner == os.getpid() and self._popen.poll() is None

    def says_something(self, seconds: float) -> bool:
        """Waits so long; time in which all of us stand still (ctrl-Z) is no waiting."""
        left = seconds
        while left > 0:
            if self.line.poll(min(left, _LOOK)):
                return True
            left -= _LOOK
        return False

    def end(self) -> int:
        """Its exit status; it is over afterwards, whatever it was at."""
        atexit.unregister(self.end)
        if self.owner == os.getpid():
            self._popen.kill()
            self.line.close()
        return self._popen.wait()


def _process() -> _Process:
    process: _Process | None = getattr(_mine, "process", None)
    if process is None or not process.is_ready:
        process = _mine.process = _Process()
    return process


def serve(handle: int, parent: int) -> None:
    """In the process: do what is asked until nobody asks any more."""
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C at a terminal is for our parent to act on
    line = Connection(handle)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            order = line.recv()
            line.send(_carried_out(order, line))


def _die_with(parent: int) -> None:
    """Have the kernel end us with the thread that we work for: we may hang where nothing reaches us."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()  # it died before we asked


def _carried_out(order: _Order, line: Connection) -> tuple[str, Any]:
    os.chdir(order.folder)
    try:
        if order.what == "probe":
            return "done", probe(*order.arguments)
        return "done", normalise(
            *order.arguments, **order.how, progress=lambda *told: line.send(("progress", told))
        )
    except MemdubError as error:
        return "failed", error
    except MemoryError:
        where, do = order.arguments[0], "free some, and run again"
        return "failed", WorkError("there is not enough memory to read it", where=where, do=do)
    except OSError as error:
        return "failed", OSError(error.errno, error.strerror)
    except Exception as error:  # not every error of a library can be sent
        return "failed", WorkError(f"unexpected {type(error).__name__}: {error}", do="report this")
