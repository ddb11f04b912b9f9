"""`memdub serve` as a team uses it: a real server, real runs, asked for from another terminal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storage.home import Home
from storage.ledger import Ledger
from tests.helpers.footage import film, keep_consent
from tests.helpers.serving import ROOT, Serving, environment_of, prefect, processes_of, serving, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
    pytest.mark.timeout(900),
]

GENERAL = {"evaluate/any", "extract/all", "ingest/any", "refresh/nightly", "remember/any"}


def command(served: Serving, *words: str) -> subprocess.CompletedProcess[str]:
    """`memdub` in another terminal, which knows no server."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *words],
        env=served.environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        cwd=ROOT,
    )


def test_who_consents_has_deployments(served: Serving) -> None:
    assert served.deployments() >= {*GENERAL, "dub/anna", "train/anna"}
    nightly = served.ask("deployments/name/refresh/nightly")
    (schedule,) = nightly["schedules"]
    assert schedule["schedule"]["cron"] == "30 4 * * *"
    assert schedule["schedule"]["timezone"] == "Europe/Berlin"
    assert schedule["active"]
    dub = served.ask("deployments/name/dub/anna")
    assert dub["parameters"] == {"identity": "anna", "home": str(served.home)}


def test_the_schedule_is_kept(served: Serving) -> None:
    nightly = served.ask("deployments/name/refresh/nightly")
    asked = {
        "deployments": {"id": {"any_": [nightly["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    ahead = until(lambda: served.ask("flow_runs/filter", asked), "runs of the nights to come")
    assert all(run["auto_scheduled"] for run in ahead)
    assert {run["expected_start_time"][14:16] for run in ahead} == {"30"}


def test_new_people_appear_and_those_who_withdraw_go(served: Serving) -> None:
    keep_consent(served.home, "bert", scope='["ingest", "dub"]')
    served.says("new: dub/bert")
    assert "dub/bert" in served.deployments()
    assert "train/bert" not in served.deployments()
    keep_consent(served.home, "bert", scope='["ingest", "dub"]', expires="2020-02-02")
    served.says("dub/bert is gone")
    assert "dub/bert" not in served.deployments()
    shutil.rmtree(served.home / "identities/bert")


def test_a_run_asked_for_elsewhere_makes_the_film(served: Serving, dubbed_run: dict[str, Any]) -> None:
    assert dubbed_run["state_type"] == "COMPLETED", dubbed_run["state"]["message"]
    assert dubbed_run["name"] == "dub anna <- good morning.wav"
    (made,) = (served.home / "out").glob("anna-good_morning-*.mp4")
    assert made.stat().st_size > 10_000
    runs = Ledger(Home(served.home).objects).rows("runs").to_pylist()
    assert {run["flow"] for run in runs if run["flow_run_id"] == dubbed_run["id"]} >= {
        "dub",
        "train",
        "extract",
    }


def shown(served: Serving, run: dict[str, Any]) -> dict[str, Any]:
    asked = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
    return {one["key"]: one for one in served.ask("artifacts/filter", asked) if one["key"]}


def test_the_run_shows_pictures_and_progress(served: Serving, dubbed_run: dict[str, Any]) -> None:
    there = shown(served, dubbed_run)
    page = there["dub-anna"]["data"]
    assert page.startswith("# anna says good morning.wav")
    assert "data:image/jpeg;base64," in page
    assert "data:image/png;base64," in page
    assert "signature | holds" in page
    assert "memdub verify " in page
    assert len(page) < 100_000, "the server's database is no place for large pictures"
    assert "good_morning" in there["film-anna"]["data"]
    progress = [one for one in there.values() if one["type"] == "progress"]
    assert progress
    assert all(one["data"] == 100 for one in progress), progress


def test_assets_are_told_with_what_they_were_made_of(served: Serving, dubbed_run: dict[str, Any]) -> None:
    asked = {"event": {"prefix": ["prefect.asset.materialization.succeeded"]}}
    rows = {row["id"]: row for row in Ledger(Home(served.home).objects).rows("artifacts").to_pylist()}
    dub = next(row for row in rows.values() if row["kind"] == "dub")

    def told() -> Any:
        events = served.ask("events/filter", {"filter": asked, "limit": 50})["events"]
        found = {event["resource"]["prefect.resource.name"]: event for event in events}
        return found if dub["id"] in found else None

    found = until(told, "the event of the dub", 120)
    assert {rows[name]["kind"] for name in found} >= {"features", "memory", "checkpoint", "dub"}
    event = found[dub["id"]]
    assert event["resource"]["prefect.resource.id"] == f"file://{served.home}/{dub['uri']}"
    parents = {one["prefect.resource.id"] for one in event["related"]}
    for name in json.loads(dub["recipe"])["inputs"].values():
        assert f"file://{served.home}/{rows[name]['uri']}" in parents
    assert event["payload"]["content_hash"] == dub["content_hash"]


def test_the_same_again_is_found_and_told_so(served: Serving, dubbed_run: dict[str, Any]) -> None:
    again = served.run("dub/anna", preset="smoke")
    assert "it was there already" in shown(served, again)["dub-anna"]["data"]
    assert len(list((served.home / "out").glob("anna-good_morning-*.mp4"))) == 1


def test_a_wrong_request_is_not_tried_again(served: Serving) -> None:
    run = served.run("dub/anna", audio="/nowhere/at all.wav")
    assert run["state_type"] == "FAILED"
    assert run["run_count"] == 1
    assert "MediaError" in run["state"]["message"] or "RequestError" in run["state"]["message"]
    assert "/nowhere/at all.wav" in run["state"]["message"]


def test_a_terminal_that_knows_no_server_reaches_the_same(served: Serving, tmp_path: Path) -> None:
    """Without PREFECT_API_URL Prefect's command opens the same database by itself."""
    video = film(tmp_path / "of anna.mp4")
    words = [f"--param=videos={json.dumps([str(video)])}", "--param=identity=anna"]
    told = prefect(served.environment, "deployment", "run", "ingest/any", *words)
    run = served.ended(told.partition("UUID:")[2].split()[0])
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert run["name"] == "ingest anna <- of anna.mp4"
    (row,) = json.loads(shown(served, run)["clips-anna"]["data"])
    assert row["source"] == "of anna.mp4"
    assert row["state"] == "new"


def test_one_serves_a_home(served: Serving) -> None:
    done = command(served, "serve", "--port", "1")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"`memdub serve` runs already, as process {served.process.pid}" in done.stderr


def test_another_home_on_the_same_server_is_refused(served: Serving, tmp_path: Path) -> None:
    keep_consent(tmp_path / "other")
    env = {**served.terminal, "MEMDUB_HOME": str(tmp_path / "other")}
    words = [sys.executable, "-m", "flows.cli", "serve"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=400, check=False, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert f"this Prefect server serves {served.home}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("pool", "line"),
    [("nowhere", "no such work pool; there are idle; `prefect work-pool create"), ("idle", "no worker of")],
)
def test_pools_that_cannot_train(served: Serving, pool: str, line: str) -> None:
    if "idle" not in {one["name"] for one in served.ask("work_pools/filter", {})}:
        prefect(served.terminal, "work-pool", "create", "--type", "process", "idle")
    done = command(served, "train", "anna", "--preset", "smoke", "--where", pool)
    assert done.returncode == 2
    assert f"--where {pool}: {line}" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_another_pool_trains(served: Serving, dubbed_run: dict[str, Any]) -> None:
    """The command finds the server by the home, sends the training, and goes on with what it made."""
    prefect(served.terminal, "work-pool", "create", "--type", "process", "side")
    words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "side"]
    with subprocess.Popen(
        words, env=served.terminal, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as worker:
        try:
            until(lambda: served.ask("work_pools/side/workers/filter", {}), "the worker")
            done = command(
                served, "train", "anna", "--preset", "smoke", "--seed", "7", "--where", "side", "--json"
            )
        finally:
            worker.terminate()
    assert done.returncode == 0, done.stderr
    assert "side: completed" in done.stderr
    made = json.loads(done.stdout)["checkpoints"]
    assert made
    assert all(one["reused"] for one in made)
    runs = served.ask("flow_runs/filter", {"flow_runs": {"name": {"any_": ["train anna memface smoke"]}}})
    assert [run["work_pool_name"] for run in runs] == ["side"]


def test_a_server_that_dies_is_started_again(served: Serving, dubbed_run: dict[str, Any]) -> None:
    (server,) = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"server start --host 127.0.0.1 --port {served.port}" in _words(path)
    ]
    os.kill(server, signal.SIGKILL)
    served.says("starting it again")
    until(lambda: _answers(served), "the new server", 300)
    assert "dub/anna" in served.deployments()
    run = served.run("remember/any", identity="anna")
    assert run["state_type"] == "COMPLETED", run["state"]["message"]


def _words(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _answers(served: Serving) -> bool:
    try:
        return bool(served.ask("health"))
    except OSError:
        return False


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    """No process works on, the run says that it was ended, and the home does not name a server any more."""
    home = tmp_path / "home"
    keep_consent(home)
    video = film(tmp_path / "long.mp4", seconds=90, size=(320, 240))
    with serving(tmp_path, home) as served:
        words = [f"--param=videos={json.dumps([str(video)])}", "--param=identity=anna"]
        told = prefect(served.terminal, "deployment", "run", "ingest/any", *words)
        run = told.partition("UUID:")[2].split()[0]
        until(lambda: served.ask(f"flow_runs/{run}")["state_type"] == "RUNNING", "the run's begin")
        assert len(processes_of(tmp_path)) >= 3
        assert served.stop() == 0
        until(lambda: not processes_of(tmp_path), "the end of the run", 120)
    with sqlite3.connect(tmp_path / "prefect/prefect.db") as database:
        ((state,),) = database.execute("select state_type from flow_run where id like ?", [f"{run[:8]}%"])
    assert state in ("CANCELLED", "CANCELLING", "CRASHED")
    assert not (home / ".serve/server.json").exists()
    assert not list((home / ".leases").glob("serve*.json"))


def test_a_serve_that_is_killed_leaves_no_server(tmp_path: Path) -> None:
    with serving(tmp_path, tmp_path / "home") as served:
        assert len(processes_of(tmp_path)) == 2
        assert served.stop(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: not processes_of(tmp_path), "the end of the server", 120)


@pytest.mark.parametrize(
    ("words", "environment", "line"),
    [
        (["--cron", "at night"], {}, "--cron 'at night': is not understood"),
        (["--timezone", "Mars/Base"], {}, "--timezone 'Mars/Base': is not understood"),
        (
            [],
            {"PREFECT_API_URL": "http://127.0.0.1:9/api"},
            "http://127.0.0.1:9/api: no Prefect server answers",
        ),
    ],
)
def test_what_cannot_be_served(
    tmp_path: Path, words: list[str], environment: dict[str, str], line: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "serve", *words],
        env={**environment_of(tmp_path, tmp_path / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2, done.stderr
    assert line in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
