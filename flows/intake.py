"""A person's files for a refresh: what is to be taken, what came back, what went. Decides, changes nothing.

Called by `flows.refresh` and `flows.planning`; `flows.taking` does what is decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec

from storage import consent
from storage.artifacts import check_whole, find
from storage.errors import ConsentError, CorruptArtifact, MediaError, MemdubError
from storage.home import SLUG, Home
from storage.ledger import Ledger
from tasks.raw import is_video
from tasks.sources import Change, Look, Seen, compare, folders, is_as, look, unsettled

__all__ = [
    "LEFT",
    "Decision",
    "File",
    "Intake",
    "Person",
    "Taking",
    "everyone",
    "survey_files",
    "whole_in",
    "why_not",
]

Row = Mapping[str, Any]
# What became of files that the next refresh takes.
LEFT = frozenset({"failed", "copying", "unreadable", "later"})


@dataclass
class File:
    """A file in raw/ that is not as it was; `became` says what was done about it."""

    identity: str
    path: str  # relative to raw/<identity>
    became: str  # new, changed, back, copied, gone, quarantined, failed, copying, unreadable, later
    clip: str | None = None
    reason: str | None = None


@dataclass
class Person:
    """One row of the report."""

    identity: str
    files: int = 0
    unchanged: int = 0
    taken: int = 0
    returned: int = 0
    retired: int = 0
    quarantined: int = 0  # all that are, also from before
    waiting: int = 0
    clips: int = 0
    extracted: int = 0
    remembered: int = 0
    trained: int = 0
    blocked: str | None = None  # why nothing of them is touched


@dataclass
class Taking:
    """A file whose content is to become a clip, or is one already."""

    change: Change
    seen: Seen
    sha256: str
    error: MediaError | None = None  # what was wrong already as it was read

    def former(self) -> list[Row]:
        """What the ledger says of the file as it was, if that still counts."""
        known = self.change.known
        return [known] if known is not None and known["state"] != "gone" else []


@dataclass(frozen=True)
class Decision:
    """What is to be done about a file that was read."""

    became: str  # new, back, copied, bad
    clip: str | None = None  # that holds the same already
    error: MemdubError | None = None  # of a bad one


@dataclass
class Intake:
    """One person's files, and what is to be done."""

    person: Person
    look: Look
    known: dict[str, Row]
    clips: list[Row]  # retired ones too
    takings: list[Taking] = field(default_factory=list)
    later: list[Taking] = field(default_factory=list)  # for another time
    same: list[Change] = field(default_factory=list)
    touched: list[Taking] = field(default_factory=list)  # the same content with another time
    gone: list[Change] = field(default_factory=list)
    files: list[File] = field(default_factory=list)

    @property
    def identity(self) -> str:
        return self.person.identity

    @cached_property
    def live(self) -> frozenset[str]:
        """As they were found."""
        return frozenset(row["id"] for row in self.clips if row["retired_at"] is None)

    @cached_property
    def contents(self) -> frozenset[str]:
        return frozenset(row["source_sha256"] for row in self.clips)

    def note(self, path: str, became: str, clip: str | None = None, reason: str | None = None) -> None:
        self.files.append(File(self.identity, path, became, clip, reason))

    def stands(self, change: Change) -> bool:
        """Whether what the ledger says of a file still holds, its content being what it was."""
        known = change.known
        if known is None:
            return False
        if known["state"] == "done":
            return known["clip"] in self.live
        # Somebody may have ingested it by hand, with other options, since it was refused.
        return known["clip"] is not None or known["sha256"] not in self.contents

    def former(self) -> list[Row]:
        """What the ledger says of files that are gone, or that hold something else now."""
        gone = [one.known for one in self.gone if one.known is not None]
        return gone + [row for one in self.takings if one.error is None for row in one.former()]

    def decide(self, taking: Taking, is_whole: Callable[[str], bool]) -> Decision:
        """Whether there is a clip of this content, or it is known to be bad; else it is new."""
        if taking.error is not None:
            return Decision("bad", error=taking.error)
        for row in self.clips:
            if row["source_sha256"] == taking.sha256 and is_whole(row["id"]):
                return Decision("copied" if row["retired_at"] is None else "back", row["id"])
        for row in self.known.values():
            if row["state"] == "quarantined" and row["sha256"] == taking.sha256 and row["clip"] is None:
                error = MediaError(str(row["reason"]), where=taking.seen.where, do="replace it")
                return Decision("bad", error=error)
        return Decision("new")

    def still_comes(self, home: Home, taking: Taking, error: MemdubError) -> str | None:
        """How we know that a file which was refused is not complete yet; None where it is."""
        if not is_as(taking.seen):
            return "changes while we look"
        young = abs(taking.seen.age_s) < home.settings.settle_seconds
        if young and taking.error is None and isinstance(error, MediaError):
            return f"{error.what}, and it was written a moment ago"
        return None

    def unheld(self, rows: Iterable[Row]) -> set[str]:
        """Live clips that only these files held: they are gone, or hold something else now."""
        former = list(rows)
        paths = {row["path"] for row in former}
        rest = [row for path, row in self.known.items() if path not in paths and row["state"] != "gone"]
        held = {row["sha256"] for row in rest} | {
            one.sha256 for one in (*self.takings, *self.later, *self.touched)
        }
        kept = {row["clip"] for row in rest}
        names, contents = {row["clip"] for row in former}, {row["sha256"] for row in former}
        return {
            row["id"]
            for row in self.clips
            if row["id"] in self.live
            and (row["id"] in names or row["source_sha256"] in contents)
            and row["source_sha256"] not in held
            and row["id"] not in kept
        }


