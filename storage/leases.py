"""Leases: one process works on a recipe, the others wait for it or take it over when it dies.

A lease is a small object that its holder rewrites a few times in every `seconds` (the heartbeat). A
waiter takes over when it has seen no change for that long by its own clock, so clocks need not agree;
a holder that died on the same machine is noticed at once. Nothing stays behind that would need a person.

Called by `storage.artifacts`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from storage.errors import LeaseLost
from storage.objects import Objects, Version

__all__ = ["Lease", "hold"]

FOLDER = ".leases"
Waiting = Callable[[str], None]


@dataclass
class Lease:
    """A held lease; `check` before anything becomes visible."""

    objects: Objects
    name: str
    seconds: float
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    _version: Version | None = None
    _beats: int = 0
    _lost: bool = False
    _done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def key(self) -> str:
        return f"{FOLDER}/{self.name}.json"

    def check(self) -> None:
        """Raises LeaseLost when somebody else holds it by now."""
        if self._lost or not self._beat():
            raise LeaseLost("another process took this work over", where=self.name, do="its result is used")

    def try_to_take(self, stale: Version | None) -> bool:
        """Take a free lease, or one whose holder is dead and which is still at version `stale`."""
        with self._lock:
            self._version = stale
            return self._write()

    def _beat(self) -> bool:
        with self._lock:
            if not self._lost and not self._done.is_set():
                self._lost = not self._write()
            return not self._lost

    def _write(self) -> bool:
        self._beats += 1
        content = {"token": self.token, "beats": self._beats, **_me()}
        data = json.dumps(content).encode()
        with self.objects.exclusive(FOLDER):
            if not self.objects.write_if(self.key, data, self._version):
                return False
            held = self.objects.read(self.key)
        self._version = None if held is None else held[1]
        return held is not None and json.loads(held[0])["token"] == self.token

    def beat_until_done(self) -> None:
        while not self._done.wait(self.seconds / 3):
            if not self._beat():
                return

    def release(self) -> None:
        self._done.set()
        with self._lock, self.objects.exclusive(FOLDER):
            if self._version is not None and not self._lost:
                self.objects.delete_if(self.key, self._version)


@contextlib.contextmanager
def hold(
    objects: Objects,
    name: str,
    seconds: float,
    *,
    finished: Callable[[], bool] = lambda: False,
    waiting: Waiting | None = None,
) -> Iterator[Lease | None]:
    """Hold the lease `name`; yields None when `finished` became true while another process held it."""
    lease = _wait_for(Lease(objects, name, seconds), finished, waiting)
    if lease is None:
        yield None
        return
    beating = threading.Thread(target=lease.beat_until_done, name=f"lease {name}", daemon=True)
    beating.start()
    try:
        yield lease
    finally:
        lease.release()
        beating.join()


def _wait_for(lease: Lease, finished: Callable[[], bool], waiting: Waiting | None) -> Lease | None:
    seen: Version | None = None
    since = time.monotonic()
    while not finished():
        held = lease.objects.read(lease.key)
        version = held[1] if held else None
        if version != seen:
            seen, since = version, time.monotonic()
        silent = time.monotonic() - since >= lease.seconds
        if (held is None or silent or _is_dead(held[0])) and lease.try_to_take(version):
            return lease
        if held is not None:
            if waiting is not None:
                waiting(_holder(held[0]))
                waiting = None
            time.sleep(min(0.2, lease.seconds / 10))
    return None


def _me() -> dict[str, object]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "born": _birth(os.getpid())}


def _birth(pid: int) -> str | None:
    """When the process began, in the kernel's ticks: pids are used again, births are not."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def _is_dead(content: bytes) -> bool:
    """Whether the holder ran on this machine and is gone; False when that cannot be known."""
    with contextlib.suppress(ValueError, KeyError):
        holder = json.loads(content)
        on_this_machine = holder["host"] == socket.gethostname() and Path("/proc/self/stat").exists()
        return bool(on_this_machine and holder["born"] and _birth(holder["pid"]) != holder["born"])
    return False


def _holder(content: bytes) -> str:
    with contextlib.suppress(ValueError, KeyError):
        holder = json.loads(content)
        return f"process {holder['pid']} on {holder['host']}"
    return "another process"
