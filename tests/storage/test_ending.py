"""A process that has read a clip ends without a word, however busy the machine is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUSY = """
import time
import zarr
import zarr.core.sync as inside
{ours}
zarr.create_array(zarr.storage.MemoryStore(), shape=(4,), dtype="f4", chunks=(2,))[:] = 1
# Not a wait for anything: a thread that is busy for longer than Zarr waits is the fault itself.
inside.loop[0].call_soon_threadsafe(time.sleep, 0.5)
"""


def said(ours: str) -> str:
    command = [sys.executable, "-c", BUSY.format(ours=ours)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=True)
    return ended.stderr


def test_it_waits_for_zarrs_thread() -> None:
    assert said("import storage.clips") == ""


def test_whoever_never_used_zarr_ends_at_once() -> None:
    code = "import storage.clips.ending as e; e.let_finish()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120, check=True)
