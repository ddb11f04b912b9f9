"""`memdub refresh`: what is new, changed, gone, back again, bad, not allowed, or all gone at once."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.refresh import Shrinks, refresh
from storage.artifacts import MANIFEST
from storage.errors import ConsentError, NoSpace, RequestError, WorkError
from storage.home import Home
from storage.ledger import Ledger
from tests.flows.conftest import Shell
from tests.helpers.footage import film, keep_consent
from tests.helpers.raw_home import Extraction, became, clips_of, sources_of, state, table

NOBODY = "no face in any frame"
pytestmark = pytest.mark.usefixtures("extraction")


def test_what_is_new_is_taken_once(raw: Path, root: Path, extraction: Extraction) -> None:
    first = refresh()
    assert set(became(first).values()) == {"new"}
    assert len(clips_of(root / "home")) == 7
    assert set(sources_of(root / "home").values()) == {"done"}
    before = state(root / "home")
    again = refresh()
    assert again.files == []
    assert again.is_idle
    assert again.people[0].unchanged == 7
    assert len(extraction.calls) == 1
    assert state(root / "home") == before
    film(raw / "sub folder" / "seven and a half.mp4", seed=8)
    third = refresh()
    assert became(third) == {"sub folder/seven and a half.mp4": "new"}
    assert [len(call) for call in extraction.calls] == [7, 1]
    assert (third.people[0].taken, third.people[0].extracted) == (1, 1)


def test_a_file_that_changed_takes_its_former_clips_place(raw: Path, root: Path) -> None:
    refresh()
    former = {row["path"]: row for row in table(root / "home", "sources")}["3.mp4"]
    film(raw / "3.mp4", seed=33)
    result = refresh()
    assert became(result) == {"3.mp4": "changed"}
    now = {row["path"]: row for row in table(root / "home", "sources")}["3.mp4"]
    assert now["clip"] != former["clip"]
    assert (now["first_seen"], now["sha256"] == former["sha256"]) == (former["first_seen"], False)
    retired = [row["id"] for row in table(root / "home", "clips") if row["retired_at"] is not None]
    assert retired == [former["clip"]]
    assert result.people[0].retired == 1


def test_touching_or_rewriting_the_same_changes_nothing(
    raw: Path, root: Path, extraction: Extraction
) -> None:
    refresh()
    before = state(root / "home")
    os.utime(raw / "1.mp4", (1, 1))
    again = shutil.copyfile(raw / "2.mp4", raw / "copy")
    again.replace(raw / "2.mp4")
    result = refresh()
    assert (result.files, result.made) == ([], [])
    assert state(root / "home") == before
    assert len(extraction.calls) == 1


def test_what_is_gone_is_retired_and_comes_back(raw: Path, root: Path, extraction: Extraction) -> None:
    refresh()
    aside = (raw / "5.mp4").rename(root / "aside.mp4")
    result = refresh()
    assert became(result) == {"5.mp4": "gone"}
    assert (result.people[0].retired, result.people[0].clips) == (1, 6)
    assert "5.mp4" not in clips_of(root / "home")
    stored = [row for row in table(root / "home", "artifacts") if row["kind"] == "clip"]
    assert len(stored) == 7, "a clip was removed"
    assert all((root / "home" / row["uri"] / MANIFEST).exists() for row in stored)
    assert refresh().files == []
    aside.rename(raw / "5 again.mp4")
    back = refresh()
    assert became(back) == {"5 again.mp4": "back"}
    assert back.people[0].returned == 1
    assert len(clips_of(root / "home")) == 7
    assert len(extraction.calls) == 1, "what came back was extracted again"


def test_a_renamed_file_keeps_its_clip(raw: Path, root: Path) -> None:
    refresh()
    (raw / "0.mp4").rename(raw / "nought.mp4")
    result = refresh()
    assert became(result) == {"0.mp4": "gone", "nought.mp4": "copied"}
    assert (result.people[0].retired, len(clips_of(root / "home"))) == (0, 7)


def test_a_clip_lives_as_long_as_one_of_its_files(raw: Path, root: Path) -> None:
    shutil.copyfile(raw / "0.mp4", raw / "twin.mp4")
    refresh()
    assert len(clips_of(root / "home")) == 7
    (raw / "0.mp4").unlink()
    assert refresh().people[0].retired == 0
    (raw / "twin.mp4").unlink()
    assert refresh().people[0].retired == 1


def test_a_bad_file_is_put_aside_until_it_changes(raw: Path, root: Path) -> None:
    (raw / "bad.mp4").write_bytes(b"no film at all " * 100)
    result = refresh()
    assert became(result)["bad.mp4"] == "quarantined"
    assert len(clips_of(root / "home")) == 7, "the others were not taken"
    error = result.error()
    assert error is not None
    assert error.exit_status == 1
    assert "bad.mp4: not a video" in str(error)
    (row,) = [row for row in table(root / "home", "sources") if row["state"] == "quarantined"]
    assert row["reason"].startswith("not a video")
    again = refresh()
    assert (again.failed, again.files, again.people[0].quarantined) == ([], [], 1)
    assert len(table(root / "home", "failures")) == 1
    shutil.copyfile(raw / "bad.mp4", raw / "its copy.mp4")
    assert became(refresh()) == {"its copy.mp4": "quarantined"}
    film(raw / "bad.mp4", seed=9)
    assert became(refresh()) == {"bad.mp4": "changed"}
    assert sources_of(root / "home")["bad.mp4"] == "done"


@pytest.mark.parametrize(
    "fault", [WorkError("the process that read it was killed"), OSError(errno.EIO, "Input/output error")]
)
def test_a_good_file_is_not_held_to_a_fault_that_passes(
    raw: Path, root: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    shutil.copyfile(raw / "3.mp4", raw / "its copy.mp4")
    refused = without("3.mp4", fault, monkeypatch)
    result = refresh()
    assert became(result)["3.mp4"] == "failed"
    assert became(result)["its copy.mp4"] == "new", "the same content was not to blame"
    assert result.people[0].waiting == 1
    assert [Path(str(one.where)).name for one in result.failed] == ["3.mp4"]
    assert "3.mp4" not in sources_of(root / "home")
    assert len(table(root / "home", "failures")) == 1
    refused.clear()
    again = refresh()
    assert (became(again), again.failed) == ({"3.mp4": "copied"}, [])
    assert sources_of(root / "home")["3.mp4"] == "done"


def test_what_would_break_again_is_put_aside(raw: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without("3.mp4", ZeroDivisionError("a mistake of ours"), monkeypatch)
    assert became(refresh())["3.mp4"] == "quarantined"
    assert refresh().is_idle


def without(name: str, fault: Exception, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Files of these names, as long as they are in what this returns, cannot be ingested."""
    from tasks.ingest import ingest_file

    names = {name}

    def ingest(home: Home, file: Path, *told: Any, **how: Any) -> Any:
        if file.name in names:
            raise fault
        return ingest_file(home, file, *told, **how)

    monkeypatch.setattr("tasks.ingest.ingest_file", ingest)
    return names


