"""Refreshes that are killed, that meet each other, and that meet files which are still being written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.refresh import refresh
from storage.home import Home
from tasks import sources
from tests.helpers.footage import film, keep_consent
from tests.helpers.raw_home import Extraction, clips_of, sources_of, table

REPOSITORY = Path(__file__).parents[2]


def command(home: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """`memdub` in a process of its own, with quick features."""
    own = {"MEMDUB_HOME": str(home), "MEMDUB_SETTLE_SECONDS": "0", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.raw_home", *words],
        env={**os.environ, **own, **environment},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed_home(tmp_path_factory.mktemp("started"))


def changed_home(folder: Path) -> Path:
    """A home that was refreshed, and whose raw/ has changed since in every way; all files are old by now."""
    home = folder / "home"
    keep_consent(home)
    raw = home / "raw" / "anna"
    for number in range(10):
        film(raw / f"{number}.mp4", seed=number, seconds=1.2)
    process = command(home, "refresh")
    assert process.wait() == 0, process.communicate()
    film(raw / "new.mp4", seed=10, seconds=1.2)
    film(raw / "2.mp4", seed=11, seconds=1.2)
    (raw / "3.mp4").unlink()
    (raw / "4.mp4").rename(raw / "four.mp4")
    (raw / "bad.mp4").write_bytes(b"nothing" * 1000)
    for file in raw.iterdir():
        os.utime(file, (1, 1))
    return home


@pytest.fixture
def home(started: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(started, tmp_path / "home"))


def outcome(home: Path) -> dict[str, Any]:
    """All that an undisturbed refresh and one that was killed and run again must agree on."""
    names = ("path", "sha256", "state", "clip", "reason")
    return {
        "sources": sorted(tuple(row[name] for name in names) for row in table(home, "sources")),
        "clips": sorted((row["id"], row["retired_at"] is None) for row in table(home, "clips")),
        "artifacts": sorted((row["id"], row["content_hash"]) for row in table(home, "artifacts")),
        "lineage": sorted((row["child"], row["parent"], row["role"]) for row in table(home, "lineage")),
        # Refused twice, if it was killed before that was noted of the file.
        "failures": {(row["stage"], row["subject"].rpartition("/")[2]) for row in table(home, "failures")},
    }


@pytest.fixture(scope="module")
def undisturbed(started: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = Path(shutil.copytree(started, tmp_path_factory.mktemp("undisturbed") / "home"))
    process = command(home, "refresh")
    assert process.wait() == 1, process.communicate()  # there is a bad file
    return outcome(home)


def test_the_undisturbed_refresh_did_all_of_it(undisturbed: dict[str, Any]) -> None:
    states = {path: state for path, _, state, _, _ in undisturbed["sources"]}
    assert {name for name, state in states.items() if state == "gone"} == {"3.mp4", "4.mp4"}
    assert {name for name, state in states.items() if state == "quarantined"} == {"bad.mp4"}
    assert sum(live for _, live in undisturbed["clips"]) == 10
    assert len(undisturbed["clips"]) == 12


MOMENTS = ["ingest:1", "ingest:3", "note:1", "note:2", "note:3", "note:4", "note:6", "retire:2", "retire:3"]


@pytest.mark.parametrize("moment", [*MOMENTS, "extract:1"])
def test_killed_at_any_step_the_next_refresh_ends_the_same(
    home: Path, undisturbed: dict[str, Any], moment: str
) -> None:
    killed = command(home, "refresh", KILL_AT=moment)
    assert killed.wait() == -9, f"{moment} was never reached: {killed.communicate()}"
    again = command(home, "refresh")
    said, _ = again.communicate()
    assert "Traceback" not in said
    assert outcome(home) == undisturbed


def test_two_at_once_do_the_work_once(home: Path, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    pipe = tmp_path / "go"
    os.mkfifo(pipe)
    first = command(home, "refresh", "--json", HALT_AT=f"extract:1:{pipe}")
    with pipe.open("w") as go:  # opens as the first one stands still
        second = command(home, "refresh", "--json")
        assert second.stderr is not None
        line = second.stderr.readline()
        assert line.startswith(f"waiting for process {first.pid} on "), line
        assert "which refreshes this home" in line
        go.write("go")
    did, found = json.loads(first.communicate()[0]), json.loads(second.communicate()[0])
    assert [len(did[kind]) for kind in ("clips", "features")] == [3, 2]
    assert (found["clips"], found["features"], found["files"]) == ([], [], [])
    assert (first.returncode, second.returncode) == (1, 0)
    assert outcome(home) == undisturbed
    flows = [(row["flow"], row["status"], len(row["made"])) for row in table(home, "runs")[-3:]]
    assert sorted(flows) == [("extract", "done", 4), ("refresh", "done", 0), ("refresh", "partly", 2)]


class TestStillBeingCopied:
    """Files that somebody writes at this moment."""

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> Path:
        monkeypatch.setattr("flows.extract.extract", Extraction())
        monkeypatch.setitem(sources.unsettled.__kwdefaults__, "apart", 0.0)
        self.home = root / "home"
        self.raw = self.home / "raw" / "anna"
        self.whole = film(root / "whole.mp4", seed=5).read_bytes()
        film(self.raw / "other.mp4", seed=6)
        return root

    def left(self) -> dict[str, str | None]:
        """What a refresh left for the next time; all else was taken."""
        result = refresh()
        assert result.failed == []
        assert {one.became for one in result.files} <= {"new", "copied", "copying"}
        assert "other.mp4" in clips_of(self.home)
        return {one.path: one.reason for one in result.files if one.became == "copying"}

    def test_one_that_is_open_for_writing(self) -> None:
        with (self.raw / "talk.mp4").open("wb") as file:
            file.write(self.whole[:-1000])
            file.flush()
            assert self.left() == {"talk.mp4": "is open for writing"}
            file.write(self.whole[-1000:])
        assert self.left() == {}
        assert "talk.mp4" in clips_of(self.home)

    def test_one_that_grows_between_two_looks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As on a file server, where nobody can tell who has it open."""
        monkeypatch.setattr(sources, "_is_open", lambda where: False)
        talk = self.raw / "talk.mp4"
        talk.parent.mkdir(parents=True, exist_ok=True)
        talk.write_bytes(self.whole[:2000])

        def copies_on(_: float) -> None:
            with talk.open("ab") as file:
                file.write(self.whole[2000:3000])

        monkeypatch.setitem(sources.unsettled.__kwdefaults__, "pause", copies_on)
        assert self.left() == {"talk.mp4": "changes while we look"}
        assert sources_of(self.home) == {"other.mp4": "done"}

    def test_one_that_is_young_and_cannot_be_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (self.raw / "talk.mp4").write_bytes(self.whole[: len(self.whole) // 2])
        (reason,) = self.left().values()
        assert reason is not None
        assert "a moment ago" in reason
        monkeypatch.setenv("MEMDUB_SETTLE_SECONDS", "0")  # a minute later
        result = refresh()
        assert [(one.path, one.became) for one in result.files] == [("talk.mp4", "quarantined")]
        (self.raw / "talk.mp4").write_bytes(self.whole)
        assert [one.became for one in refresh().files] == ["changed"]

    def test_names_that_say_so(self) -> None:
        names = ["a.mp4.part", "b.mp4.crdownload", "Unconfirmed 7.crdownload", ".c.mp4.Xy12zQ", "d.mp4.aria2"]
        for name in names:
            (self.raw / name).write_bytes(self.whole[:500])
        (self.raw / "d.mp4").write_bytes(self.whole)  # aria2 allots all of it at once
        (self.raw / ".hidden.mp4").write_bytes(self.whole)
        assert set(self.left()) == {*names, "d.mp4"}
        (self.raw / "d.mp4.aria2").unlink()
        (self.raw / "a.mp4.part").rename(self.raw / "a.mp4")
        (self.raw / "a.mp4").write_bytes(self.whole)
        self.left()
        assert {"a.mp4", "d.mp4"} <= set(sources_of(self.home))

    def test_one_that_is_copied_again_keeps_its_clip(self) -> None:
        (self.raw / "talk.mp4").write_bytes(self.whole)
        self.left()
        assert len(clips_of(self.home)) == 2
        (self.raw / "talk.mp4").rename(self.raw / "talk.mp4.part")
        assert set(self.left()) == {"talk.mp4.part"}
        assert len(clips_of(self.home)) == 2
        with (self.raw / "talk.mp4").open("wb"):
            assert set(self.left()) == {"talk.mp4", "talk.mp4.part"}
        assert len(clips_of(self.home)) == 2


def test_a_clock_that_was_set_back_hides_no_change(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change with the former size, at a time that lies before the last look."""
    monkeypatch.setattr("flows.extract.extract", Extraction())
    monkeypatch.setenv("MEMDUB_HOME", str(home))
    monkeypatch.setenv("MEMDUB_SETTLE_SECONDS", "0")
    refresh(allow_shrink=True)
    file = home / "raw" / "anna" / "0.mp4"
    content = bytearray(file.read_bytes())
    content[-200:] = bytes(200)
    file.write_bytes(content)
    os.utime(file, (time.time() - 86400, time.time() - 86400))
    assert [one.path for one in refresh().files] == ["0.mp4"]
    assert Home().settings.settle_seconds == 0
