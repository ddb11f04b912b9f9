"""Garbage is collected while others work: nothing that lives, is committed or is under way goes."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
import pytest

from storage import garbage
from storage.artifacts import Made, check_whole, find, produce
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import RawSource, Recipe

SPAWN = multiprocessing.get_context("spawn")
FIELDS = {"identity": "anna", "source_name": "a.mp4", "frames": 1}


def recipe(name: str, version: int = 1) -> Recipe:
    return Recipe("clip", "ingest", version, {}, raw=(RawSource("footage", name, "a.mp4"),))


def make_one(home: Home, name: str, version: int = 1, size: int = 1000) -> str:
    made = recipe(name, version)

    def make(workspace: Path) -> Made:
        (workspace / "file").write_bytes(os.urandom(size))
        return Made(clips=[{"id": made.id, **FIELDS}])

    return produce(home, made, make, identity="anna").id


def make_chain(home: Home, name: str, versions: tuple[int, int, int]) -> list[str]:
    """A clip, its track and its features, each by this version of its stage."""
    ids: list[str] = []
    for kind, version in zip(("clip", "track", "features"), versions, strict=True):
        inputs = {"from": ids[-1]} if ids else {}
        raw = () if ids else (RawSource("footage", name, "a.mp4"),)

        def make(workspace: Path) -> Made:
            (workspace / "file").write_bytes(b"x")
            return Made()

        ids.append(produce(home, Recipe(kind, kind, version, {}, inputs, raw), make, identity="anna").id)
    return ids


@pytest.mark.parametrize("newer", [(2, 1, 1), (1, 2, 1), (2, 2, 2)])
def test_what_a_newer_stage_superseded_goes_with_all_that_was_made_of_it(
    home: Home, newer: tuple[int, int, int]
) -> None:
    old, other = make_chain(home, "a", (1, 1, 1)), make_chain(home, "b", (1, 1, 1))
    new = make_chain(home, "a", newer)
    found = {row["id"] for row in garbage.find(home).artifacts}
    assert found == set(old) - set(new)
    assert not found & set(other), "other footage has no newer ones"


def test_what_was_not_made_anew_keeps_what_it_was_made_from(home: Home) -> None:
    make_chain(home, "a", (1, 1, 1))
    make_one(home, "a", version=2)
    assert garbage.find(home).artifacts == []


def make_many(home: str, worker: int) -> None:
    for i in range(40):
        make_one(Home(home), f"{worker}-{i}")


def test_collecting_all_the_time_takes_nothing_from_those_who_commit(home: Home) -> None:
    make_one(home, "first")
    writers = [SPAWN.Process(target=make_many, args=(home.url, w)) for w in range(3)]
    for writer in writers:
        writer.start()
    rounds = 0
    while any(writer.is_alive() for writer in writers):
        garbage.collect(home, garbage.find(home, leftover_after=0))
        rounds += 1
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert rounds > 3
    ledger = Ledger(home.objects)
    ids = ledger.rows("artifacts")["id"].to_pylist()
    assert len(ids) == len(set(ids)) == 121
    assert set(ledger.rows("clips")["id"].to_pylist()) == set(ids)
    assert set(ledger.rows("lineage")["child"].to_pylist()) == set(ids)
    for name in ids:
        artifact = find(ledger, name)
        assert artifact is not None
        check_whole(home, artifact, read_all=True)


def test_rows_of_killed_commits_go_by_one_look_at_each_table(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_one(home, "kept")
    ledger = Ledger(home.objects)
    for i in range(20):
        name = make_one(home, f"{i}")
        ledger.tables["artifacts"].remove(lambda rows, name=name: pc.equal(rows["id"], name))
    looks, disown = [], Ledger.disown

    def counted(self: Ledger, artifacts: Sequence[str]) -> None:
        looks.append(len(artifacts))
        disown(self, artifacts)

    monkeypatch.setattr(Ledger, "disown", counted)
    garbage.collect(home, garbage.Garbage())
    assert looks == [20]
    assert len(ledger.rows("clips")) == len(ledger.rows("lineage")) == 1
    assert not list(home.path(".leases").glob("*.json"))


def test_work_that_writes_nothing_for_long_keeps_its_folder(home: Home) -> None:
    def make(workspace: Path) -> Made:
        (workspace / "file").write_bytes(b"x")
        garbage.collect(home, garbage.find(home, leftover_after=-1))
        assert (workspace / "file").exists()
        return Made()

    produce(home, recipe("a"), make, identity="anna")


def test_what_a_killed_process_left_goes(home: Home) -> None:
    code = f"""
import os, signal
from storage.artifacts import produce
from tests.storage.test_garbage import recipe
from storage.home import Home
def make(workspace):
    (workspace / "half").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
produce(Home({home.url!r}), recipe("a"), make, identity="anna")
"""
    repository = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=False)
    assert list(home.path(".leases").glob("*.json"))
    found = garbage.find(home, leftover_after=0)
    assert len(found.leftovers) == 2  # the folder, and the note of whose it is
    garbage.collect(home, found)
    assert not list(home.path(".work").iterdir())
    assert not list(home.path(".leases").glob("*.json"))


def test_what_was_left_of_work_on_a_bucket_goes_too(s3_url: str, tmp_path: Path) -> None:
    home = Home(f"{s3_url}/home", scratch=tmp_path)
    left = home.workspace_root() / "track-0.draft"
    left.mkdir()
    (left / "faces").write_bytes(b"of a person")
    assert garbage.find(home).leftovers == []
    os.utime(left, (0, 0))
    os.utime(left / "faces", (0, 0))
    found = garbage.find(home)
    assert found.leftovers == [left]
    garbage.collect(home, found)
    assert not left.exists()


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as filler:
        while True:
            filler.write(b"0" * 4096)


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small tmpfs needs root")
def test_a_full_disk_can_be_emptied(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        home = Home(disk / "home")
        make_one(home, "a", version=1, size=500_000)
        kept = make_one(home, "a", version=2, size=500_000)
        with pytest.raises(OSError, match="No space"):
            fill(disk / "filler")
        garbage.collect(home, garbage.find(home))
        assert Ledger(home.objects).rows("artifacts")["id"].to_pylist() == [kept]
    finally:
        subprocess.run(["umount", disk], check=True)