def test_a_file_that_was_spoiled_keeps_its_former_clip(raw: Path, root: Path) -> None:
    refresh()
    (raw / "4.mp4").write_bytes((raw / "4.mp4").read_bytes()[:2000])
    result = refresh()
    assert became(result) == {"4.mp4": "quarantined"}
    assert len(clips_of(root / "home")) == 7
    (raw / "4.mp4").unlink()
    assert refresh().people[0].retired == 1


def test_what_extraction_refuses_for_good_is_not_tried_again(
    raw: Path, root: Path, extraction: Extraction
) -> None:
    extraction.refuses = lambda clip: clip["source_name"] == "6.mp4"
    result = refresh()
    assert [one.what for one in result.failed] == [NOBODY]
    assert sources_of(root / "home")["6.mp4"] == "quarantined"
    assert refresh().is_idle
    assert len(extraction.calls) == 1
    film(raw / "6.mp4", seed=66)
    extraction.refuses = lambda clip: False
    assert became(refresh()) == {"6.mp4": "changed"}
    assert sources_of(root / "home")["6.mp4"] == "done"


def test_what_only_broke_is_tried_again(raw: Path, extraction: Extraction) -> None:
    extraction.refuses, extraction.error = (lambda clip: clip["source_name"] == "6.mp4"), WorkError
    assert len(refresh().failed) == 1
    extraction.refuses = lambda clip: False
    again = refresh()
    assert [len(call) for call in extraction.calls] == [7, 1]
    assert (again.failed, again.people[0].extracted) == ([], 1)


