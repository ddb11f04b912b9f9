"""Runs that `memdub serve` runs, while Prefect's server dies, and while they die themselves."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from flows.refresh import LEASE
from storage.home import Home
from storage.leases import hold, waiting_for
from storage.ledger import Ledger
from storage.media import probe
from storage.recipes import hash_file
from tasks.footage import IngestOptions
from tasks.ingest import _recipe
from tests.helpers.footage import film, keep_consent
from tests.helpers.raw_home import clips_of
from tests.helpers.serving import Serving, prefect, processes_of, serving, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
    pytest.mark.timeout(240),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("served")
    keep_consent(folder / "home")
    with serving(folder, folder / "home") as one:
        yield one


def asked_for(served: Serving, *videos: Path) -> str:
    """An ingest, in another terminal; its run."""
    words = [f"--param=videos={json.dumps([str(video) for video in videos])}", "--param=identity=anna"]
    told = prefect(served.terminal, "deployment", "run", "ingest/any", *words)
    return told.partition("UUID:")[2].split()[0]


def process_of(what: str) -> int:
    """The one process that has this in its command line or its environment, and is no reader of files."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ")
            told = words + (path.parent / "environ").read_bytes()
        except OSError:
            continue  # it ended as we looked
        if what.encode() in told and b"storage.media.apart" not in words:
            found.append(int(path.parent.name))
    (pid,) = found
    return pid


@contextmanager
def standing_still(served: Serving, video: Path) -> Iterator[None]:
    """Inside, whoever comes to this film waits, as we hold its lease."""
    home = Home(served.home)
    options = IngestOptions().effective(probe(video))
    name = _recipe(video, hash_file(video), "anna", options).id
    with hold(home.objects, name, 600):
        yield


def waits(served: Serving) -> bool:
    return bool(waiting_for(Home(served.home).objects))


def test_a_server_that_dies_in_the_middle_of_a_run_costs_nothing(served: Serving, tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4")
    with standing_still(served, video):
        run = asked_for(served, video)
        until(lambda: waits(served), "the run to come so far", 120)
        server = process_of(f"server start --host 127.0.0.1 --port {served.port}")
        os.kill(server, signal.SIGKILL)
        served.says("the Prefect server is gone; starting it again")
        until(lambda: answers(served), "the new server", 120)
    ended = served.ended(run)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    assert ended["run_count"] == 1, "it was begun again"
    assert clips_of(served.home) == ["a.mp4"]


def test_a_run_that_is_killed_is_seen_and_the_next_does_the_rest(served: Serving, tmp_path: Path) -> None:
    first, second = film(tmp_path / "b.mp4", seed=1), film(tmp_path / "c.mp4", seed=2)
    with standing_still(served, second):
        run = asked_for(served, first, second)
        until(lambda: waits(served), "the second film", 120)
        os.kill(process_of(f"PREFECT__FLOW_RUN_ID={run}"), signal.SIGKILL)
        assert served.ended(run)["state_type"] == "CRASHED"
    assert "c.mp4" not in clips_of(served.home)
    made = {row["id"]: row["started"] for row in artifacts(served)}
    again = served.ended(asked_for(served, first, second))
    assert again["state_type"] == "COMPLETED", again["state"]["message"]
    assert {"b.mp4", "c.mp4"} <= set(clips_of(served.home))
    after = {row["id"]: row["started"] for row in artifacts(served)}
    assert {name: after[name] for name in made} == made, "what was finished was done again"
    assert not list((served.home / ".work").iterdir())


@contextmanager
def refresh_under_way(served: Serving) -> Iterator[str]:
    """Inside, a refresh is RUNNING and waits, as we hold the home's lease; its run."""
    with hold(Home(served.home).objects, LEASE, 600):
        told = prefect(served.terminal, "deployment", "run", "refresh/nightly")
        run = told.partition("UUID:")[2].split()[0]
        until(lambda: waits(served), "the refresh to come so far", 120)
        yield run


def places_taken(served: Serving) -> int:
    """Of the one refresh that Prefect lets run at a time."""
    nightly = served.ask("deployments/name/refresh/nightly")
    return int(nightly["global_concurrency_limit"]["active_slots"])


def test_a_refresh_keeps_its_place_when_the_server_dies(served: Serving) -> None:
    """Its process renews its lease now and then, and is cancelled where the server knows that no more."""
    with refresh_under_way(served) as run:
        os.kill(process_of(f"server start --host 127.0.0.1 --port {served.port}"), signal.SIGKILL)
        served.says("the Prefect server is gone; starting it again")
        until(lambda: answers(served), "the new server", 120)
        lease = served.ask(f"flow_runs/{run}")["state"]["state_details"]["deployment_concurrency_lease_id"]
        renew = Request(
            f"{served.url}/api/v2/concurrency_limits/leases/{lease}/renew",
            b'{"lease_duration": 300}',
            {"content-type": "application/json"},
        )
        with urlopen(renew, timeout=60) as reply:
            assert reply.status == 204
    assert served.ended(run)["state_type"] == "COMPLETED"
    assert places_taken(served) == 0


def test_a_refresh_that_died_with_serve_frees_its_place(tmp_path: Path) -> None:
    keep_consent(tmp_path / "home")
    with serving(tmp_path, tmp_path / "home") as served, refresh_under_way(served) as run:
        assert served.stop(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: not processes_of(tmp_path), "the end of server and run", 120)
    with serving(tmp_path, tmp_path / "home") as served:
        died = served.ask(f"flow_runs/{run}")
        assert died["state_type"] == "CRASHED"
        assert "`memdub serve` was killed" in died["state"]["message"]
        assert places_taken(served) == 0
        assert served.run("refresh/nightly")["state_type"] == "COMPLETED"


def artifacts(served: Serving) -> list[dict[str, object]]:
    return Ledger(Home(served.home).objects).rows("artifacts").to_pylist()


def answers(served: Serving) -> bool:
    try:
        return bool(served.ask("health"))
    except OSError:
        return False
