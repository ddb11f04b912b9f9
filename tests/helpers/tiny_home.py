"""What tests of training share: a person with features, the tiny method, and short ways to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from flows.cli.main import COMMANDS
from storage.home import Home
from storage.ledger import Ledger
from tests.flows.conftest import Shell
from tests.helpers import tiny_method
from tests.helpers.material_home import material_home

__all__ = ["TINY", "at", "known", "refused", "table", "trained"]

TINY = ("--method", "tiny", "--preset", "smoke", "--device", "cpu")


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tiny method, and the commands."""
    tiny_method.register()
    monkeypatch.setitem(COMMANDS, "train", "flows.cli.train")
    monkeypatch.setitem(COMMANDS, "import", "flows.cli.imports")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MEMDUB_HOME", str(tmp_path / "home"))
    return material_home(tmp_path / "home")


def trained(memdub: Shell, *more: object) -> list[dict]:
    assert memdub("train", "anna", *TINY, "--json", *more) == 0, memdub.err
    return json.loads(memdub.out)["checkpoints"]


def table(home: Home, name: str) -> list[dict]:
    return Ledger(home.objects).rows(name).to_pylist()


def refused(memdub: Shell, *words: object, line: str, status: int = 2) -> None:
    assert memdub(*words) == status, memdub.err
    assert memdub.err.count("\n") == 1, memdub.err
    assert line in memdub.err
    assert "; " in memdub.err, "the line does not say what to do"
