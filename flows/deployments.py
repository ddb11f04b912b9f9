"""Which deployments a home has, and keeping them so while its consent records change.

Called by `flows.serve`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows.pools import TAG, absolute
from storage import consent
from storage.errors import ConsentError, RequestError
from storage.home import Home

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.runner import Runner

__all__ = ["Deployments", "check_times", "wanted"]

# Flows of a person, and what that person must have agreed to.
_PERSONAL: dict[str, consent.Purpose] = {"dub": "dub", "train": "train"}
_GENERAL = {
    "ingest": "any",
    "extract": "all",
    "remember": "any",
    "evaluate": "any",
    "refresh": "nightly",
}


def wanted(home: Home, *, today: dt.date | None = None) -> set[tuple[str, str]]:
    """The deployments that the home's consent records call for, as (flow, name)."""
    found = set(_GENERAL.items())
    for identity in consent.identities(home):
        for name, purpose in _PERSONAL.items():
            try:
                consent.require(home, identity, purpose, today=today)
            except ConsentError:
                continue  # it does not cover this, or is not whole
            found.add((name, identity))
    return found


def check_times(cron: str, timezone: str | None) -> None:
    """RequestError where Prefect would not understand when to refresh."""
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    for where, asked, do in (
        (f"--cron {cron!r}", {"cron": cron}, "use '0 3 * * *' for three at night"),
        (f"--timezone {timezone!r}", {"cron": "* * * * *", "timezone": timezone}, "use one as Europe/Berlin"),
    ):
        try:
            CronSchedule(**asked)
        except (ValidationError, ValueError) as error:
            raise RequestError("is not understood", where=where, do=do) from error


class Deployments:
    """What a runner serves of a home."""

    def __init__(
        self, home: Home, runner: Runner, cron: str, timezone: str | None, tell: Callable[[str], None]
    ) -> None:
        self._home, self._runner, self._tell = home, runner, tell
        self._url = absolute(home)
        self._cron, self._timezone = cron, timezone or local_timezone()
        self._served: dict[tuple[str, str], UUID] = {}
        self._begun = False

    async def check_free(self) -> None:
        """RequestError where this server serves another home under the same names just now."""
        from prefect.client.orchestration import get_client

        async with get_client() as client:
            for one in await _ours(client):
                other = one.parameters.get("home")
                if other != self._url and not one.paused and str(one.status) == "DeploymentStatus.READY":
                    what = f"this Prefect server serves {other} under the same names"
                    do = "end that `memdub serve`, or give this one a server of its own by PREFECT_API_URL"
                    raise RequestError(what, where=self._url, do=do)

    async def bury(self) -> None:
        """Runs that a serving left which was killed: they died with it, and keep their places in queues."""
        from prefect.client.orchestration import get_client
        from prefect.states import Crashed

        async with get_client() as client:
            ours = [one.id for one in await _ours(client) if one.parameters.get("home") == self._url]
            for run in await _under_way(client, ours):
                await client.set_flow_run_state(run.id, Crashed(message="`memdub serve` was killed under it"))
                self._tell(f"{run.name}: died with the last `memdub serve`; what it finished is kept")

    async def look(self) -> None:
        """Bring what is served in line with the consent records as they are now."""
        now = wanted(self._home)
        for one in sorted(now - set(self._served)):
            self._served[one] = await self._add(*one)
            if self._begun:
                self._tell(f"new: {one[0]}/{one[1]}")
        for one in sorted(set(self._served) - now):
            await _delete(self._served.pop(one))
            self._tell(f"no consent any more: {one[0]}/{one[1]} is gone")
        if not self._begun:
            await self._sweep()
            self._tell("deployments: " + ", ".join(f"{flow}/{name}" for flow, name in sorted(now)))
        self._begun = True

    async def start_due(self) -> None:
        """Start the runs whose time has come; they run in processes of their own."""
        # What `Runner.start` does again and again, but that gives up for good after three failures.
        await self._runner._get_and_submit_flow_runs()

    async def end(self) -> None:
        """Cancel what runs, and leave the deployments paused for the next time."""
        from prefect.client.orchestration import get_client

        self._runner.stopping = True
        await self._runner.cancel_all()
        async with get_client() as client:
            for one in self._served.values():
                await client.pause_deployment(one)

    async def _add(self, flow: str, name: str) -> UUID:
        from prefect.types.entrypoint import EntrypointType

        from flows.deployable import FLOWS

        parameters: dict[str, Any] = {"home": self._url}
        if flow in _PERSONAL:
            parameters["identity"] = name
        made = await FLOWS[flow].ato_deployment(
            name,
            parameters=parameters,
            tags=[TAG],
            paused=False,
            # By its name, so that a run's process imports it: a pickled flow would lose its types.
            entrypoint_type=EntrypointType.MODULE_PATH,
            **self._schedule(flow),
        )
        # Said aloud, or a work pool that somebody gave it in the UI would stay.
        made.work_pool_name = made.work_queue_name = None
        return await self._runner.aadd_deployment(made)

    def _schedule(self, flow: str) -> dict[str, Any]:
        if flow != "refresh":
            return {}
        from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
        from prefect.schedules import Cron

        # One at a time: what a second would find, the first or the next night takes.
        alone = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
        return {"schedule": Cron(self._cron, timezone=self._timezone), "concurrency_limit": alone}

    async def _sweep(self) -> None:
        """Deployments of this home that an earlier serving left, and that nobody consents to now."""
        from prefect.client.orchestration import get_client

        ours = set(self._served.values())
        async with get_client() as client:
            stale = [one for one in await _ours(client) if one.parameters.get("home") == self._url]
        for one in stale:
            if one.id not in ours:
                await _delete(one.id)


def local_timezone() -> str:
    """This machine's time zone by name; UTC where it has none."""
    path = Path("/etc/localtime").resolve()
    _, found, name = str(path).partition("zoneinfo/")
    return name if found else "UTC"


async def _ours(client: Any) -> list[Any]:
    """The deployments of `memdub serve`, whoever runs it: they have our tag and no work pool."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    found: list[Any] = []
    while True:
        page = await client.read_deployments(deployment_filter=tagged, limit=200, offset=len(found))
        found += page
        if len(page) < 200:
            return [one for one in found if one.work_pool_name is None]


async def _under_way(client: Any, deployments: list[UUID]) -> list[FlowRun]:
    """Runs of these that have begun and not ended."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    if not deployments:
        return []
    begun = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    found: list[FlowRun] = await client.read_flow_runs(
        deployment_filter=filters.DeploymentFilter(id=filters.DeploymentFilterId(any_=deployments)),
        flow_run_filter=filters.FlowRunFilter(
            state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=begun))
        ),
    )
    return found


async def _delete(deployment: UUID) -> None:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    async with get_client() as client:
        try:
            await client.delete_deployment(deployment)
        except ObjectNotFound:
            return  # somebody did it in the UI
