"""Recipes are carried out once, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import multiprocessing
import subprocess
import sys
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from storage import garbage
from storage.artifacts import Made, check_whole, find, produce, stored
from storage.errors import ConsentError, CorruptArtifact, LeaseLost, NoSpace, WorkError
from storage.home import Home, Settings
from storage.leases import hold
from storage.ledger import Ledger
from storage.objects import open_objects
from storage.recipes import RawSource, Recipe
from storage.runs import record_failure, run
from tests.helpers.killing import kill_at_random

SPAWN = multiprocessing.get_context("spawn")


def recipe(name: str = "x", **parameters: object) -> Recipe:
    return Recipe(
        "clip", "ingest", 1, {"name": name, **parameters}, raw=(RawSource("source", "00ff", "a.mp4"),)
    )


def make(workspace: Path) -> Made:
    (workspace / "sub").mkdir()
    (workspace / "video.bin").write_bytes(b"v" * 10_000)
    (workspace / "sub" / "sound.bin").write_bytes(b"s" * 5_000)
    return Made()


def test_the_same_recipe_is_made_once_and_then_found(home: Home) -> None:
    calls = []

    def counted(workspace: Path) -> Made:
        calls.append(workspace)
        return make(workspace)

    first = produce(home, recipe(), counted, identity="anna")
    second = produce(home, recipe(), counted, identity="anna")
    assert (first.reused, second.reused, len(calls)) == (False, True, 1)
    assert first.id == second.id == recipe().id
    assert first.row["bytes"] == 15_000
    check_whole(home, second, read_all=True)


def test_an_id_is_the_recipe_and_not_the_files_name() -> None:
    renamed = Recipe("clip", "ingest", 1, {"name": "x"}, raw=(RawSource("source", "00ff", "other name.mp4"),))
    assert renamed.id == recipe().id
    different = [
        recipe("y"),
        Recipe("clip", "ingest", 2, {"name": "x"}, raw=recipe().raw),
        Recipe("clip", "ingest", 1, {"name": "x"}),
        Recipe("clip", "ingest", 1, {"name": "x"}, inputs={"clip": "clip-1"}, raw=recipe().raw),
        Recipe("dub", "ingest", 1, {"name": "x"}, raw=recipe().raw),
    ]
    assert len({other.id for other in different} | {recipe().id}) == 6


def test_parameters_that_have_no_spelling_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        _ = recipe(speed=float("nan")).id


def test_a_failing_stage_leaves_nothing(home: Home) -> None:
    def broken(workspace: Path) -> Made:
        (workspace / "half").write_bytes(b"half")
        raise WorkError("broke", where="here", do="mend it")

    with pytest.raises(WorkError):
        produce(home, recipe(), broken, identity="anna")
    assert find(Ledger(home.objects), recipe().id) is None
    assert not list(home.path(".work").iterdir())
    assert not home.path("stores").exists()
    assert produce(home, recipe(), make, identity="anna").reused is False


def test_a_resumable_stage_finds_what_a_killed_run_left(home: Home) -> None:
    kept = json.dumps(home.url)
    code = f"""
import os, signal
from storage.artifacts import produce
from tests.storage.test_artifacts import recipe
from storage.home import Home
def make(workspace):
    (workspace / "half").write_bytes(b"half")
    (workspace / "manifest.json").write_bytes(b"of a seal that was cut short")
    os.kill(os.getpid(), signal.SIGKILL)
produce(Home({kept}), recipe(), make, identity="anna", resumable=True)
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    seen = []

    def go_on(workspace: Path) -> Made:
        seen.extend(path.name for path in workspace.iterdir())
        (workspace / "rest").write_bytes(b"rest")
        return Made()

    made = produce(home, recipe(), go_on, identity="anna", resumable=True)
    assert seen == ["half"]
    assert made.row["bytes"] == 8
    check_whole(home, made, read_all=True)
    assert not list(home.path(".work").iterdir())


def test_a_resumable_stage_that_fails_keeps_its_part_and_shows_nothing(home: Home) -> None:
    def broken(workspace: Path) -> Made:
        (workspace / "half").write_bytes(b"half")
        raise WorkError("broke", where="here", do="mend it")

    for _ in range(2):
        with pytest.raises(WorkError):
            produce(home, recipe(), broken, identity="anna", resumable=True)
    assert find(Ledger(home.objects), recipe().id) is None
    assert [path.name for path in home.path(".work").iterdir()] == [f"{recipe().id}.draft"]
    assert not garbage.find(home, leftover_after=0).leftovers