def test_whoever_has_no_consent_is_blocked_and_not_read(
    raw: Path, root: Path, memdub: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = root / "home"
    film(home / "raw" / "bob" / "b.mp4", seed=90)
    keep_consent(home, "carl", expires="2021-01-01")
    film(home / "raw" / "carl" / "c.mp4", seed=91)
    film(home / "raw" / "Not A Name" / "c.mp4", seed=92)
    film(home / "raw" / "loose.mp4", seed=93)
    opened: list[str] = []
    monkeypatch.setattr("tasks.footage.hash_file", _spying(opened))
    result = refresh()
    blocked = {one.identity: one.blocked for one in result.people if one.blocked}
    assert set(blocked) == {"bob", "carl", "Not A Name", "loose.mp4"}
    assert "no consent record" in blocked["bob"]
    assert "expired" in blocked["carl"]
    assert {Path(name).parent.name for name in opened} == {"anna"}
    assert {row["identity"] for row in table(home, "sources")} == {"anna"}
    assert memdub("refresh") == 0
    assert "bob has no consent record" in memdub.out
    with pytest.raises(ConsentError):
        refresh(["bob"])


def _spying(opened: list[str]) -> Callable[[Path], str]:
    from storage.recipes import hash_file

    def spy(path: Path) -> str:
        opened.append(str(path))
        return hash_file(path)

    return spy


def test_withdrawn_consent_leaves_what_there_is(raw: Path, root: Path) -> None:
    refresh()
    before = state(root / "home")
    (root / "home" / "identities" / "anna" / "consent.toml").unlink()
    (raw / "1.mp4").unlink()
    result = refresh()
    assert result.people[0].blocked
    assert state(root / "home") == before


def test_names_that_are_no_text_and_things_that_are_no_files(raw: Path, root: Path) -> None:
    (raw / "0.mp4").rename(os.fsdecode(os.fsencode(raw) + b"/caf\xe9.mp4"))
    os.mkfifo(raw / "pipe.mp4")
    (raw / "empty.mp4").touch()
    result = refresh()
    assert became(result)["caf\ufffd.mp4"] == "new"
    assert became(result)["empty.mp4"] == "quarantined"
    assert "pipe.mp4" not in became(result)
    assert refresh().is_idle


def test_a_raw_folder_that_is_not_there_retires_nobody(raw: Path, root: Path) -> None:
    refresh()
    aside = (root / "home" / "raw").rename(root / "unmounted")
    with pytest.raises(Shrinks, match="7 of 7"):
        refresh()
    (root / "home" / "raw").mkdir()
    with pytest.raises(Shrinks, match="7 of 7"):
        refresh()
    assert len(clips_of(root / "home")) == 7
    (root / "home" / "raw").rmdir()
    aside.rename(root / "home" / "raw")
    assert refresh().is_idle


def test_what_cannot_be_looked_at_is_not_gone(raw: Path, root: Path) -> None:
    refresh()
    moved = (raw / "2.mp4").rename(root / "elsewhere.mp4")
    (raw / "2.mp4").symlink_to(moved)
    assert became(refresh()) == {}, "the same content behind a link is the same"
    moved.unlink()
    result = refresh()
    assert became(result) == {"2.mp4": "unreadable"}
    assert len(clips_of(root / "home")) == 7


def test_footage_that_was_ingested_by_hand_is_known(raw: Path, root: Path, memdub: Shell) -> None:
    """With other options it would be another clip, and the person would be trained on it twice."""
    assert memdub("ingest", raw / "0.mp4", "--identity", "anna", "--fps", "20") == 0
    refresh()
    assert len(clips_of(root / "home")) == 7
    silent = film(raw / "silent.mp4", seed=50, sound=False)
    assert became(refresh()) == {"silent.mp4": "quarantined"}
    assert memdub("ingest", silent, "--identity", "anna", "--silent-ok") == 0
    assert became(refresh()) == {"silent.mp4": "copied"}
    assert sources_of(root / "home")["silent.mp4"] == "done"


def test_a_limit_bounds_what_is_taken(raw: Path, root: Path, extraction: Extraction) -> None:
    result = refresh(limit=3)
    assert sorted(became(result).values()) == ["later"] * 4 + ["new"] * 3
    assert [len(call) for call in extraction.calls] == [3]
    assert result.people[0].waiting == 4
    assert len(clips_of(root / "home")) == 3
    refresh(limit=4)
    assert len(clips_of(root / "home")) == 7


def test_speech_to_say_is_no_footage(raw: Path, root: Path) -> None:
    film(raw / "speech" / "somebody else.mp4", seed=77)
    refresh()
    assert "somebody else.mp4" not in clips_of(root / "home")


def test_a_full_disk_ends_all_and_puts_no_file_aside(
    raw: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise NoSpace("the disk is full", where="/", do="free some space and run again")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.ingest.ingest_file", full)
        with pytest.raises(NoSpace):
            refresh()
    assert sources_of(root / "home") == {}
    refresh()
    assert len(clips_of(root / "home")) == 7


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--train", "nonsense"], "no such method"),
        (["--train", "memface:nonsense"], "--preset nonsense"),
        (["nobody"], "has no consent record"),
        (["../etc"], "not a name for an identity"),
    ],
)
def test_a_wrong_request_is_one_line(memdub: Shell, root: Path, words: list[str], line: str) -> None:
    assert memdub("refresh", *words) == 2
    assert memdub.err.count("\n") == 1
    assert line in memdub.err
    with pytest.raises(RequestError):
        refresh(retrain_at=float("nan"))


def test_an_empty_home_says_what_to_do_next(memdub: Shell) -> None:
    assert memdub("refresh") == 0
    assert "raw/NAME/" in memdub.out


def test_a_clip_that_was_lost_is_made_again(raw: Path, root: Path) -> None:
    refresh()
    row = next(row for row in table(root / "home", "sources") if row["path"] == "1.mp4")
    Ledger(Home().objects).remove([row["clip"]])
    assert became(refresh()) == {"1.mp4": "changed"}
    assert len(clips_of(root / "home")) == 7
