"""`memdub status`: how far every stage is, what runs and waits at this moment, what failed and why."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.refresh import refresh
from flows.status import Stage, survey
from storage import consent, leases
from storage.artifacts import Made, produce
from storage.home import Home
from storage.recipes import Recipe
from tests.flows.conftest import Shell
from tests.helpers.footage import film
from tests.helpers.raw_home import Extraction

pytestmark = pytest.mark.usefixtures("extraction")


@pytest.fixture
def raw(root: Path) -> Path:
    for number in range(6):
        film(root / "home" / "raw" / "anna" / f"{number}.mp4", seed=number, seconds=1.2)
    return root / "home" / "raw" / "anna"


def stages() -> dict[str, Stage]:
    return {one.name: one for one in survey(Home()).stages}


def told(stage: Stage) -> tuple[int, int, int, int]:
    return stage.done, stage.failed, stage.pending, stage.blocked


def test_stages_count_what_is_done_failed_and_still_to_come(
    raw: Path, root: Path, memdub: Shell, extraction: Extraction
) -> None:
    assert told(stages()["ingest"]) == (0, 0, 6, 0)
    extraction.refuses = lambda clip: clip["source_name"] == "1.mp4"
    refresh()
    (raw / "bad.mp4").write_bytes(b"no film" * 1000)
    refresh()
    film(raw / "new.mp4", seed=9)
    found = stages()
    assert told(found["ingest"]) == (6, 1, 1, 0)
    assert told(found["faces"]) == (5, 1, 0, 0)
    assert told(found["features"]) == (5, 0, 0, 1)
    (raw / "0.mp4").unlink()
    refresh()
    assert told(stages()["ingest"]) == (6, 1, 0, 0), "a retired clip is not counted"
    assert survey(Home()).identities[0].retired == 1
    assert memdub("status") == 0
    assert "no face in any frame" in memdub.out
    assert "memdub retry --failed tries again" in memdub.out
    assert memdub("status", "--json") == 0
    status = json.loads(memdub.out)
    assert (status["failed"], len(status["failures"])) == (2, 2)


def test_what_was_found_again_is_counted(raw: Path, memdub: Shell) -> None:
    refresh()
    assert memdub("ingest", raw, "--identity", "anna") == 0
    assert stages()["ingest"].reused == 6


def test_without_consent_nothing_is_pending(raw: Path, root: Path, extraction: Extraction) -> None:
    extraction.refuses = lambda clip: True
    refresh()
    (root / "home" / "identities" / "anna" / "consent.toml").unlink()
    assert all(one.pending == 0 for one in stages().values())


def at_work(home: Home, recipe: Recipe, during: Callable[[], None]) -> None:
    """Makes an artifact, and calls `during` as it is half done."""

    def make(workspace: Path) -> Made:
        (workspace / "file").write_text("content")
        during()
        return Made()

    produce(home, recipe, make, identity="anna")


def test_what_runs_and_who_waits_is_shown(memdub: Shell, root: Path) -> None:
    home = Home()
    recipe = Recipe("track", "track", 1, {}, {"clip": "clip-0123"})
    seen: list[Any] = []
    waits = threading.Event()

    def wait() -> None:
        produce(home, recipe, _never, identity="anna", waiting=lambda holder: waits.set())

    waiter = threading.Thread(target=wait)

    def during() -> None:
        waiter.start()
        assert waits.wait(30)
        assert memdub("status", "--json") == 0
        seen.append(json.loads(memdub.out))
        assert memdub("status") == 0
        seen.append(memdub.out)

    at_work(home, recipe, during)
    waiter.join()
    status, text = seen
    (runs,), (waiting,) = status["running"], status["waiting"]
    assert (runs["what"], runs["identity"], runs["of"]) == ("track", "anna", "clip-0123")
    assert runs["who"].startswith(f"process {os.getpid()} on ")
    assert (waiting["what"], waiting["of"]) == ("track", "clip-0123")
    assert runs["seconds"] >= waiting["seconds"] >= 0
    assert [line.split()[:4] for line in text.splitlines() if "clip-0123" in line] == [
        ["runs", "track", "anna", "clip-0123"],
        ["waits", "track", "anna", "clip-0123"],
    ]
    after = survey(home)
    assert (after.running, after.waiting) == ([], [])


def _never(workspace: Path) -> Made:
    raise AssertionError("made twice")


def test_the_dead_neither_run_nor_wait(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, dead = Home(), {**leases.me(), "born": "1"}
    with monkeypatch.context() as patch:
        patch.setattr("storage.leases.me", lambda: dead)
        lease = leases.Lease(home.objects, "track-1", 15)
        assert lease.try_to_take(None)
    with home.objects.exclusive(".waiting"):
        content = json.dumps({"name": "track-1", "since": 1.0, "about": {}, **dead}).encode()
        assert home.objects.write_if(".waiting/token.json", content, None)
    found = survey(home)
    assert (found.running, found.waiting) == ([], [])
    leases.sweep(home.objects)
    assert list(home.objects.versions(".waiting")) == []


def test_a_record_that_cannot_be_read_is_shown_as_such(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(consent, "_small_file", broken)
    assert {one.name: one.consent for one in survey(Home()).identities}["anna"] == "cannot be read now"