def test_what_was_deleted_or_changed_on_disk_is_made_again(home: Home) -> None:
    made = produce(home, recipe(), make, identity="anna")
    file = home.path(made.uri) / "video.bin"
    file.write_bytes(b"short")
    with pytest.raises(CorruptArtifact, match=r"video\.bin was changed"):
        check_whole(home, made)
    again = produce(home, recipe(), make, identity="anna")
    assert again.reused is False
    assert file.stat().st_size == 10_000
    assert len(Ledger(home.objects).rows("artifacts")) == 1
    file.write_bytes(b"w" * 10_000)
    check_whole(home, again)
    with pytest.raises(CorruptArtifact):
        check_whole(home, again, read_all=True)


def test_a_file_of_an_artifact_is_read_and_a_missing_one_told(home: Home) -> None:
    made = produce(home, recipe(), make, identity="anna")
    there = home.path(made.uri) / "video.bin"
    assert stored(home, made, "video.bin") == there.read_bytes()
    there.unlink()
    with pytest.raises(CorruptArtifact, match=rf"{made.id}.*video\.bin is missing.*run its stage again"):
        stored(home, made, "video.bin")


def test_what_cannot_be_read_now_is_not_missing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stage would be run again for nothing."""
    made = produce(home, recipe(), make, identity="anna")

    def ails(self: object, path: str, **more: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(LocalFileSystem, "cat_file", ails)
    with pytest.raises(PermissionError):
        check_whole(home, made)
    with pytest.raises(PermissionError):
        produce(home, recipe(), lambda _: pytest.fail("made again"), identity="anna")


def test_a_run_remembers_what_it_made_and_what_it_reused(home: Home) -> None:
    ledger = Ledger(home.objects)
    with run(ledger, "ingest", arguments={"videos": ["a.mp4"]}):
        produce(home, recipe(), make, identity="anna")
    with run(ledger, "ingest"):
        produce(home, recipe(), make, identity="anna")
    with pytest.raises(WorkError), run(ledger, "ingest"):
        raise WorkError("no")
    rows = ledger.rows("runs").to_pylist()
    assert [(len(row["made"]), len(row["reused"]), row["status"]) for row in rows] == [
        (1, 0, "done"),
        (0, 1, "done"),
        (0, 0, "failed"),
    ]
    assert json.loads(rows[0]["arguments"]) == {"videos": ["a.mp4"]}


def no_longer() -> None:
    raise ConsentError("consent expired while others worked", where="anna")


@pytest.mark.parametrize("resumable", [False, True])
def test_what_is_no_longer_allowed_is_not_published(home: Home, resumable: bool) -> None:
    """Asked at once, in its turn, and before anything becomes visible."""
    for asked in range(3):
        answers = iter([*[lambda: None] * asked, no_longer])
        made = []

        def counted(workspace: Path, made: list[Path] = made) -> Made:
            made.append(workspace)
            return make(workspace)

        with pytest.raises(ConsentError):
            produce(
                home,
                recipe(),
                counted,
                identity="anna",
                resumable=resumable,
                allowed=lambda answers=answers: next(answers)(),
            )
        assert len(made) == (asked == 2)
    assert find(Ledger(home.objects), recipe().id) is None
    assert not home.path("stores").exists()
    assert not list(home.path(".work").iterdir())


def test_what_is_not_allowed_is_not_found_either(home: Home) -> None:
    produce(home, recipe(), make, identity="anna")
    with pytest.raises(ConsentError):
        produce(home, recipe(), make, identity="anna", allowed=no_longer)


def test_what_went_wrong_first_is_told_where_the_ledger_cannot_be_written(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise NoSpace("no room for 100 bytes")

    monkeypatch.setattr(Ledger, "record", full)
    with pytest.raises(WorkError, match="broke"), run(Ledger(home.objects), "extract"):
        raise WorkError("broke")
    with pytest.raises(NoSpace), run(Ledger(home.objects), "extract"):
        pass


def test_every_failure_knows_how_often_it_failed_before(home: Home) -> None:
    ledger = Ledger(home.objects)
    with run(ledger, "extract") as this:
        for subject, identity in [("a", "anna"), ("a", None), ("b", "anna"), ("a", "anna"), ("a", None)]:
            error = WorkError("broke")
            record_failure(ledger, this, stage="extract", subject=subject, error=error, identity=identity)
    rows = sorted(ledger.rows("failures").to_pylist(), key=lambda row: row["failed_at"])
    assert [row["attempt"] for row in rows] == [1, 1, 1, 2, 2]


def test_waiting_is_not_work(home: Home) -> None:
    """Estimates add up how long stages took: not how long they stood in a queue for a card."""

    def waits(workspace: Path) -> Made:
        return replace(make(workspace), waited=3600.0)

    assert produce(home, recipe(), waits, identity="anna").row["seconds"] < 0


class Ended(BaseException):
    """As Prefect's TerminationSignal, which it raises in the runs that it ends."""


