"""What the Prefect UI shows before a run: forms with help, choices, and names that say what a run does."""

from __future__ import annotations

import inspect
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest
from prefect.utilities.callables import parameter_schema

from flows import deployable
from models.methods import METHODS
from storage.errors import MediaError, RequestError
from storage.home import Home
from tasks.chain import SPEECH, TRACKERS, ExtractOptions
from tasks.training import PRESETS
from tests.helpers.footage import keep_consent
from tests.helpers.painted import wav


@pytest.mark.parametrize("name", deployable.FLOWS)
def test_every_field_has_help(name: str) -> None:
    flow = deployable.FLOWS[name]
    fields = parameter_schema(flow.fn).model_dump()["properties"]
    assert set(fields) == set(inspect.signature(flow.fn).parameters)
    assert [field for field, told in fields.items() if not told.get("description")] == []
    assert flow.description


def test_choices_are_those_that_there_are() -> None:
    ours = {name for name, where in METHODS.items() if where.startswith("models.")}  # tests have theirs
    assert set(get_args(deployable.Method)) == ours
    assert get_args(deployable.Preset) == PRESETS
    form = parameter_schema(deployable.extract.fn).model_dump()["properties"]
    assert form["speech"]["enum"] == list(SPEECH)
    assert form["tracker"]["enum"] == list(TRACKERS)
    form = parameter_schema(deployable.dub.fn).model_dump()["properties"]
    assert form["method"]["enum"] == list(get_args(deployable.Method))
    assert form["preset"]["enum"] == list(get_args(deployable.Preset))
    assert form["lossless"]["type"] == "boolean"
    assert {"type": "null"} in form["audio"]["anyOf"]


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("ingest", {"identity": "anna"}, "ingest anna <- raw"),
        ("ingest", {"identity": "anna", "videos": ["/x/a b.mp4"]}, "ingest anna <- a b.mp4"),
        ("ingest", {"identity": "anna", "videos": ["a", "b"]}, "ingest anna <- 2 files"),
        ("extract", {}, "extract everyone"),
        ("extract", {"identities": ["anna", "bert"]}, "extract anna, bert"),
        ("train", {"identity": "anna", "method": "memface", "preset": "gpu"}, "train anna memface gpu"),
        (
            "train",
            {"identity": "anna", "method": "memface", "preset": "gpu", "where": "cards"},
            "train anna memface gpu in cards",
        ),
        ("dub", {"identity": "anna", "audio": Path("/x/speech.wav")}, "dub anna <- speech.wav"),
        ("evaluate", {"identity": "anna"}, "evaluate anna nearest, memface"),
        ("evaluate", {"identity": "anna", "methods": ["nearest"]}, "evaluate anna nearest"),
        ("refresh", {"dry_run": True}, "refresh everyone (dry run)"),
    ],
)
def test_names_of_runs(monkeypatch: pytest.MonkeyPatch, name: str, given: dict[str, Any], told: str) -> None:
    monkeypatch.setattr(deployable, "_asked", given.get)
    assert deployable.FLOWS[name].flow_run_name() == told


def test_a_run_may_be_asked_for_all_that_the_command_may(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def ask(*_: object, **told: Any) -> Any:
        asked.update(told)
        raise MediaError("that it was asked is what matters here")

    monkeypatch.setattr("flows.ingest.ingest", ask)
    monkeypatch.setattr("flows.extract.extract", ask)
    with pytest.raises(MediaError):
        deployable.ingest.fn("anna", fps="30000/1001")
    assert asked["rate"] == Fraction(30000, 1001)
    with pytest.raises(RequestError, match="--fps often: not a frame rate"):
        deployable.ingest.fn("anna", fps="often")
    with pytest.raises(MediaError):
        deployable.extract.fn(["anna"], tracker="task", face="right", model="ict:a", offset=3.0)
    assert asked["options"] == ExtractOptions("embedded", "task", "right", "ict:a", 3.0)


def test_a_dub_without_a_speech_is_named_after_the_newest(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_consent(home.path("."))
    monkeypatch.setattr(deployable, "_asked", {"identity": "anna", "home": home.url}.get)
    assert deployable.FLOWS["dub"].flow_run_name() == "dub anna <- newest speech"
    folder = home.path("raw/anna/speech")
    folder.mkdir(parents=True)
    wav(folder / "one.wav", 0.1)
    assert deployable.FLOWS["dub"].flow_run_name() == "dub anna <- one.wav"
