"""Which deployments a home calls for, and what is noted of its server."""

from __future__ import annotations

import datetime as dt

import pytest

from flows import server
from flows.deployments import check_times, local_timezone, wanted
from storage.errors import RequestError
from storage.home import Home
from tests.helpers.footage import keep_consent

GENERAL = {
    ("evaluate", "any"),
    ("extract", "all"),
    ("ingest", "any"),
    ("refresh", "nightly"),
    ("remember", "any"),
}


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "configured", lambda: None)


def test_only_what_was_agreed_to(home: Home) -> None:
    root = home.path(".")
    assert wanted(home) == GENERAL
    keep_consent(root, "anna", '["ingest", "train", "dub"]')
    keep_consent(root, "bert", '["ingest", "train"]')
    keep_consent(root, "carl", '["ingest"]')
    keep_consent(root, "dora", '["dub"]', expires="2030-01-01")
    (root / "identities/emil").mkdir()
    (root / "identities/emil/consent.toml").write_text("not a record")
    personal = {("dub", "anna"), ("train", "anna"), ("train", "bert"), ("dub", "dora")}
    assert wanted(home, today=dt.date(2029, 12, 31)) == GENERAL | personal
    assert wanted(home, today=dt.date(2030, 1, 2)) == GENERAL | personal - {("dub", "dora")}


def test_times_are_looked_at_first() -> None:
    check_times("0 3 * * 1-5", "Europe/Berlin")
    check_times("@daily", None)
    for cron, zone in (("often", None), ("0 3 * *", None), ("0 3 * * *", "Berlin")):
        with pytest.raises(RequestError, match="is not understood"):
            check_times(cron, zone)
    check_times("0 3 * * *", local_timezone())


def test_a_home_names_its_server_while_it_is_served(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.path(".").mkdir()
    monkeypatch.setattr(server, "answers", lambda api: True)
    with pytest.raises(RequestError, match="no Prefect server is configured"):
        server.address(home)
    with server.noted(home, "http://127.0.0.1:1/api"):
        assert server.address(home) == "http://127.0.0.1:1/api"
    with pytest.raises(RequestError, match="memdub serve"):
        server.address(home)


def test_what_a_dead_process_noted_does_not_count(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.path(".").mkdir()
    with server.noted(home, "http://127.0.0.1:1/api"):
        monkeypatch.setattr("storage.leases.is_dead", lambda holder: True)
        with pytest.raises(RequestError, match="no Prefect server is configured"):
            server.address(home)


def test_a_server_that_does_not_answer(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "configured", lambda: "http://127.0.0.1:9/api")
    with pytest.raises(RequestError, match="no Prefect server answers; start it"):
        server.address(home)


def test_a_port_that_is_taken(home: Home) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        own = server.OwnServer(other.getsockname()[1], home.path("log"))
        with pytest.raises(RequestError, match="something else listens there; if that is a Prefect server"):
            own.start()
    own.stop()