def whole_in(home: Home, ledger: Ledger, identity: str) -> Callable[[str], bool]:
    """Whether a clip of this person is there, with all of its files."""

    def is_whole(name: str) -> bool:
        clip = find(ledger, name, identity)
        if clip is None:
            return False
        try:
            check_whole(home, clip)
        except CorruptArtifact:
            return False
        return True

    return is_whole


def everyone(home: Home, ledger: Ledger) -> list[str]:
    """Whoever has a folder in raw/, or had one."""
    known = {key.split("/")[2].removeprefix("slug=") for key in ledger.tables["sources"].files()}
    return sorted({*folders(home), *known})


def why_not(home: Home, name: str) -> str | None:
    """Why nothing of this folder may be touched; None if it may."""
    if is_video(name):
        return "belongs to nobody: put it into a folder with a person's name"
    if not SLUG.fullmatch(name):
        return "not a name for an identity: a-z, 0-9, '_' and '-'"
    try:
        consent.require(home, name, "ingest")
    except ConsentError as error:
        return error.what
    return None


def survey_files(
    home: Home, ledger: Ledger, identity: str, *, tell: Callable[[str], None], read: bool = True
) -> Intake:
    """What became of this person's files; with `read` off none is opened, and what is new stays a guess."""
    known = {row["path"]: row for row in ledger.sources(identity)}
    clips = ledger.tables["clips"].read(partition=f"slug={identity}").to_pylist()
    committed = set(ledger.tables["artifacts"].read(["id"], f"slug={identity}")["id"].to_pylist())
    seen = look(home, identity)
    person = Person(identity, files=len(seen.files))
    intake = Intake(person, seen, known, [row for row in clips if row["id"] in committed])
    for path, reason in seen.copying.items():
        intake.note(path, "copying", reason=reason)
    for path, reason in seen.unreadable.items():
        intake.note(path, "unreadable", reason=reason)
    unsure: list[Change] = []
    for change in compare(seen, list(known.values()), trusting=not read):
        if change.kind == "gone":
            intake.gone.append(change)
        elif change.kind == "same" and intake.stands(change):
            intake.same.append(change)
        else:
            unsure.append(change)
    if read and unsure:
        _read(home, intake, unsure, tell)
    elif unsure:
        # A file that was moved keeps its number and its times.
        as_was = {(row["bytes"], row["mtime_ns"], row["inode"]): row["sha256"] for row in known.values()}
        seen_now = [(one, one.seen) for one in unsure if one.seen is not None]
        intake.takings = [
            Taking(one, file, as_was.get((file.bytes, file.mtime_ns, file.inode), ""))
            for one, file in seen_now
        ]
    person.unchanged = len(intake.same) + len(intake.touched)
    return intake


def _read(home: Home, intake: Intake, unsure: list[Change], tell: Callable[[str], None]) -> None:
    files = [change.seen for change in unsure if change.seen is not None]
    moving = unsettled(files)
    for path, reason in moving.items():
        intake.note(path, "copying", reason=reason)
    rest = [change for change in unsure if change.path not in moving]
    if len(rest) > 1:
        tell(f"{intake.identity}: reading {len(rest)} files")
    for change in rest:
        taking = _digested(home, intake, change)
        if taking is None:
            continue
        known = change.known
        same = known is not None and known["state"] != "gone" and known["sha256"] == taking.sha256
        if same and intake.stands(change):
            intake.touched.append(taking)
        else:
            intake.takings.append(taking)


def _digested(home: Home, intake: Intake, change: Change) -> Taking | None:
    """The file with its content's hash; None, with a note, where that cannot be had now."""
    seen = change.seen
    assert seen is not None
    try:
        taking = Taking(change, seen, _hash(home, seen))
    except MediaError as error:
        if isinstance(error.__cause__, OSError):
            intake.note(seen.path, "unreadable", reason=error.what)
            return None
        taking = Taking(change, seen, "", error)
    except OSError as error:
        intake.note(seen.path, "unreadable", reason=f"cannot be read ({error.strerror})")
        return None
    if not is_as(seen):
        intake.note(seen.path, "copying", reason="changed while it was read")
        return None
    return taking


def _hash(home: Home, seen: Seen) -> str:
    from tasks.footage import hash_footage

    if "://" not in seen.where:
        return hash_footage(Path(seen.where), home.settings)
    with fsspec.open(seen.where, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
