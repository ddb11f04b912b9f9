"""A disk that is full in the middle: a real one, of a few megabytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.artifacts import check_whole, find
from storage.home import Home
from storage.ledger import Ledger
from tests.flows.test_refresh_faults import command, outcome

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small tmpfs needs root"
)

Resize = Callable[[int], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Resize]]:
    """A small disk, and a way to change its size in bytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", place], check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")

    def resize(size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)

    yield place, resize
    subprocess.run(["umount", place], check=True)


def used(place: Path) -> int:
    told = os.statvfs(place)
    return (told.f_blocks - told.f_bfree) * told.f_frsize


def test_a_refresh_on_a_full_disk_goes_on_when_there_is_room(
    changed: Path, undisturbed: dict[str, Any], disk: tuple[Path, Resize]
) -> None:
    place, resize = disk
    home = Path(shutil.copytree(changed, place / "home"))
    ended, before = [], len(outcome(home)["artifacts"])
    for more in (0, 24_000, 60_000, 220_000):
        resize(used(place) + more)
        process = command(home, "refresh")
        _, said = process.communicate()
        line = said.splitlines()[-1]
        assert process.returncode == 2, said
        assert "Traceback" not in said
        assert "free some space" in line, said
        ended.append(len(outcome(home)["artifacts"]))
        assert not list(home.glob(".work/*clip-*")), "the part of a clip takes the room that is missing"
    assert ended[-1] < len(undisturbed["artifacts"]), "it was not full in the middle"
    assert ended == sorted(ended), "something that was committed is gone"
    assert ended[-1] > before, "it was full at the beginning only"
    ledger = Ledger(Home(home).objects)
    for name, _ in outcome(home)["artifacts"]:
        artifact = find(ledger, name)
        assert artifact is not None
        check_whole(Home(home), artifact, read_all=True)
    resize(64 * 2**20)
    process = command(home, "refresh")
    assert process.wait() in (0, 1), process.communicate()  # the bad file may have been put aside by now
    assert outcome(home) == undisturbed
