"""Leases: one process works on a recipe, the others wait for it or take it over when it dies.

A lease is a small object that its holder rewrites a few times in every `seconds` (the heartbeat). A
waiter takes over when it has seen no change for that long by its own clock, so clocks need not agree;
a holder that died on the same machine is noticed at once. Nothing stays behind that would need a person.

Called by `storage.artifacts`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.errors import LeaseLost, MemdubError
from storage.objects import LocalObjects, Objects, Version

__all__ = [
    "Lease",
    "clear",
    "hold",
    "hold_if_free",
    "is_dead",
    "me",
    "running",
    "sweep",
    "waiting_for",
]

FOLDER, WAITING = ".leases", ".waiting"
Waiting = Callable[[str], None]


@dataclass
class Lease:
    """A held lease; `check` before anything becomes visible."""

    objects: Objects
    name: str
    seconds: float
    about: Mapping[str, Any] = field(default_factory=dict)  # what people are told of it
    since: float = field(default_factory=time.time)
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
        """Raises LeaseLost when somebody else holds it by now, as far as can be told."""
        if not self._beat():
            raise _lost(self.name)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Inside, nobody on this file system can take the lease over; raises LeaseLost if they have.

        A bucket keeps nobody out. There the heart beats on inside, so that nobody has reason to.
        """
        with contextlib.ExitStack() as stack:
            if isinstance(self.objects, LocalObjects):
                stack.enter_context(self._lock)
                stack.enter_context(self.objects.exclusive(FOLDER))
            held = self.objects.read(self.key)
            if held is None or not self._is_ours(held[0]):
                self._lost = True
                raise _lost(self.name)
            yield

    def try_to_take(self, stale: Version | None) -> bool:
        """Take a free lease, or one whose holder is dead and which is still at version `stale`."""
        with self._lock:
            self._version = stale
            return self._write()

    def _beat(self) -> bool:
        with self._lock:
            if not self._lost and not self._done.is_set():
                # What a full disk or a lost network breaks is tried at the next beat: it is lost only
                # when another's name is read there, and who commits reads it.
                with contextlib.suppress(MemdubError, OSError):
                    self._lost = not self._write()
            return not self._lost

    def _write(self) -> bool:
        self._beats += 1
        told = {"since": self.since, "at": time.time(), "about": dict(self.about)}
        content = {"token": self.token, "beats": self._beats, **told, **me()}
        data = json.dumps(content).encode()
        with self.objects.exclusive(FOLDER):
            self.objects.write_if(self.key, data, self._version)
            held = self.objects.read(self.key)
        if held is None or not self._is_ours(held[0]):
            return False
        # Also where the write was refused: then an earlier one had gone through, and its answer was lost.
        self._version = held[1]
        return True

    def _is_ours(self, content: bytes) -> bool:
        return _holder_of(content).get("token") == self.token

    def beat_until_done(self) -> None:
        while not self._done.wait(self.seconds / 3):
            if not self._beat():
                return

    def release(self) -> None:
        self._done.set()
        # What was done under it is done; a lease that cannot be removed falls silent.
        with contextlib.suppress(MemdubError, OSError), self._lock, self.objects.exclusive(FOLDER):
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
    about: Mapping[str, Any] | None = None,
) -> Iterator[Lease | None]:
    """Hold the lease `name`; yields None when `finished` became true while another process held it."""
    with _beating(_wait_for(Lease(objects, name, seconds, about or {}), finished, waiting)) as lease:
        yield lease


@contextlib.contextmanager
def hold_if_free(objects: Objects, name: str, seconds: float) -> Iterator[Lease | None]:
    """Hold the lease if nobody does, without waiting; yields None if somebody does, or may."""
    lease = Lease(objects, name, seconds)
    held = objects.read(lease.key)
    free = held is None or is_dead(_holder_of(held[0]))
    with _beating(lease if free and lease.try_to_take(held[1] if held else None) else None) as taken:
        yield taken


