"""`infra/prefect.yaml`: what it names can be imported, and a real server takes all of it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from flows.deployable import FLOWS
from flows.server import OwnServer
from tests.helpers.serving import ROOT, environment_of, free_port, prefect

FILE = ROOT / "infra/prefect.yaml"
POOLS = {"cpu": "process", "gpu": "process", "docker": "docker", "kubernetes": "kubernetes"}


def deployments() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["deployments"]
    return found


def test_every_entrypoint_is_a_flow() -> None:
    named = set()
    for one in deployments():
        module, _, name = one["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), name)
        named.add(flow.name)
        assert set(one.get("parameters", {})) <= set(flow.parameters.properties), one
    assert named == set(FLOWS)


def test_every_kind_of_pool_has_every_flow() -> None:
    for pool in ("cpu", "docker", "kubernetes"):
        flows = {
            one["entrypoint"].rpartition(".")[2] for one in deployments() if one["work_pool"]["name"] == pool
        }
        assert flows == set(FLOWS), pool


def test_names_are_used_once() -> None:
    names = [(one["entrypoint"], one["name"]) for one in deployments()]
    assert len(names) == len(set(names))


def test_a_real_server_takes_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = OwnServer(free_port(), tmp_path / "server.log")
    environment = environment_of(tmp_path, tmp_path / "home", server.api) | {"MEMDUB_IMAGE": "memdub:cpu"}
    for name in ("PREFECT_HOME",):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    try:
        server.start()
        server.wait()
        for pool, kind in POOLS.items():
            asked(server, "work_pools/", {"name": pool, "type": kind})
        prefect(environment, "deploy", "--all", "--prefect-file", str(FILE.relative_to(ROOT)))
        there = asked(server, "deployments/filter", {"limit": 200})
    finally:
        server.stop()
    assert {(one["entrypoint"], one["name"], one["work_pool_name"]) for one in there} == {
        (one["entrypoint"], one["name"], one["work_pool"]["name"]) for one in deployments()
    }
    (nightly,) = [one for one in there if one["name"] == "nightly"]
    assert [one["schedule"]["timezone"] for one in nightly["schedules"]] == ["Europe/Berlin"]
    assert nightly["global_concurrency_limit"]["limit"] == 1
    assert nightly["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    (docker,) = [
        one for one in there if one["name"] == "docker" and one["entrypoint"] == "flows.deployable.dub"
    ]
    assert docker["job_variables"]["image"] == "memdub:cpu"
    assert docker["job_variables"]["env"]["MEMDUB_HOME"] == str(tmp_path / "home")


def asked(server: OwnServer, path: str, content: Any) -> Any:
    request = Request(
        f"{server.api}/{path}", json.dumps(content).encode(), {"content-type": "application/json"}
    )
    with urlopen(request, timeout=60) as reply:
        return json.load(reply)
