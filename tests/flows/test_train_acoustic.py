"""`memdub train-acoustic`, from nothing to weights that are used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from flows.cli.train_acoustic import train_acoustic as command
from flows.train_acoustic import train_acoustic
from models.acoustic import load
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.weights import Registry, open_safetensors


def test_smoke_makes_weights_that_the_home_uses(home: Home) -> None:
    done = CliRunner().invoke(command, ["--preset", "smoke", "--json"], catch_exceptions=False)
    (told,) = json.loads(done.stdout)["weights"]
    found = Registry(home.url).find("acoustic")
    assert (found.origin, str(found.path)) == ("user", told["file"])
    assert found.path.stat().st_size == told["bytes"]
    content = open_safetensors(found.path)
    assert json.loads(content.metadata["training"])["engines"] == ["espeak"]
    assert load(content.arrays, content.metadata)(np.zeros(3200, np.float32)).shape == (10, 29)
    (row,) = Ledger(home.objects).rows("runs").to_pylist()
    assert (row["flow"], row["status"]) == ("train_acoustic", "done")


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"preset": "huge"}, "no preset"),
        ({"hours": 0.0}, "hours"),
        ({"hours": float("nan")}, "hours"),
        ({"steps": 0}, "steps"),
        ({"output": Path("weights.pt")}, "suffix"),
    ],
)
def test_a_wrong_request_is_refused_before_work(home: Home, wrong: dict[str, object], line: str) -> None:
    with pytest.raises(RequestError, match=line):
        train_acoustic(**{"preset": "smoke", **wrong})  # type: ignore[arg-type]
    assert not Path(home.url).exists() or not list(Path(home.url).rglob("*.npz"))
