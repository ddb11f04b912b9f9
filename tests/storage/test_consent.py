"""Nobody is touched without a record that covers it."""

from __future__ import annotations

import datetime as dt
import errno
import os
from pathlib import Path

import pytest

from storage import consent
from storage.errors import ConsentError, RequestError, WorkError
from storage.home import Home

RECORD = """
subject = "Anna Example"
scope = ["ingest", "train"]
given_by = "Anna Example"
given_on = 2026-01-01
expires = 2026-12-31
purpose = "a course"
"""
JUNE = dt.date(2026, 6, 1)


def keep(home: Home, text: str, identity: str = "anna") -> None:
    path = home.path(f"identities/{identity}/consent.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_record_allows_its_scope_until_it_expires(home: Home) -> None:
    keep(home, RECORD)
    record = consent.require(home, "anna", "train", today=dt.date(2026, 6, 1))
    assert record.subject == "Anna Example"
    assert consent.require(home, "anna", "ingest", today=dt.date(2026, 12, 31))
    assert consent.identities(home) == ["anna"]


@pytest.mark.parametrize(
    ("purpose", "day", "words"),
    [
        ("dub", dt.date(2026, 6, 1), "covers ingest, train, not dub"),
        ("train", dt.date(2027, 1, 1), "expired on 2026-12-31"),
        ("train", dt.date(2025, 12, 31), "begins on 2026-01-01"),
    ],
)
def test_what_it_does_not_cover_is_refused(
    home: Home, purpose: consent.Purpose, day: dt.date, words: str
) -> None:
    keep(home, RECORD)
    with pytest.raises(ConsentError, match=words):
        consent.require(home, "anna", purpose, today=day)


def test_no_record_is_refused_with_the_place_to_put_one(home: Home) -> None:
    with pytest.raises(ConsentError, match=r"identities/bob/consent\.toml: bob has no consent record"):
        consent.require(home, "bob", "ingest")


def test_a_file_where_the_folder_should_be_is_no_record(home: Home) -> None:
    home.path("identities").mkdir(parents=True)
    home.path("identities/bob").write_text("in the way")
    with pytest.raises(ConsentError, match="bob has no consent record"):
        consent.require(home, "bob", "ingest")


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_record_that_cannot_be_read_now_is_not_a_refusal(
    home: Home, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nothing is allowed, but nobody is skipped for good either: the same may be tried again."""
    keep(home, RECORD)

    def ails(path: Path) -> bytes:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "read_bytes", ails)
    with pytest.raises(WorkError, match=rf"anna's consent record cannot be read \({os.strerror(number)}\)"):
        consent.require(home, "anna", "ingest", today=JUNE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("purpose", "porpoise"), "purpose is missing, porpoise is not a field"),
        (('"train"]', '"fly"]'), "scope has 'fly'"),
        (("2026-12-31", '"soon"'), "expires = 'soon' is not usable"),
        (('"Anna Example"\nscope', '""\nscope'), "subject = '' is not usable"),
        (("= [", "= ["[:1]), "not a TOML file"),
    ],
)
def test_a_record_that_is_not_whole_is_refused(home: Home, change: tuple[str, str], words: str) -> None:
    keep(home, RECORD.replace(*change, 1))
    with pytest.raises(ConsentError, match=words):
        consent.read(home, "anna")


@pytest.mark.parametrize("name", ["../x", "a b", "Obama", "", "-x", "x/y", "é", "a" * 64, ".x"])
def test_names_that_could_leave_their_folder_are_refused(home: Home, name: str) -> None:
    with pytest.raises(RequestError, match="not a name for an identity"):
        consent.read(home, name)


def test_a_brought_record_is_kept_only_if_it_is_whole(home: Home, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(RECORD)
    bad.write_text("subject = 1")
    with pytest.raises(ConsentError):
        consent.store(home, "anna", bad)
    assert consent.identities(home) == []
    consent.store(home, "anna", good, today=JUNE)
    assert consent.read(home, "anna").scope == {"ingest", "train"}


def test_a_puppets_record_says_that_nobody_is_shown(home: Home) -> None:
    consent.write_synthetic(home, "puppet", "Puppet 3", today=dt.date(2024, 2, 29))
    assert consent.require(home, "puppet", "dub", today=dt.date(2030, 1, 1)).synthetic


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("2026-12-31", "2026-05-31"), "expired on 2026-05-31"),
        (('["ingest", "train"]', '["dub"]'), "not ingest"),
    ],
)
def test_a_record_that_allows_less_replaces_none(
    home: Home, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    keep(home, RECORD)
    lesser = tmp_path / "lesser.toml"
    lesser.write_text(RECORD.replace(*change))
    with pytest.raises(ConsentError, match=words):
        consent.store(home, "anna", lesser, today=JUNE)
    assert consent.require(home, "anna", "ingest", today=JUNE)


def test_a_name_stays_a_persons_or_a_puppets(home: Home, tmp_path: Path) -> None:
    keep(home, RECORD)
    with pytest.raises(ConsentError, match="belongs to a real person"):
        consent.write_synthetic(home, "anna", "Puppet 3")
    assert not consent.read(home, "anna").synthetic
    real, puppets = tmp_path / "real.toml", tmp_path / "puppet.toml"
    real.write_text(RECORD)
    puppets.write_text(RECORD + "synthetic = true\n")
    with pytest.raises(ConsentError, match="belongs to a real person"):
        consent.store(home, "anna", puppets, today=JUNE)
    consent.write_synthetic(home, "puppet", "Puppet 3")
    with pytest.raises(ConsentError, match="belongs to a puppet"):
        consent.store(home, "puppet", real, today=JUNE)


@pytest.mark.parametrize("kind", ["pipe", "large", "folder", "nested"])
def test_files_that_are_no_records_are_refused_unread(home: Home, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "record.toml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text(RECORD + ("#" * 70_000 if kind == "large" else "a = " + "[" * 30_000))
    with pytest.raises(ConsentError):
        consent.store(home, "anna", path, today=JUNE)
    assert consent.identities(home) == []


def test_folders_that_are_nobody_are_left_out(home: Home) -> None:
    keep(home, RECORD)
    keep(home, RECORD, "Not A Slug")
    keep(home, RECORD, "anna/old")
    assert consent.identities(home) == ["anna"]
