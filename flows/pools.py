"""Training in another Prefect work pool, as `--where gpu-pool` asks: sent there, waited for, taken over.

A deployment of the pool is used where there is one of our flow `train`; else one is made, which asks of the
pool's workers only that they have memdub installed and see the same home. Called by `flows.train`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from flows import server
from flows.engine import in_prefect
from storage.artifacts import find_whole
from storage.errors import Broken, RequestError, WorkError
from storage.home import Home
from storage.ledger import Ledger

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

    from tasks.training import TrainedStage, TrainOptions

__all__ = ["TAG", "absolute", "check", "train_in_pool"]

# What all deployments of ours have, in this file, in `flows.deployments`, and in infra/prefect.yaml.
TAG = "memdub"
_ASK_SECONDS = 2.0
# Pools that start their work without a worker of ours.
_WITHOUT_WORKERS = (":push", ":managed")

Tell = Callable[[str], None]


def check(pool: str, home: Home) -> None:
    """RequestError where nobody would ever begin: no server, no such pool, no worker."""
    from prefect.client.orchestration import get_client

    with _connected(home, pool), get_client(sync_client=True) as client:
        _check_pool(client, pool)


def train_in_pool(
    pool: str,
    home: Home,
    options: TrainOptions,
    identity: str,
    stages: Sequence[TrainedStage],
    how: Mapping[str, Any],
    tell: Tell,
) -> None:
    """Has the pool make what is missing of these stages; WorkError unless it is there afterwards."""
    if not _missing(home, identity, stages):
        return
    with _connected(home, pool):
        _train(pool, _parameters(home, identity, options, how), tell)
    if left := _missing(home, identity, stages):
        what = f"the pool has finished, but stage {left[0]} is not in this home"
        do = "see that its workers have the same home, version and weights"
        raise Broken(what, where=f"--where {pool}", do=do)


def absolute(home: Home) -> str:
    """The home's address for processes with another working folder."""
    return home.uri("").rstrip("/")


@contextmanager
def _connected(home: Home, pool: str) -> Iterator[None]:
    """Inside a run Prefect knows its server; elsewhere the home or the environment tells."""
    with server.understood(f"--where {pool}"):
        if in_prefect():
            yield
            return
        with server.used(server.address(home)):
            yield


def _missing(home: Home, identity: str, stages: Sequence[TrainedStage]) -> list[str]:
    ledger = Ledger(home.objects)
    return [one.stage.name for one in stages if find_whole(home, ledger, one.recipe, identity) is None]


def _parameters(home: Home, identity: str, options: TrainOptions, how: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `flows.deployable.train` that ask for the same."""
    return {
        "identity": identity,
        "method": options.method,
        "preset": options.preset,
        "stage": options.stage,
        "seconds": options.cut.seconds,
        "held_out": options.cut.held_out,
        "seed": options.seed,
        "steps": options.plan.get("steps"),
        "home": absolute(home),
        **how,
    }


def _train(pool: str, parameters: dict[str, Any], tell: Tell) -> None:
    from prefect.client.orchestration import get_client
    from prefect.deployments import run_deployment

    with get_client(sync_client=True) as client:
        deployment = _deployment_of(client, pool)
        run = _under_way(client, deployment, parameters)
        if run is None:
            name = f"train {parameters['identity']} {parameters['method']} in {pool}"
            sent = run_deployment(deployment.id, parameters=parameters, timeout=0, flow_run_name=name)
            run = cast("FlowRun", sent)  # a coroutine only where a loop runs
        tell(f"{pool}: {run.name}")
        _wait(client, run, pool, tell)


def _check_pool(client: SyncPrefectClient, pool: str) -> None:
    from prefect.client.schemas.objects import WorkerStatus
    from prefect.exceptions import ObjectNotFound

    where = f"--where {pool}"
    try:
        found = client.read_work_pool(pool)
    except ObjectNotFound as error:
        there = ", ".join(sorted(one.name for one in client.read_work_pools())) or "none"
        do = f"there are {there}; `prefect work-pool create --type process {pool}` makes it"
        raise RequestError("no such work pool", where=where, do=do) from error
    if found.is_paused:
        raise RequestError("is paused", where=where, do=f"`prefect work-pool resume {pool}`")
    if found.type.endswith(_WITHOUT_WORKERS):
        return
    workers = client.read_workers_for_work_pool(pool)
    if not any(worker.status == WorkerStatus.ONLINE for worker in workers):
        do = f"start one: `prefect worker start --pool {pool}`"
        raise RequestError("no worker of this work pool is online", where=where, do=do)


def _deployment_of(client: SyncPrefectClient, pool: str) -> DeploymentResponse:
    from prefect.client.schemas import filters
    from prefect.types.entrypoint import EntrypointType

    there = client.read_deployments(
        flow_filter=filters.FlowFilter(name=filters.FlowFilterName(any_=["train"])),
        work_pool_filter=filters.WorkPoolFilter(name=filters.WorkPoolFilterName(any_=[pool])),
        # Others may have a flow of that name on the same server.
        deployment_filter=filters.DeploymentFilter(tags=filters.DeploymentFilterTags(all_=[TAG])),
    )
    if there:
        return min(there, key=lambda one: one.name)
    from flows.deployable import train

    made: Any = train.to_deployment(
        f"in-{pool}",
        work_pool_name=pool,
        tags=[TAG],
        description=f"Trainings that were sent to {pool}.",
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return client.read_deployment(made.apply())


def _under_way(
    client: SyncPrefectClient, deployment: DeploymentResponse, parameters: Mapping[str, Any]
) -> FlowRun | None:
    """A run of just that which was sent before: who asks again waits for it."""
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType

    open_ = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=open_))),
    )
    asked = {**(deployment.parameters or {}), **parameters}
    return next((run for run in runs if run.parameters == asked), None)


def _wait(client: SyncPrefectClient, run: FlowRun, pool: str, tell: Tell) -> None:
    """Until the run has ended; WorkError where it did not end well."""
    said: str | None = ""
    while True:
        state = client.read_flow_run(run.id).state
        if state is not None and state.name != said:
            said = state.name
            tell(f"{pool}: {str(said).lower()}")
        if state is not None and state.is_final():
            break
        # The server is asked, as Prefect itself does: it has no way to call us.
        time.sleep(_ASK_SECONDS)
    if not state.is_completed():
        what = f"the training ended as {str(said).lower()}: {state.message or 'nothing was said'}"
        # Whoever cancelled it meant it; of what failed the run itself has tried again what can pass.
        kind = WorkError if state.is_crashed() else Broken
        raise kind(what, where=f"--where {pool}", do=f"`prefect flow-run logs {run.id}` says more")
