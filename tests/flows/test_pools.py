"""Trainings in another work pool: how they end, and what is asked of the pool."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from flows import pools
from flows.engine import passes
from flows.serve import ServeOptions, _Serving
from flows.server import understood
from storage.errors import MemdubError, RequestError, WorkError
from storage.home import Home
from tasks.team.workers import ours


class Client:
    """A server on which a run is in one state after the other."""

    def __init__(self, *states: StateType | Exception) -> None:
        self.states = list(states)

    def read_flow_run(self, _: str) -> Any:
        state = self.states.pop(0)
        if isinstance(state, Exception):
            raise state
        return SimpleNamespace(state=State(type=state, message="somebody said why"))


@pytest.mark.parametrize(
    ("end", "again"),
    [(StateType.CANCELLED, False), (StateType.FAILED, False), (StateType.CRASHED, True)],
)
def test_what_was_ended_on_purpose_is_not_sent_again(
    end: StateType, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_ASK_SECONDS", 0.0)
    run: Any = SimpleNamespace(id="a-run")
    client: Any = Client(StateType.RUNNING, end)
    told: list[str] = []
    with pytest.raises(
        WorkError, match="somebody said why; `prefect flow-run logs a-run` says more"
    ) as caught:
        pools._wait(client, run, "gpu", told.append)
    assert passes(caught.value) is again
    assert told == ["gpu: running", f"gpu: {end.value.lower()}"]


@pytest.mark.parametrize(("error", "again"), [(KeyError("x"), False), (ConnectionResetError("x"), True)])
def test_a_mistake_of_ours_is_not_tried_again_by_workers(error: Exception, again: bool) -> None:
    assert passes(ours(error)) is again


def answered(code: int) -> PrefectHTTPStatusError:
    request = httpx.Request("GET", "http://127.0.0.1:4200/api/work_pools")
    return PrefectHTTPStatusError("no", request=request, response=httpx.Response(code, request=request))


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (answered(401), RequestError, "where: the Prefect server wants to know who asks; set PREFECT_API"),
        (answered(403), RequestError, "wants to know who asks"),
        (answered(404), RequestError, "the Prefect server answers 404 Not Found; see that its version"),
        (answered(500), WorkError, "the Prefect server answers 500 Internal Server Error"),
        (httpx.ConnectError("refused"), WorkError, "does not answer (ConnectError)"),
        (httpx.ReadTimeout("slow"), WorkError, "does not answer (ReadTimeout)"),
        (ObjectNotFound(Exception("x")), RequestError, "the Prefect server refuses"),
    ],
)
def test_what_prefect_raises_is_an_error_of_ours(
    error: Exception, kind: type[MemdubError], line: str
) -> None:
    with pytest.raises(MemdubError) as caught, understood("where"):
        raise error
    assert type(caught.value) is kind
    assert line in str(caught.value)


def test_a_server_that_is_away_for_long_may_come_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_ASK_SECONDS", 0.0)
    monkeypatch.setattr(pools, "in_prefect", lambda: True)
    run: Any = SimpleNamespace(id="a-run")
    client: Any = Client(StateType.RUNNING, httpx.ConnectError("refused"))
    line = "--where gpu: the Prefect server does not answer"
    with pytest.raises(WorkError, match=line) as caught, pools._connected(home, "gpu"):
        pools._wait(client, run, "gpu", lambda line: None)
    assert passes(caught.value)


def serving(home: Home, *failures: Exception) -> list[str]:
    """What `memdub serve` says while Prefect's runner fails so, and then works."""
    said: list[str] = []
    left = list(failures)
    one = _Serving(home, ServeOptions(), None, "http://127.0.0.1:4200/api", said.append)

    class Deployments:
        async def look(self) -> None:
            pass

        async def start_due(self) -> None:
            if left:
                raise left.pop(0)
            one._stop()

    served: Any = Deployments()
    asyncio.run(one._until_stopped(served))
    return said


def test_serving_goes_on_while_prefect_is_away_and_ends_at_a_mistake_of_ours(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.serve._LOOK_SECONDS", 0.0)
    said = serving(home, httpx.ConnectError("refused"), answered(503), OSError("the home is away"))
    assert ["trying on" in line for line in said] == [True, True, True, False]
    with pytest.raises(AttributeError):
        serving(home, AttributeError("a private name of Prefect is gone"))
