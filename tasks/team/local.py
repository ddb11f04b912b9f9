"""Workers of our own: Dask processes of this machine, on its loopback network alone.

Called by `tasks.team.opening`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, WorkerPlugin

from storage.home import own_folder

__all__ = ["be_quiet", "importable", "own_client"]

# Frames come and go by the thousand: memory that is given back after each costs a twentieth of the time.
_KEEPING = {
    "MALLOC_TRIM_THRESHOLD_": 2**28,
    "MALLOC_MMAP_THRESHOLD_": 2**25,
    "MALLOC_ARENA_MAX": 1,
    "MALLOC_TOP_PAD_": 2**26,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}


@contextlib.contextmanager
def own_client(workers: int) -> Iterator[Client]:
    be_quiet()
    # Dask sweeps this folder of what killed runs left, the next time it is used.
    scratch = own_folder() / "workers"
    with importable(), dask.config.set({"distributed.nanny.pre-spawn-environ": _KEEPING}):
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None would still take port 8787
            memory_limit=0,
            local_directory=str(scratch),
            silence_logs=logging.CRITICAL,
        )
        with cluster, Client(cluster) as client:
            if not os.environ.get("MEMDUB_TRACEBACK"):
                client.register_plugin(_Silence())
            yield client


class _Silence(WorkerPlugin):
    """MediaPipe and LiteRT write to standard error, which our workers share with the terminal."""

    def setup(self, worker: Any) -> None:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123  (a device, not a path of ours)
            os.dup2(nothing.fileno(), 2)


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Spawned workers import what they run, found where we did; not the program that spawned them."""
    with _found_here(), _main_left_out():
        yield


@contextlib.contextmanager
def _found_here() -> Iterator[None]:
    spec = importlib.util.find_spec("tasks")
    assert spec is not None
    assert spec.origin is not None
    root = str(Path(spec.origin).parents[1])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, before)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@contextlib.contextmanager
def _main_left_out() -> Iterator[None]:
    """Of a flow run, the program is all of Prefect: a second of every worker, for nothing."""
    told = vars(sys.modules["__main__"])
    kept: dict[str, Any] = {name: told.pop(name) for name in ("__spec__", "__file__") if name in told}
    told["__spec__"] = None
    try:
        yield
    finally:
        told.update(kept)


@functools.cache
def be_quiet() -> None:
    """Dask's loggers speak of its inner life: our errors are one line."""
    for name in ("distributed", "distributed.client", "distributed.worker", "asyncio", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if "distributed.nanny" in sys.modules:
        logging.getLogger("distributed.nanny").setLevel(logging.CRITICAL)