def clear(objects: Objects, seconds: float, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Remove leases whose holder is dead; of a holder elsewhere nothing tells but silence, for `seconds`."""
    seen = {key: held for key in objects.versions(FOLDER) if (held := objects.read(key)) is not None}
    dead = {key: version for key, (content, version) in seen.items() if is_dead(_holder_of(content))}
    far = {key for key, (content, _) in seen.items() if _holder_of(content).get("machine") != _machine()}
    if far:
        pause(seconds)
        now = objects.versions(FOLDER)
        dead |= {key: seen[key][1] for key in far if now.get(key) == seen[key][1]}
    for key, version in dead.items():
        lease = Lease(objects, Path(key).stem, seconds)
        if lease.try_to_take(version):
            lease.release()


def running(objects: Objects) -> list[dict[str, Any]]:
    """Who works on what: `name`, `about`, `host`, `pid`, `since`, and `silent_s` since the last heartbeat."""
    return _alive(objects, FOLDER)


def waiting_for(objects: Objects) -> list[dict[str, Any]]:
    """Who waits for which lease: the same, with `since` when they began to wait."""
    return _alive(objects, WAITING)


def sweep(objects: Objects) -> None:
    """Remove what processes left that died as they waited."""
    for key in objects.versions(WAITING):
        held = objects.read(key)
        if held is not None and is_dead(_holder_of(held[0])):
            objects.delete_if(key, held[1])


def _alive(objects: Objects, folder: str) -> list[dict[str, Any]]:
    found = []
    for key in objects.versions(folder):
        held = objects.read(key)
        holder = _holder_of(held[0]) if held is not None else {}
        if holder and not is_dead(holder):
            told = {name: holder.get(name) for name in ("host", "pid", "since", "about")}
            silent = max(0.0, time.time() - holder.get("at", time.time()))
            found.append({"name": holder.get("name") or Path(key).stem, **told, "silent_s": silent})
    return sorted(found, key=lambda one: (one["since"] or 0.0, one["name"]))


@contextlib.contextmanager
def _noted(lease: Lease) -> Iterator[Callable[[], None]]:
    """A way to have it seen that somebody waits; what cannot be noted is not."""
    key, noted = f"{WAITING}/{lease.token}.json", False

    def note() -> None:
        nonlocal noted
        noted = True
        told = {"name": lease.name, "since": time.time(), "about": dict(lease.about)}
        with contextlib.suppress(MemdubError, OSError), lease.objects.exclusive(WAITING):
            lease.objects.write_if(key, json.dumps({**told, **me()}).encode(), None)

    try:
        yield note
    finally:
        with contextlib.suppress(MemdubError, OSError):
            held = lease.objects.read(key) if noted else None
            if held is not None:
                with lease.objects.exclusive(WAITING):
                    lease.objects.delete_if(key, held[1])


@contextlib.contextmanager
def _beating(lease: Lease | None) -> Iterator[Lease | None]:
    if lease is None:
        yield None
        return
    beating = threading.Thread(target=lease.beat_until_done, name=f"lease {lease.name}", daemon=True)
    beating.start()
    try:
        yield lease
    finally:
        lease.release()
        beating.join()


def _wait_for(lease: Lease, finished: Callable[[], bool], waiting: Waiting | None) -> Lease | None:
    seen: Version | None = None
    since, waits = time.monotonic(), False
    with _noted(lease) as note:
        while not finished():
            held = lease.objects.read(lease.key)
            version = held[1] if held else None
            if version != seen:
                seen, since = version, time.monotonic()
            silent = time.monotonic() - since >= lease.seconds
            if (held is None or silent or is_dead(_holder_of(held[0]))) and lease.try_to_take(version):
                return lease
            if held is not None:
                if not waits:
                    waits = True
                    note()
                    if waiting is not None:
                        waiting(_named(_holder_of(held[0])))
                time.sleep(min(0.2, lease.seconds / 10))
    return None


def me() -> dict[str, Any]:
    """This process, so that others on this machine can tell whether it still lives."""
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": os.getpid(),
        "born": _birth(os.getpid()),
    }


def _lost(name: str) -> LeaseLost:
    return LeaseLost("another process took this work over", where=name, do="run again to use its result")


@functools.cache
def _machine() -> str | None:
    """Where pids mean what they mean here: containers may share a host's name, but not this."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    return None


def _birth(pid: int) -> str | None:
    """When the process began, in the kernel's ticks: pids are used again, births are not."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def is_dead(holder: Mapping[str, Any]) -> bool:
    """Whether the process ran on this machine and is gone; False when that cannot be known."""
    here = _machine()
    known = here is not None and holder.get("machine") == here and holder.get("born") is not None
    return bool(known and _birth(holder["pid"]) != holder["born"])


def _holder_of(content: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        holder = json.loads(content)
        return holder if isinstance(holder, dict) else {}
    return {}


def _named(holder: Mapping[str, Any]) -> str:
    if {"pid", "host"} <= set(holder):
        return f"process {holder['pid']} on {holder['host']}"
    return "another process"
