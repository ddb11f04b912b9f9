"""What a refresh says before it does anything: what it would do, and that too much would be retired."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from flows.refresh import Refreshed, Shrinks, refresh
from tests.flows.conftest import Shell
from tests.helpers.footage import film
from tests.helpers.raw_home import became, clips_of, state, table

pytestmark = pytest.mark.usefixtures("extraction")


def test_a_refresh_that_would_retire_more_than_a_fifth_stops(raw: Path, root: Path, memdub: Shell) -> None:
    refresh()
    (raw / "0.mp4").unlink()
    (raw / "1.mp4").unlink()
    film(raw / "new.mp4", seed=70)
    before = state(root / "home")
    with pytest.raises(Shrinks, match="2 of 7 clips would be retired"):
        refresh()
    assert memdub("refresh") == 2
    assert "--allow-shrink" in memdub.err.splitlines()[-1]
    assert state(root / "home") == before, "something was changed before it stopped"
    assert [row["status"] for row in table(root / "home", "runs") if row["flow"] == "refresh"] == ["done"]
    assert refresh(dry_run=True).stops is not None
    assert memdub("refresh", "--allow-shrink", "--json") == 0
    assert json.loads(memdub.out)["people"][0]["retired"] == 2
    assert len(clips_of(root / "home")) == 6


def test_files_that_hold_something_else_count_as_gone(raw: Path, root: Path) -> None:
    """As after a synchronisation that went wrong: every name is there, and none of the films."""
    refresh()
    before = state(root / "home")
    for number in range(7):
        film(raw / f"{number}.mp4", seed=100 + number, seconds=1.2)
    assert refresh(dry_run=True).stops is not None
    with pytest.raises(Shrinks, match=r"7 of 7 clips would be retired, as their files are gone or changed"):
        refresh()
    assert state(root / "home") == before
    os.utime(raw / "0.mp4", (1, 1))
    result = refresh(allow_shrink=True)
    assert (result.people[0].retired, result.people[0].taken) == (7, 7)


def test_files_that_were_renamed_or_touched_do_not(raw: Path, root: Path) -> None:
    refresh()
    for number in range(7):
        os.utime(raw / f"{number}.mp4", (1, 1))
        if number < 3:
            (raw / f"{number}.mp4").rename(raw / f"renamed {number}.mp4")
    assert refresh().people[0].retired == 0


@pytest.mark.parametrize(("answer", "status", "left"), [(False, 2, 7), (True, 0, 5)])
def test_on_a_terminal_it_asks(
    raw: Path,
    root: Path,
    memdub: Shell,
    monkeypatch: pytest.MonkeyPatch,
    answer: bool,
    status: int,
    left: int,
) -> None:
    refresh()
    (raw / "0.mp4").unlink()
    (raw / "1.mp4").unlink()
    monkeypatch.setattr("flows.cli.refresh._may_ask", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: answer)
    assert memdub("refresh") == status
    assert "2 of 7 clips would be retired" in memdub.err
    assert len(clips_of(root / "home")) == left


def test_a_dry_run_says_and_changes_nothing(raw: Path, root: Path, memdub: Shell) -> None:
    assert memdub("refresh", "--dry-run", "--json") == 0
    told = json.loads(memdub.out)
    assert (told["people"][0]["taken"], told["people"][0]["extracted"]) == (7, 7)
    assert not (root / "home" / "ledger").exists()
    assert not (root / "home" / ".leases").exists()


COUNTED = ("taken", "returned", "retired", "quarantined", "waiting", "clips", "extracted")


def told(result: Refreshed) -> tuple[list[int], dict[str, str]]:
    return [getattr(result.people[0], name) for name in COUNTED], became(result)


@pytest.mark.parametrize("limit", [None, 3])
def test_a_dry_run_foretells_the_refresh(raw: Path, root: Path, limit: int | None) -> None:
    """New, changed, renamed, copied, back again, gone, bad, known to be bad: each as it will be."""
    (raw / "bad.mp4").write_bytes(b"no film at all" * 100)
    refresh()
    (raw / "5.mp4").rename(root / "aside.mp4")
    refresh()
    (root / "aside.mp4").rename(raw / "5 again.mp4")
    (raw / "0.mp4").rename(raw / "nought.mp4")
    (raw / "4.mp4").unlink()
    film(raw / "3.mp4", seed=33)
    film(raw / "new.mp4", seed=34)
    for former, copy in (("1.mp4", "a twin.mp4"), ("new.mp4", "old.mp4"), ("bad.mp4", "as bad.mp4")):
        shutil.copyfile(raw / former, raw / copy)
    (raw / "as bad as that.mp4").write_bytes(b"no film either" * 100)
    before = state(root / "home")
    foretold = refresh(dry_run=True, limit=limit, allow_shrink=True)
    assert state(root / "home") == before
    assert told(foretold) == told(refresh(limit=limit, allow_shrink=True))


def test_a_dry_run_with_a_limit_extracts_no_more(raw: Path, root: Path) -> None:
    assert refresh(limit=2, dry_run=True).people[0].extracted == 2
    (found,) = refresh(limit=2, dry_run=True).people
    assert (found.taken, found.waiting) == (2, 5)


def test_a_dry_run_knows_a_puppets_folder(raw: Path, root: Path) -> None:
    """Under a puppet's name only its own film may be taken."""
    record = root / "home/identities/anna/consent.toml"
    record.write_text(record.read_text() + "synthetic = true\n")
    foretold = told(refresh(dry_run=True))
    assert set(foretold[1].values()) == {"quarantined"}
    assert foretold == told(refresh())
