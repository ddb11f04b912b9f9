"""A Dask scheduler with one worker in a process of its own, for tests that kill it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["own_scheduler"]

_PROGRAM = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def own_scheduler(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """The process, which ends with its standard input, and its address; `folder` takes the program."""
    script = folder / "scheduler.py"
    script.write_text(_PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()
