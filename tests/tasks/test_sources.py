"""Looking at footage that somebody writes harms neither the writer nor us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks import sources

ROOT = Path(__file__).parents[2]
# Somebody opens the file to write it just while the kernel is asked whether anybody does.
RACE = """
import fcntl, os, sys
from tasks import sources
ask, path = fcntl.fcntl, sys.argv[1]
def race(handle, what, value):
    ask(handle, what, value)
    if (what, value) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
        try:
            os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("met")
sources.fcntl.fcntl = race
print(sources._is_open(path))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
def test_who_begins_to_write_as_we_look_does_not_kill_us(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"a")
    done = subprocess.run(
        [sys.executable, "-c", RACE, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if "met" not in done.stdout:
        pytest.skip("this file system has no leases")


def test_where_there_are_no_leases_nobody_is_said_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sources.fcntl, "F_SETLEASE", raising=False)
    path = tmp_path / "a.mp4"
    with path.open("wb"):
        assert not sources._is_open(str(path))