@pytest.mark.parametrize("ended", [KeyboardInterrupt, asyncio.CancelledError, Ended])
def test_a_run_that_was_ended_is_not_done(home: Home, ended: type[BaseException]) -> None:
    ledger = Ledger(home.objects)
    with pytest.raises(ended), run(ledger, "extract"):
        raise ended
    (row,) = ledger.rows("runs").to_pylist()
    assert row["status"] == "interrupted"
    assert not ledger.rows("failures")


def slow_worker(home: str, started: object, may_finish: object) -> None:
    def slow(workspace: Path) -> Made:
        started.set()  # type: ignore[attr-defined]
        assert may_finish.wait(60)  # type: ignore[attr-defined]
        return make(workspace)

    produce(Home(home), recipe(), slow, identity="anna")


def test_of_two_processes_one_works_and_the_other_waits(home: Home) -> None:
    started, may_finish = SPAWN.Event(), SPAWN.Event()
    worker = SPAWN.Process(target=slow_worker, args=(home.url, started, may_finish))
    worker.start()
    assert started.wait(60)
    waited: list[str] = []

    def on_waiting(holder: str) -> None:
        waited.append(holder)
        may_finish.set()

    def never(workspace: Path) -> Made:
        raise AssertionError("both worked")

    found = produce(home, recipe(), never, identity="anna", waiting=on_waiting)
    worker.join()
    assert found.reused
    assert f"process {worker.pid}" in waited[0]


def test_a_dead_holders_work_is_taken_over_at_once(home: Home) -> None:
    """With an hour's lease: the kernel says that the holder is gone, nobody waits for its silence."""
    started, may_finish = SPAWN.Event(), SPAWN.Event()
    worker = SPAWN.Process(target=slow_worker, args=(home.url, started, may_finish))
    worker.start()
    assert started.wait(60)
    worker.kill()
    worker.join()
    patient = Home(home.url, Settings(lease_seconds=3600))
    assert produce(patient, recipe(), make, identity="anna").reused is False
    assert not list(home.path(".leases").glob("*.json"))


def test_a_silent_holder_elsewhere_is_taken_over_and_may_not_commit(home: Home, monkeypatch) -> None:
    """A holder on another machine whose heart stopped: its late commit is refused."""
    elsewhere = {"host": "elsewhere", "machine": "elsewhere", "pid": 1, "born": "1"}
    monkeypatch.setattr("storage.leases.me", lambda: elsewhere)
    with hold(home.objects, "work", 0.3) as first:
        assert first is not None
        first._done.set()  # no more beats, as when a machine is cut off
        with hold(home.objects, "work", 0.3) as second:
            assert second is not None
            first._done.clear()
            with pytest.raises(LeaseLost):
                first.check()
            second.check()


def test_a_beating_holder_keeps_its_lease_past_its_length(home: Home) -> None:
    with hold(home.objects, "work", 0.2) as first:
        assert first is not None
        beats = first._beats
        while first._beats < beats + 6:  # twice the lease's length
            first._done.wait(0.05)
        first.check()


def produce_until_killed(home: str, name: str, said: Connection) -> None:
    for i in itertools.count():
        made = produce(Home(home), recipe(f"{name}-{i % 7}", i=i), make, identity="anna")
        said.send(made.id)


def test_kill_nine_at_random_points_of_a_stage(home: Home) -> None:
    """A hundred stages killed: every artifact in the ledger is whole to the byte, and the next run works."""
    said: set[str] = set()
    for round_ in range(100):
        said |= kill_at_random(produce_until_killed, (home.url, f"w{round_ % 10}"), seed=round_)
    ledger = Ledger(open_objects(home.url))
    ids = ledger.rows("artifacts")["id"].to_pylist()
    assert len(ids) == len(set(ids))
    assert said <= set(ids)
    for name in ids:
        artifact = find(ledger, name)
        assert artifact is not None
        check_whole(home, artifact, read_all=True)
    for i in range(20):
        produce(home, recipe("w0-0", i=i), make, identity="anna")
