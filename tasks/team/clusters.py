"""Clusters that another engine starts: a YAML file names a class of Dask's and what it is called with.

    cluster_class: dask_jobqueue.SLURMCluster      # any class that Dask's cluster interface describes
    cluster_kwargs: {cores: 1, memory: 4GB}        # as its own documentation has them
    adapt_kwargs: {minimum: 0, maximum: 1000}      # optional: workers come and go with the work
    wait_seconds: 600                              # optional: how long the first worker may take to come

`infra/clusters` has one for each kind. The command line names the file (`--cluster`), or MEMDUB_CLUSTER does.
Called by `tasks.team.opening`.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from distributed import Client

from storage.errors import RequestError, WorkError
from tasks.team.local import be_quiet, importable

__all__ = ["ClusterSpec", "read_cluster", "start"]

# Where a class comes from, by its package: what a user installs for it.
_EXTRAS = {"dask_jobqueue": "memdub[slurm]", "dask_kubernetes": "memdub[kubernetes]"}
# What `adapt` of Dask's clusters takes.
_ADAPT = {"minimum", "maximum", "minimum_jobs", "maximum_jobs", "minimum_cores", "maximum_cores"}
_ADAPT |= {"minimum_memory", "maximum_memory", "interval", "wait_count", "target_duration"}


@dataclass(frozen=True)
class ClusterSpec:
    """What a cluster file says."""

    source: Path
    cluster_class: str
    cluster_kwargs: Mapping[str, Any] = field(default_factory=dict)
    adapt_kwargs: Mapping[str, Any] | None = None
    wait_seconds: float = 600.0

    def load(self) -> type:
        """The class itself; its package may be an extra that is not installed."""
        package, _, name = self.cluster_class.rpartition(".")
        try:
            found: type = getattr(importlib.import_module(package), name)
        except (ImportError, AttributeError, ValueError) as error:
            extra = _EXTRAS.get(self.cluster_class.partition(".")[0])
            do = f"pip install '{extra}'" if extra else "name a class of Dask's, as distributed.LocalCluster"
            what = f"no such cluster class: {self.cluster_class}"
            raise RequestError(what, where=self.source, do=do) from error
        return found


def read_cluster(path: str | Path) -> ClusterSpec:
    """The spec in this file; raises RequestError saying what of it is wrong."""
    source = Path(path).expanduser()
    try:
        said = yaml.safe_load(source.read_text())
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise RequestError(what, where=source, do="name a cluster's YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError("is not YAML", where=source, do="see infra/clusters for examples") from error
    if problem := _problem(said):
        raise RequestError(problem, where=source, do="see infra/clusters for examples")
    return ClusterSpec(source, **said)


def _problem(said: Any) -> str | None:
    if not isinstance(said, dict) or not isinstance(said.get("cluster_class"), str):
        return "names no cluster_class"
    known = {each.name for each in fields(ClusterSpec)} - {"source"}
    if unknown := sorted(map(str, set(said) - known)):
        return f"{unknown[0]} means nothing here"
    if not isinstance(said.get("cluster_kwargs", {}), dict):
        return "cluster_kwargs is not a mapping"
    adapt = said.get("adapt_kwargs")
    if adapt is not None and not isinstance(adapt, dict):
        return "adapt_kwargs is not a mapping"
    if unknown := sorted(set(adapt or {}) - _ADAPT):
        return f"adapt_kwargs: {unknown[0]} means nothing to a cluster"
    wait = said.get("wait_seconds", 1)
    return None if isinstance(wait, int | float) and wait > 0 else "wait_seconds is not a number of seconds"


@contextlib.contextmanager
def start(spec: ClusterSpec) -> Iterator[Client]:
    """The cluster while it lasts, with one worker at least."""
    be_quiet()
    kind = spec.load()
    with contextlib.ExitStack() as stack:
        stack.enter_context(importable())
        try:
            cluster = stack.enter_context(kind(**spec.cluster_kwargs))
            if spec.adapt_kwargs is not None:
                cluster.adapt(**spec.adapt_kwargs)
            client = stack.enter_context(Client(cluster))
        except Exception as error:
            what = f"{spec.cluster_class} cannot be started ({type(error).__name__}: {error})"
            do = "correct cluster_kwargs, or run where its tools are"
            raise RequestError(what.splitlines()[0], where=spec.source, do=do) from error
        _await_one(client, spec)
        yield client


def _await_one(client: Client, spec: ClusterSpec) -> None:
    """An adaptive cluster starts no worker until there is work: so there is some."""
    logging.getLogger(__name__).info("waiting for the first worker of %s", spec.source)
    try:
        client.submit(_nothing, pure=False).result(timeout=spec.wait_seconds)
    except TimeoutError as error:
        what = f"no worker came within {spec.wait_seconds:.0f} s"
        do = "look at the cluster's queue, or raise wait_seconds"
        raise WorkError(what, where=spec.source, do=do) from error


def _nothing() -> None:
    """Work of no kind."""
