"""Consent on the command line: no way round it, and no record left by a request that was refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pytest

from storage import consent
from storage.home import Home
from storage.ledger import Ledger
from tests.flows.conftest import Shell, everything_in, refused
from tests.helpers.footage import RECORD, film, keep_consent

SHORT = ("--text", "Hello there.", "--size", 64)


def record(path: Path, *, scope: str = '["ingest"]', expires: str = "2999-01-01", more: str = "") -> Path:
    path.write_text(RECORD.format(scope=scope, expires=expires) + more)
    return path


def test_real_footage_is_not_taken_under_a_puppets_name(memdub: Shell, root: Path) -> None:
    assert memdub("puppet", "obama", *SHORT, "--json") == 0, memdub.err
    made = json.loads(memdub.out)
    refused(memdub, root, film(root / "a.mp4"), "--identity", "obama", line="no film of a puppet")
    assert memdub.err.startswith(f"memdub: {root / 'a.mp4'}: obama is a puppet")
    copied = shutil.copy(made["puppets"][0]["video"], root / "copied.mp4")
    assert memdub("ingest", copied, "--identity", "obama") == 0
    # A film whose puppet the ledger lost is anybody's.
    Ledger(Home().objects).tables["artifacts"].remove(
        lambda rows: pc.equal(rows["id"], made["puppets"][0]["id"])
    )
    refused(memdub, root, copied, "--identity", "obama", line="no film of a puppet")


def test_a_puppet_does_not_take_a_real_persons_name(memdub: Shell, root: Path) -> None:
    before = everything_in(root / "home")
    assert memdub("puppet", "anna", *SHORT) == 2
    assert "belongs to a real person" in memdub.err
    assert everything_in(root / "home") == before
    assert not consent.read(Home(), "anna").synthetic


@pytest.mark.parametrize(
    "words", [("--text", ""), ("--text", "..."), ("--language", "xx-none", "--text", "a"), ("--size", 65)]
)
def test_a_puppet_that_cannot_be_filmed_takes_no_name(memdub: Shell, root: Path, words: tuple[str]) -> None:
    before = everything_in(root / "home")
    assert memdub("puppet", "hans", *words) == 2, memdub.err
    assert memdub.err.count("\n") == 1
    assert everything_in(root / "home") == before
    assert consent.identities(Home()) == ["anna"]


@pytest.mark.parametrize("command", [["puppet", "hans"], ["demo"]])
def test_a_home_without_folders_is_refused_before_filming(
    memdub: Shell, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("MEMDUB_HOME", "s3://bucket/home")
    monkeypatch.setattr("tasks.puppet.film", lambda *_a, **_k: pytest.fail("it was filmed"))
    monkeypatch.setattr("tasks.puppet.rehearse", lambda *_a, **_k: pytest.fail("it was rehearsed"))
    assert memdub(*command) == 2
    assert "needs a local folder" in memdub.err


def test_a_record_is_kept_with_the_footage(memdub: Shell, root: Path) -> None:
    brought = record(root / "bob.toml")
    assert memdub("ingest", film(root / "a.mp4"), "--identity", "bob", "--consent", brought) == 0
    assert consent.identities(Home()) == ["anna", "bob"]


@pytest.mark.parametrize("kind", ["missing", "text", "empty folder", "silent"])
def test_a_record_without_footage_is_not_kept(memdub: Shell, root: Path, kind: str) -> None:
    brought, what = record(root / "bob.toml"), root / "what.mp4"
    if kind == "text":
        what.write_text("no video\n" * 100)
    elif kind == "empty folder":
        what.mkdir()
    elif kind == "silent":
        film(what, sound=False)
    refused(memdub, root, what, "--identity", "bob", "--consent", brought, line="what.mp4: ")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"expires": "2024-01-01"}, "consent expired on 2024-01-01"),
        ({"scope": '["dub"]'}, "consent covers dub, not ingest"),
        ({"more": "synthetic = true\n"}, "belongs to a real person"),
    ],
)
def test_a_record_that_does_not_help_replaces_none(
    memdub: Shell, root: Path, change: dict[str, str], line: str
) -> None:
    kept = root / "home" / "identities" / "anna" / "consent.toml"
    before = kept.read_bytes()
    brought = record(root / "new.toml", **change)
    refused(memdub, root, film(root / "a.mp4"), "--identity", "anna", "--consent", brought, line=line)
    assert kept.read_bytes() == before


@pytest.mark.parametrize("kind", ["pipe", "device", "large", "empty name"])
def test_a_record_that_is_no_file(memdub: Shell, root: Path, kind: str) -> None:
    path = {"device": "/dev/zero", "empty name": ""}.get(kind, str(root / "record"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        record(Path(path), more="#" * 70_000)
    refused(memdub, root, film(root / "a.mp4"), "--identity", "bob", "--consent", path, line="consent")


def test_status_with_records_that_are_none(memdub: Shell, root: Path) -> None:
    home = root / "home"
    assert memdub("ingest", film(root / "a.mp4"), "--identity", "anna") == 0
    for name, text in {
        "broken": "subject = ",
        "nested": "a = " + "[" * 30_000,
        "later": RECORD.format(scope='["ingest"]', expires="2999-01-01").replace("2020", "2998"),
        "Not A Slug": "",
    }.items():
        (home / "identities" / name).mkdir()
        (home / "identities" / name / "consent.toml").write_text(text)
    keep_consent(home, "old", expires="2024-01-01")
    (home / "identities" / "anna" / "consent.toml").unlink()
    assert memdub("status", "--json") == 0, memdub.err
    people = {person["name"]: person["consent"] for person in json.loads(memdub.out)["identities"]}
    assert people == {
        "anna": "none",
        "broken": "broken record",
        "nested": "broken record",
        "later": "from 2998-01-01",
        "old": "expired 2024-01-01",
    }
