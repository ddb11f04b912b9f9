"""What must be so before work is sent anywhere: the same memdub, one thread a worker, one disk or none.

Called by `tasks.team.opening` and `flows.extract`.
"""

from __future__ import annotations

import os
import uuid
from importlib.metadata import version
from pathlib import Path

from distributed import Client

from storage.errors import RequestError
from tasks.team.crew import Team
from tasks.team.workers import Workers

__all__ = ["check_shared", "check_workers", "is_shared"]


def check_workers(client: Client, where: str) -> None:
    """Other code makes other bytes: workers must have ours, whatever their machine."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise RequestError("this Dask scheduler has no workers", where=where, do="start some and run again")
    for worker, told in workers.items():
        if told["nthreads"] != 1:
            what = f"worker {worker} has {told['nthreads']} threads, which would only wait for each other"
            raise RequestError(what, where=where, do="start workers with --nthreads 1, one for each core")
    try:
        versions = client.run(version, "memdub")
    except Exception as error:
        raise RequestError(
            f"its workers cannot run memdub ({type(error).__name__})",
            where=where,
            do="install the same memdub there",
        ) from error
    for worker, theirs in versions.items():
        if theirs != version("memdub"):
            what = f"worker {worker} has memdub {theirs}, this is {version('memdub')}"
            raise RequestError(what, where=where, do="install the same memdub there")


def is_shared(team: Workers, folder: Path) -> bool:
    """Whether every worker sees this folder, with what we just put into it."""
    return not _blind(team, folder)


def check_shared(team: Workers, folder: Path) -> None:
    """Raises RequestError unless every worker sees this folder."""
    if blind := _blind(team, folder):
        raise RequestError(
            f"worker {blind[0]} does not see the home",
            where=folder,
            do="mount it there under the same path, or have the home in a bucket (MEMDUB_HOME=s3://...)",
        )


def _blind(team: Workers, folder: Path) -> list[str]:
    if not isinstance(team, Team):
        return []
    probe = folder / f".probe-{uuid.uuid4().hex}"
    probe.touch()
    try:
        seen = team.client.run(os.path.exists, str(probe))
    finally:
        probe.unlink(missing_ok=True)
    return [worker for worker, found in seen.items() if not found]
