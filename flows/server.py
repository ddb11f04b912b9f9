"""The Prefect server that a run talks to: the configured one, or one of our own on this machine alone.

Exactly one serves a home: whoever starts it (`memdub serve`) notes its address there, for the commands that
need one. Called by `flows.serve` and `flows.pools`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from storage import leases
from storage.errors import RequestError, WorkError
from storage.home import Home

__all__ = [
    "OwnServer",
    "address",
    "answers",
    "configured",
    "die_with_serve",
    "noted",
    "runs_die_with_us",
    "understood",
    "used",
]

_NOTE = ".serve/server.json"
START_SECONDS = 600.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
# Prefect's own command, told by the kernel to end when we do, even by `kill -9`; a terminal's ctrl-C is ours
# to hear first, so it has a session of its own.
_LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.executable, [sys.executable, "-m", "prefect", *sys.argv[2:]])
"""
_ENVIRONMENT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Places in its queues are in its database; who holds them must outlive a server that dies, too.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}
_SERVED_BY = "MEMDUB_SERVED_BY"


def configured() -> str | None:
    """What PREFECT_API_URL says, in the environment or in Prefect's profile."""
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value() or None


def answers(api: str, seconds: float = 5.0) -> bool:
    """Whether a Prefect server is well there; one that wants a password is."""
    from urllib.error import HTTPError

    try:
        with urlopen(f"{api}/health", timeout=seconds) as reply:
            return bool(reply.status == 200)
    except HTTPError as error:
        return error.code in (401, 403)
    except (URLError, OSError, ValueError):
        return False


def address(home: Home) -> str:
    """The server that serves this home; RequestError where there is none."""
    told = configured() or _noted(home)
    if told is None:
        do = "run `memdub serve` in another terminal, or set PREFECT_API_URL"
        raise RequestError("no Prefect server is configured", where=home.url, do=do)
    if not answers(told):
        do = "start it, run `memdub serve`, or correct PREFECT_API_URL"
        raise RequestError("no Prefect server answers", where=told, do=do)
    return told


@contextlib.contextmanager
def used(api: str) -> Iterator[None]:
    """Inside, Prefect talks to that server, and so do the processes that are started."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    before = os.environ.get("PREFECT_API_URL")
    os.environ["PREFECT_API_URL"] = api
    try:
        with temporary_settings({PREFECT_API_URL: api}):
            yield
    finally:
        if before is None:
            del os.environ["PREFECT_API_URL"]
        else:
            os.environ["PREFECT_API_URL"] = before


@contextlib.contextmanager
def noted(home: Home, api: str) -> Iterator[None]:
    """While it lasts, the home says where its server is."""
    held = home.objects.read(_NOTE)
    content = json.dumps({"api": api, **leases.me()}).encode()
    home.objects.write_if(_NOTE, content, held[1] if held else None)
    try:
        yield
    finally:
        held = home.objects.read(_NOTE)
        if held is not None and held[0] == content:
            home.objects.delete_if(_NOTE, held[1])


def runs_die_with_us() -> None:
    """Have the processes of runs that this process starts end with it, even by `kill -9`."""
    os.environ[_SERVED_BY] = str(os.getpid())


@contextlib.contextmanager
def understood(where: object) -> Iterator[None]:
    """Inside, what Prefect's client raises becomes an error of ours."""
    import httpx
    from prefect.exceptions import PrefectException

    try:
        yield
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        if code in (401, 403):
            do = "set PREFECT_API_AUTH_STRING or PREFECT_API_KEY as it was given to the server"
            raise RequestError("the Prefect server wants to know who asks", where=where, do=do) from error
        what = f"the Prefect server answers {code} {error.response.reason_phrase}"
        if code < 500:
            do = "see that its version is the one that is installed here"
            raise RequestError(what, where=where, do=do) from error
        raise WorkError(what, where=where, do="its log says why; then run it again") from error
    except httpx.HTTPError as error:
        what = f"the Prefect server does not answer ({type(error).__name__})"
        raise WorkError(what, where=where, do="see that it runs") from error
    except PrefectException as error:  # as of a run that somebody deleted
        what = f"the Prefect server refuses: {error} ({type(error).__name__})"
        raise RequestError(what, where=where, do="look at it in the UI") from error


def die_with_serve() -> None:
    """In the process of a run that `memdub serve` started: the kernel ends it with that."""
    if sys.platform == "linux" and os.environ.get(_SERVED_BY) == str(os.getppid()):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _noted(home: Home) -> str | None:
    held = home.objects.read(_NOTE)
    if held is None:
        return None
    with contextlib.suppress(ValueError, KeyError):
        told = json.loads(held[0])
        if not leases.is_dead(told):
            return str(told["api"])
    return None


@dataclass
class OwnServer:
    """`prefect server start` as a child of this process, on the loopback network, with SQLite."""

    port: int
    log: Path
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def lives(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it; `ready` says when it answers. RequestError where something else has the port."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                do = f"if that is a Prefect server set PREFECT_API_URL={self.api}, else give another --port"
                raise RequestError(
                    "something else listens there", where=f"port {self.port}", do=do
                ) from error
        words = ["server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-c", _LAUNCH, str(os.getpid()), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # The UI asks where its API is, and the port above is not what it would be told.
                env={**_ENVIRONMENT, "PREFECT_SERVER_UI_API_URL": self.api, **os.environ},
            )

    def ready(self) -> bool:
        """Whether it answers; WorkError where it died."""
        if not self.lives:
            do = "its last lines say why"
            raise WorkError("the Prefect server ended by itself", where=self.log, do=do)
        return answers(self.api, 1.0)

    def wait(self) -> None:
        """Until it answers."""
        begun = time.monotonic()
        while not self.ready():
            if time.monotonic() - begun > START_SECONDS:
                what = f"the Prefect server did not answer within {START_SECONDS:.0f} s"
                raise WorkError(what, where=self.log, do="see its log")
            time.sleep(0.2)

    def stop(self) -> None:
        """End it, and whatever it started."""
        if self._child is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)
            try:
                self._child.wait(15)
                break
            except subprocess.TimeoutExpired:
                continue
        self._child = None
