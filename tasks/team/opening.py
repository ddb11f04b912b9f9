"""Opening a team: of our own processes, of a scheduler, of a cluster by file, or of nobody but ourselves.

Called by `flows`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import dask
from distributed import Client

from storage.errors import RequestError
from tasks.team.alone import Alone
from tasks.team.checks import check_workers
from tasks.team.clusters import read_cluster, start
from tasks.team.crew import Team
from tasks.team.local import be_quiet, own_client
from tasks.team.workers import TOPIC, Workers, usual_workers

__all__ = ["CLUSTER", "open_team", "open_workers"]

# The environment may name a cluster's file for all commands of a machine; an option goes before it.
CLUSTER = "MEMDUB_CLUSTER"
_CONNECT_SECONDS = 20


@contextlib.contextmanager
def open_workers(
    workers: int | None = None, address: str | None = None, cluster: str | Path | None = None
) -> Iterator[Workers]:
    """As `open_team`, or with `workers=0` nobody: everything happens in this process."""
    if workers == 0 and address is None and cluster is None:
        yield Alone()
        return
    with open_team(workers, address, cluster) as team:
        yield team


@contextlib.contextmanager
def open_team(
    workers: int | None = None, address: str | None = None, cluster: str | Path | None = None
) -> Iterator[Team]:
    """Workers of our own (`workers` processes), of the scheduler at `address`, or of a cluster's file.

    Without any, the environment may name a cluster (MEMDUB_CLUSTER) or Dask's own configuration a
    scheduler (DASK_SCHEDULER_ADDRESS).
    """
    if (workers, address, cluster) == (None, None, None):
        cluster = os.environ.get(CLUSTER) or None
    if address is None and cluster is None:
        address = dask.config.get("scheduler-address", None)
    given = [one for one in (workers, address, cluster) if one is not None]
    if len(given) > 1:
        what = "workers of our own, a scheduler's or a cluster's, not both"
        raise RequestError(what, where=str(given[-1]), do="leave one of them out")
    with _client(workers, address, cluster) as client:
        team = Team(client)
        client.subscribe_topic(TOPIC, team.arrived)
        try:
            yield team
        finally:
            team.stop()


@contextlib.contextmanager
def _client(workers: int | None, address: str | None, cluster: str | Path | None) -> Iterator[Client]:
    if cluster is not None:
        with start(read_cluster(cluster)) as client:
            check_workers(client, str(cluster))
            yield client
    elif address is not None:
        with _client_of(address) as client:
            yield client
    else:
        with own_client(workers or usual_workers()) as client:
            yield client


@contextlib.contextmanager
def _client_of(address: str) -> Iterator[Client]:
    be_quiet()
    try:
        client = Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise RequestError("no Dask scheduler answers", where=address, do="check --dask-address") from error
    with client:
        check_workers(client, address)
        yield client
