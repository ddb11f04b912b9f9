"""Training by several processes of this machine, one a GPU: torchrun starts them.

What they run is the very command that a bare machine would run; state and checkpoint lie in its folder.
Private to `tasks.training`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import models
from models.train import CHECKPOINT
from models.training.engine import Paused
from models.training.state import reached
from storage.errors import WorkError

__all__ = ["train_shared"]

COMMAND = ("-m", "models.train")


def train_shared(
    bundle: Path,
    folder: Path,
    processes: int,
    device: str,
    limit_seconds: float | None,
    tell: Callable[[str], None],
) -> None:
    """Returns when the checkpoint is in the folder; raises Paused, or WorkError with the last line said."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [sys.executable, *launch, *COMMAND, str(bundle), "-o", str(folder), "--device", device]
    if limit_seconds is not None:
        words += ["--limit-minutes", str(limit_seconds / 60)]
    root = str(Path(models.__path__[0]).parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(_threads(processes))}
    last = ""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            last = _heard(line.rstrip(), last, tell)
    if (folder / CHECKPOINT).exists():
        return
    if running.returncode == 0:
        raise Paused(*reached(folder))
    do = "correct that, or train with one process"
    raise WorkError(f"training by {processes} processes failed: {last or 'nothing was said'}", do=do)


def _heard(line: str, last: str, tell: Callable[[str], None]) -> str:
    """Passes on what was said, but not torchrun's pages about processes that failed."""
    if line.startswith("error: "):
        return line.removeprefix("error: ")
    if line.startswith(("step ", "goes on", "damaged", "no whole")):
        tell(line)
    return last


def _threads(processes: int) -> int:
    return max(1, (os.cpu_count() or 1) // processes)
