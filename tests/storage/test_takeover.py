"""A holder that was thought dead and wakes up: it destroys nothing, and uses the other's result."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage import leases, publishing
from storage.artifacts import Made, check_whole, produce
from storage.errors import WorkError
from storage.home import Home, Settings
from storage.ledger import Ledger
from storage.objects import LocalObjects
from storage.recipes import Recipe

SPAWN = multiprocessing.get_context("spawn")
RECIPE = Recipe("clip", "ingest", 1, {"name": "x"})
ELSEWHERE = {"host": "elsewhere", "machine": "elsewhere", "pid": 1, "born": "1"}


def make(workspace: Path) -> Made:
    (workspace / "file").write_bytes(b"f" * 1000)
    return Made()


def make_elsewhere(home: str) -> None:
    produce(Home(home, Settings(lease_seconds=0.3)), RECIPE, make, identity="anna")


@pytest.mark.parametrize("breaks", [False, True])
def test_a_holder_that_slept_uses_the_others_result(
    home: Home, monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    monkeypatch.setattr("storage.leases.me", lambda: ELSEWHERE)
    monkeypatch.setattr("storage.leases.Lease.beat_until_done", lambda _: None)

    def sleep_and_make(workspace: Path) -> Made:
        other = SPAWN.Process(target=make_elsewhere, args=(home.url,))
        other.start()
        other.join()
        assert other.exitcode == 0
        if breaks:
            raise OSError("what I worked on is gone")
        return make(workspace)

    found = produce(home, RECIPE, sleep_and_make, identity="anna")
    assert found.reused
    check_whole(home, found, read_all=True)
    assert not list(home.path(".work").iterdir())


def test_nobody_takes_over_between_the_last_check_and_the_commit(home: Home) -> None:
    with leases.hold(home.objects, "work", 30) as lease:
        assert lease is not None
        with lease.kept():
            other = SPAWN.Process(target=take, args=(home.url,))
            other.start()
            other.join(1)
            assert other.is_alive(), "another process took the lease in between"
        other.kill()
        other.join()


def take(home: str) -> None:
    objects = Home(home).objects
    held = objects.read(".leases/work.json")
    assert held is not None
    leases.Lease(objects, "work", 30).try_to_take(held[1])


def meanwhile(monkeypatch: pytest.MonkeyPatch, where: object, name: str, happens: Callable[[], None]) -> None:
    """Something happens the first time that this is called, and before it is over."""
    called, once = getattr(where, name), iter([happens])

    def slow(*arguments: Any) -> None:
        called(*arguments)
        next(once, lambda: None)()

    monkeypatch.setattr(where, name, slow)


def lease_of(home: Home) -> tuple[dict[str, Any], str]:
    held = home.objects.read(f".leases/{RECIPE.id}.json")
    assert held is not None
    return json.loads(held[0]), held[1]


@pytest.mark.parametrize(("where", "name"), [(publishing, "_upload"), (Ledger, "commit")])
def test_the_heart_beats_on_while_a_bucket_takes_its_time(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, where: object, name: str
) -> None:
    home = Home(f"{s3_url}/home", Settings(lease_seconds=0.3))

    def until_two_beats() -> None:
        before, deadline = lease_of(home)[0]["beats"], time.monotonic() + 20
        while lease_of(home)[0]["beats"] < before + 2:
            assert time.monotonic() < deadline, "no beat: whoever waits would take it over"

    meanwhile(monkeypatch, where, name, until_two_beats)
    assert not produce(home, RECIPE, make, identity="anna").reused


def test_who_lost_the_lease_while_uploading_commits_nothing(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(f"{s3_url}/home")

    def another_takes_it() -> None:
        monkeypatch.setattr("storage.leases.me", lambda: ELSEWHERE)
        other = leases.Lease(home.objects, RECIPE.id, 30)
        assert other.try_to_take(lease_of(home)[1])
        other.release()

    meanwhile(monkeypatch, publishing, "_upload", another_takes_it)
    calls = []

    def counted(workspace: Path) -> Made:
        calls.append(workspace)
        return make(workspace)

    found = produce(home, RECIPE, counted, identity="anna")
    assert len(calls) == 2, "it committed what it no longer held"
    check_whole(home, found, read_all=True)


def ailing(monkeypatch: pytest.MonkeyPatch, name: str, times: int, *, after: bool = False) -> threading.Event:
    """So many calls fail, before or after they do what they should; tells when they have."""
    called, left, over = getattr(LocalObjects, name), iter(range(times)), threading.Event()

    def fails(*arguments: Any) -> Any:
        if next(left, None) is None:
            over.set()
            return called(*arguments)
        if after:
            called(*arguments)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(LocalObjects, name, fails)
    return over


@pytest.mark.parametrize("after", [False, True])
def test_a_heart_that_misses_beats_beats_on(home: Home, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    with leases.hold(home.objects, "work", 0.3) as lease:
        assert lease is not None
        over = ailing(monkeypatch, "write_if", 3, after=after)
        assert over.wait(20), "the heart stopped at the first error"
        lease.check()
        assert json.loads(home.path(".leases/work.json").read_text())["beats"] >= 4


def test_what_is_committed_is_not_reported_failed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ailing(monkeypatch, "delete_if", 1)
    assert not produce(home, RECIPE, make, identity="anna").reused
    assert produce(home, RECIPE, make, identity="anna").reused


def test_what_broke_first_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(workspace: Path) -> Made:
        ailing(monkeypatch, "write_if", 100)
        raise WorkError("broke", where="here", do="mend it")

    with pytest.raises(WorkError, match="here: broke; mend it"):
        produce(home, RECIPE, broken, identity="anna")


def test_the_same_host_name_in_another_container_is_not_a_dead_process(home: Home) -> None:
    """A pid means something else there: its holder is waited for, not robbed."""
    me = leases.me()
    assert not leases.is_dead(me)
    assert leases.is_dead({**me, "born": "1"})
    assert not leases.is_dead({**me, "born": "1", "machine": "same-boot/pid:[1]"})
    assert not leases.is_dead({})


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b"{}"])
def test_a_damaged_lease_is_outlived(home: Home, content: bytes) -> None:
    path = home.path(f".leases/{RECIPE.id}.json")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    patient = Home(home.url, Settings(lease_seconds=0.2))
    assert not produce(patient, RECIPE, make, identity="anna").reused


@pytest.mark.parametrize("beats", [False, True])
def test_a_lease_of_a_dead_worker_elsewhere_goes_after_its_silence(
    home: Home, monkeypatch: pytest.MonkeyPatch, beats: bool
) -> None:
    far = leases.Lease(home.objects, "far", 30)
    with monkeypatch.context() as patch:
        patch.setattr("storage.leases.me", lambda: ELSEWHERE)
        assert far.try_to_take(None)
    waited = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if beats:
            far.check()

    with leases.hold(home.objects, "near", 30):
        leases.clear(home.objects, 30, pause=pause)
        left = {path.stem for path in home.path(".leases").glob("*.json")}
    assert waited == [30]
    assert left == ({"near", "far"} if beats else {"near"})


def test_nobody_waits_for_leases_of_this_machine(home: Home) -> None:
    with leases.hold(home.objects, "near", 30):
        leases.clear(home.objects, 30, pause=lambda _: pytest.fail("it waited"))


def test_the_lease_names_its_holder(home: Home) -> None:
    with leases.hold(home.objects, "work", 30):
        held = json.loads(home.path(".leases/work.json").read_text())
    assert held["pid"] == leases.me()["pid"]
