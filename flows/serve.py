"""The flow runs of a home, served: one command that starts what Prefect needs and runs what is asked for.

    serve(ServeOptions(), tell=print)     # until interrupted

A deployment for each identity and each thing that its consent covers; who consents later appears within
seconds, who withdraws goes away. Called by the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flows import server
from flows.deployments import Deployments, check_times
from flows.engine import as_error, card_limit
from storage import leases
from storage.errors import MemdubError, RequestError
from storage.home import Home

__all__ = ["ServeOptions", "serve"]

Tell = Callable[[str], None]

# Prefect's own choice, where `prefect deployment run` in another terminal looks first.
PORT = 4200
_LOOK_SECONDS = 2.0
_LEASE = "serve"


@dataclass(frozen=True)
class ServeOptions:
    """What a user may choose."""

    port: int = PORT
    cron: str = "0 3 * * *"
    timezone: str | None = None  # None: this machine's
    runs: int = 2  # at once
    home: str | None = None


def serve(options: ServeOptions | None = None, *, tell: Tell = lambda line: None) -> None:
    """Serve the home until interrupted; whatever was started ends with it."""
    options = options or ServeOptions()
    home = Home(options.home)
    check_times(options.cron, options.timezone)
    with _alone(home, tell), _server(options, tell) as own:
        api = own.api if own is not None else str(server.configured())
        with server.used(api), server.noted(home, api):
            asyncio.run(_Serving(home, options, own, api, tell).run())


@contextlib.contextmanager
def _alone(home: Home, tell: Tell) -> Iterator[None]:
    """One process serves a home; RequestError where another does."""
    seconds, begun = home.settings.lease_seconds, time.monotonic()
    _refuse_neighbour(home)

    def given_up() -> bool:
        return time.monotonic() - begun > 1.5 * seconds

    def waiting(who: str) -> None:
        tell(f"{who} served this home last; looking for {seconds:.0f} s whether it lives")

    with leases.hold(home.objects, _LEASE, seconds, finished=given_up, waiting=waiting) as lease:
        if lease is None:
            raise _served(home, "on another machine")
        yield


def _refuse_neighbour(home: Home) -> None:
    """On one machine it is known at once who lives."""
    held = home.objects.read(f"{leases.FOLDER}/{_LEASE}.json")
    holder = json.loads(held[0]) if held else {}
    if holder.get("machine") == leases.me()["machine"] is not None and not leases.is_dead(holder):
        raise _served(home, f"as process {holder['pid']}")


def _served(home: Home, how: str) -> RequestError:
    return RequestError(f"`memdub serve` runs already, {how}", where=home.url, do="use that, or end it first")


@contextlib.contextmanager
def _server(options: ServeOptions, tell: Tell) -> Iterator[server.OwnServer | None]:
    """The configured server, or one of our own while it lasts."""
    api = server.configured()
    if api is not None:
        if not server.answers(api):
            do = "start it, or unset PREFECT_API_URL to have one started here"
            raise RequestError("no Prefect server answers", where=api, do=do)
        yield None
        return
    from prefect.settings import PREFECT_HOME

    own = server.OwnServer(options.port, Path(PREFECT_HOME.value()) / "memdub-server.log")
    tell(f"starting a Prefect server on port {own.port}; its log is {own.log}")
    try:
        own.start()
        own.wait()
        yield own
    finally:
        own.stop()


class _Serving:
    """One serving, from its first look at the home to its end."""

    def __init__(
        self, home: Home, options: ServeOptions, own: server.OwnServer | None, api: str, tell: Tell
    ) -> None:
        self.home, self.options, self.own, self.api, self.tell = home, options, own, api, tell
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        """Until told to stop."""
        from prefect.runner import Runner

        # Ours is the only way to stop: schedules are paused by us, for those deployments that are left.
        runner = Runner(
            name="memdub",
            query_seconds=_LOOK_SECONDS,
            limit=self.options.runs,
            pause_on_shutdown=False,
        )
        served = Deployments(self.home, runner, self.options.cron, self.options.timezone, self.tell)
        server.runs_die_with_us()
        with server.understood(self.api):
            await served.check_free()
            await served.bury()
            await _limit_cards()
        problem: MemdubError | None = None
        async with runner:
            try:
                await self._serve(served)
            except Exception as error:
                problem = as_error(error)  # through the runner it would come as a group of errors
        if problem is not None:
            raise problem

    async def _serve(self, served: Deployments) -> None:
        with self._told_to_stop():
            with server.understood(self.api):
                await served.look()
            self.tell(f"serving {self.home.url}; runs, pictures and logs: {self.api.removesuffix('/api')}")
            await self._until_stopped(served)
        with contextlib.suppress(Exception):  # a server that is gone pauses nothing
            await served.end()

    async def _until_stopped(self, served: Deployments) -> None:
        while not self.stopped.is_set():
            try:
                with server.understood(self.api):
                    await self._revive()
                    await served.look()
                    await served.start_due()
            except (MemdubError, OSError) as error:
                # The server or the home is away, or busy: whatever Prefect has been asked waits there.
                self.tell(f"{as_error(error)}; trying on")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopped.wait(), _LOOK_SECONDS)

    async def _revive(self) -> None:
        """A server of our own that died is started again, at the same place with the same database."""
        if self.own is None or self.own.lives:
            return
        self.tell("the Prefect server is gone; starting it again")
        self.own.start()
        while not self.own.ready() and not self.stopped.is_set():
            await asyncio.sleep(0.2)

    @contextlib.contextmanager
    def _told_to_stop(self) -> Iterator[None]:
        loop, numbers = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            # Under nohup the hang-up is ignored, and stays so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if not self.stopped.is_set():
            self.tell("ending: runs under way are cancelled, and go on where they were when asked for again")
        self.stopped.set()


async def _limit_cards() -> None:
    """Prefect's own count of this machine's cards: runs that wait for one are seen in the UI."""
    if not Path("/proc/driver/nvidia/gpus").exists():
        return
    from prefect.client.orchestration import get_client

    from tasks import cards

    if count := cards.count():
        async with get_client() as client:
            await client.upsert_global_concurrency_limit_by_name(card_limit(), count)
