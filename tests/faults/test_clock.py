"""The machine's clock is set back by a day: in the middle of a refresh, and between two."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.failures import standing
from storage.home import Home
from storage.ledger import Ledger
from tests.flows.test_refresh_faults import command, outcome
from tests.helpers.footage import film
from tests.helpers.raw_home import table
from tests.helpers.serving import until
from tests.helpers.wrong_clock import environment, set_back

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="replaces the C library's clock")

DAY = 86400


@pytest.fixture
def home(changed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(changed, tmp_path / "home"))


def test_the_clock_of_the_tests_is_set_back(tmp_path: Path) -> None:
    told = environment(tmp_path / "clock")
    set_back(tmp_path / "clock", DAY)
    code = "import datetime, time; print(time.time(), datetime.datetime.now().timestamp(), time.monotonic())"
    asked = [sys.executable, "-c", code]
    done = subprocess.run(asked, env={**os.environ, **told}, capture_output=True, text=True, check=True)
    now, today, steady = map(float, done.stdout.split())
    assert abs(now + DAY - time.time()) < 3600
    assert abs(today - now) < 3600
    assert abs(steady - time.monotonic()) < 3600


def test_set_back_in_the_middle_the_lease_holds_and_the_end_is_the_same(
    home: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    clock, pipe = tmp_path / "clock", tmp_path / "go"
    os.mkfifo(pipe)
    quick = {"MEMDUB_LEASE_SECONDS": "1"}
    first = command(home, "refresh", "--json", HALT_AT=f"extract:1:{pipe}", **quick, **environment(clock))
    with pipe.open("w") as go:  # opens as the first one stands still
        set_back(clock, DAY)
        second = command(home, "refresh", "--json", **quick)
        assert second.stderr is not None
        assert second.stderr.readline().startswith(f"waiting for process {first.pid} on ")
        beats: set[float] = set()
        until(lambda: beats.add(_beat(home)) or len(beats) > 5, "beats for longer than the lease")
        assert min(beats) < time.time() - DAY / 2, "its clock was not set back"
        assert second.poll() is None, "a lease was taken from somebody who lives"
        go.write("go")
    did, found = json.loads(first.communicate()[0]), json.loads(second.communicate()[0])
    assert [len(did[kind]) for kind in ("clips", "features")] == [3, 2]
    assert [len(found[kind]) for kind in ("clips", "features", "files")] == [0, 0, 0]
    assert outcome(home) == undisturbed


def _beat(home: Path) -> float:
    (lease,) = home.glob(".leases/refresh*.json")
    return float(json.loads(lease.read_text())["at"])


def test_set_back_between_two_no_change_is_missed_and_nothing_done_twice(home: Path, tmp_path: Path) -> None:
    command(home, "refresh").wait()
    bad, other = home / "raw" / "anna" / "bad.mp4", home / "raw" / "anna" / "0.mp4"
    wrong = environment(tmp_path / "clock")
    set_back(tmp_path / "clock", DAY)
    idle = command(home, "refresh", "--json", **wrong)
    assert json.loads(idle.communicate()[0])["files"] == []
    film(bad, seed=50)
    size = other.stat().st_size
    film(other, seed=51)
    os.truncate(other, max(size, other.stat().st_size))
    for file in (bad, other):
        os.utime(file, (time.time() - 2 * DAY,) * 2)
    did = command(home, "refresh", "--json", **wrong)
    files = {one["path"]: one["became"] for one in json.loads(did.communicate()[0])["files"]}
    assert set(files) == {"bad.mp4", "0.mp4"}
    before = outcome(home)
    for how in (wrong, {}):
        again = command(home, "refresh", "--json", **how)
        told = json.loads(again.communicate()[0])
        assert (told["files"], told["clips"], told["features"]) == ([], [], [])
    assert outcome(home) == before
    # Only by its time does the ledger know that the failure came first: somebody looks, and it is over.
    retried = command(home, "retry", "--failed")
    assert retried.wait() == 0, retried.communicate()
    assert standing(Ledger(Home(home).objects)) == []
    assert len({row["id"] for row in table(home, "artifacts")}) == len(before["artifacts"])
