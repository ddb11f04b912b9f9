"""Trainings in another work pool: how they end, and what is asked of the pool."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType

from flows import pools
from flows.engine import passes
from storage.errors import WorkError
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
