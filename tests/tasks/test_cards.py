"""One training a card, whoever starts it: with real processes, and cards that a test makes up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from storage.errors import RequestError
from tasks import cards, training
from tasks.training import check_device

SPAWN = multiprocessing.get_context("spawn")


def made_up(folder: Path, number: int) -> None:
    """As if this machine had so many cards."""
    cards.count = lambda: number
    cards._file_of = lambda card: folder / f"card-{card}.lock"
    cards._LOOK_SECONDS = 0.01


def holder(folder: Path, number: int, device: str, processes: int, pipe: Connection) -> None:
    made_up(folder, number)
    with cards.held(device, processes, lambda line: pipe.send(line)) as got:
        pipe.send(got)
        pipe.recv()
    pipe.send("let go")


@pytest.fixture
def _two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("count", "_file_of", "_LOOK_SECONDS"):
        monkeypatch.setattr(cards, name, getattr(cards, name))
    made_up(tmp_path, 2)


class Other:
    """Another process that trains."""

    def __init__(self, folder: Path, device: str = "auto", processes: int = 1) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=holder, args=(folder, 2, device, processes, theirs))
        self.process.start()
        theirs.close()

    def says(self) -> str:
        assert self.pipe.poll(60)
        return str(self.pipe.recv())


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    one = Other(tmp_path)
    yield one
    one.process.kill()
    one.process.join()


def quiet(line: str) -> None:
    raise AssertionError(f"it waits: {line}")


def test_where_there_is_no_card_nothing_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "count", lambda: 0)
    with cards.held("auto", 1, quiet) as device:
        assert device == "auto"


@pytest.mark.usefixtures("_two")
def test_a_training_on_the_processor_takes_no_card(other: Other) -> None:
    assert cards.needed("cpu") == 0
    with cards.held("cpu", 1, quiet) as device:
        assert device == "cpu"


@pytest.mark.usefixtures("_two")
def test_two_trainings_take_two_cards(other: Other) -> None:
    assert other.says() == "cuda:0"
    with cards.held("auto", 1, quiet) as device:
        assert device == "cuda:1"
    with cards.held("cuda:1", 1, quiet) as device:
        assert device == "cuda:1", "it was let go"


@pytest.mark.usefixtures("_two")
def test_who_wants_a_taken_card_waits_for_whom_it_is_told(other: Other) -> None:
    assert other.says() == "cuda:0"
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        other.pipe.send("enough")

    with cards.held("cuda:0", 1, tell) as device:
        assert device == "cuda:0"
    assert told == [f"waiting for a graphics card: process {other.process.pid} trains on it"]


@pytest.mark.usefixtures("_two")
def test_a_killed_training_holds_nothing(other: Other) -> None:
    assert other.says() == "cuda:0"
    with cards.held("cuda:0", 1, lambda _: os.kill(other.process.pid or 0, signal.SIGKILL)) as device:
        assert device == "cuda:0"


@pytest.mark.usefixtures("_two")
def test_several_processes_take_all_their_cards(other: Other, tmp_path: Path) -> None:
    assert other.says() == "cuda:0"
    waits = threading.Event()
    got: list[str] = []

    def train() -> None:
        with cards.held("auto", 2, lambda _: waits.set()) as device:
            got.append(device)

    thread = threading.Thread(target=train)
    thread.start()
    assert waits.wait(60)
    assert got == []
    other.pipe.send("enough")
    thread.join(60)
    assert got == ["auto"]


@pytest.mark.usefixtures("_two")
def test_a_card_that_another_user_trained_on_is_free_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fs.protected_regular, as most systems have it, nobody may "create" another's file in /tmp."""
    given = os.open

    def protected(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT and Path(path).exists():
            raise FileExistsError if flags & os.O_EXCL else PermissionError(13, "Permission denied")
        return given(path, flags, *mode)

    with cards.held("cuda:0", 1, quiet):
        pass
    monkeypatch.setattr(os, "open", protected)
    with cards.held("cuda:0", 1, quiet) as device:
        assert device == "cuda:0"


def test_the_wait_for_a_card_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = iter([100.0, 3700.0])

    def trains(bundle: object, state: Path, *_: object) -> None:
        state.mkdir()
        (state / training.CHECKPOINT).write_text("trained")

    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(training, "train_bundle", trains)
    how = training._How("cpu", None, 1, lambda progress: None, lambda line: None, lambda: None)
    assert training._train(SimpleNamespace(), tmp_path, how) == 3600.0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("device", "processes", "line"),
    [
        ("cpu:foo", 1, "--device cpu:foo: no device is called 'cpu:foo'"),
        ("cuda:x", 1, "--device cuda:x: no device is called 'cuda:x'"),
        ("cuda:7", 1, "--device cuda:7: device cuda:7: torch sees GPUs cuda:0 to cuda:1 here"),
        ("cuda", 4, "--processes 4: each takes a graphics card, and torch sees 2; use fewer"),
    ],
)
def test_cards_that_are_not_there_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, device: str, processes: int, line: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RequestError) as caught:
        check_device(device, processes)
    assert str(caught.value).startswith(line)
    for possible in (("auto", 2), ("cuda:1", 1), ("cpu", 4)):
        check_device(*possible)


@pytest.mark.usefixtures("_two")
def test_two_runs_of_one_process_do_not_share_a_card() -> None:
    with cards.held("auto", 1, quiet) as first, cards.held("auto", 1, quiet) as second:
        assert {first, second} == {"cuda:0", "cuda:1"}
