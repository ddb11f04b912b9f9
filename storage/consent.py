"""Consent: no stage touches a person without a record that covers it.

`identities/<slug>/consent.toml` says who, what for, until when and given by whom. Called by `tasks`
before any work on an identity, and by `flows` to list and to store records.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from storage.errors import ConsentError, WorkError
from storage.home import SLUG, Home, check_slug
from storage.objects import Version

__all__ = [
    "Consent",
    "Purpose",
    "examine",
    "identities",
    "parse",
    "read",
    "require",
    "store",
    "write_synthetic",
]

Purpose = Literal["ingest", "train", "dub"]
FIELDS = {"subject", "scope", "given_by", "given_on", "expires", "purpose", "synthetic"}
MOST_BYTES = 64 * 1024
EXAMPLE = (
    'it needs subject, scope = ["ingest", "train", "dub"], given_by, given_on, expires, purpose '
    "(dates as 2026-01-31)"
)


@dataclass(frozen=True)
class Consent:
    """What a person agreed to."""

    identity: str
    subject: str
    scope: frozenset[str]
    given_by: str
    given_on: dt.date
    expires: dt.date
    purpose: str
    synthetic: bool = False

    def refusal(self, purpose: Purpose, today: dt.date) -> str | None:
        """Why this record does not allow `purpose` today; None if it does."""
        if purpose not in self.scope:
            return f"consent covers {', '.join(sorted(self.scope)) or 'nothing'}, not {purpose}"
        if today > self.expires:
            return f"consent expired on {self.expires}"
        if today < self.given_on:
            return f"consent begins on {self.given_on}"
        return None


def require(home: Home, identity: str, purpose: Purpose, *, today: dt.date | None = None) -> Consent:
    """The identity's record, if it allows `purpose`; raises ConsentError if not."""
    return _allowing(read(home, identity), purpose, today, home.uri(_key(identity)))


def read(home: Home, identity: str) -> Consent:
    """The identity's record; raises ConsentError where there is none or it is not whole.

    What cannot be read now allows nothing either, but says nothing of the person: that is a WorkError.
    """
    where = home.uri(_key(check_slug(identity)))
    try:
        content = _stored(home, identity)
    except OSError as error:
        what = f"{identity}'s consent record cannot be read ({error.strerror or error})"
        raise WorkError(what, where=where, do="run again when it can") from error
    if content is None:
        do = f"write that file, or add --consent FILE; {EXAMPLE}"
        raise ConsentError(f"{identity} has no consent record", where=where, do=do)
    return parse(identity, content, where)


def parse(identity: str, content: bytes, where: object) -> Consent:
    """A record from TOML; raises ConsentError saying which field is wrong."""
    try:
        fields = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConsentError(f"not a TOML file ({error})", where=where, do=EXAMPLE) from error
    unknown, missing = set(fields) - FIELDS, FIELDS - {"synthetic"} - set(fields)
    if unknown or missing:
        words = [f"{name} is missing" for name in sorted(missing)]
        words += [f"{name} is not a field" for name in sorted(unknown)]
        raise ConsentError(", ".join(words), where=where, do=EXAMPLE)
    return Consent(identity=identity, **_typed(fields, where))


def examine(
    home: Home, identity: str, source: Path, purpose: Purpose, *, today: dt.date | None = None
) -> Consent:
    """The record that a user brings, if it allows `purpose` and may become the identity's; stores nothing."""
    return _examined(home, identity, source, purpose, today)[0]


def store(
    home: Home, identity: str, source: Path, purpose: Purpose = "ingest", *, today: dt.date | None = None
) -> Consent:
    """Examine a record that the user brings and keep it as the identity's."""
    consent, content, version = _examined(home, identity, source, purpose, today)
    if not _write(home, identity, content, version):
        what = "the record was changed by another process at the same time"
        raise ConsentError(what, where=home.uri(_key(identity)), do="run again")
    return consent


def write_synthetic(home: Home, identity: str, subject: str, *, today: dt.date | None = None) -> Consent:
    """The record of a person who does not exist; raises ConsentError where the name is a real person's."""
    given = today or dt.date.today()
    content = (
        f'subject = "{subject}"\nscope = ["ingest", "train", "dub"]\ngiven_by = "memdub"\n'
        f"given_on = {given}\nexpires = {given.replace(year=given.year + 100, day=min(given.day, 28))}\n"
        'purpose = "a puppet made by memdub; nobody is shown"\nsynthetic = true\n'
    ).encode()
    _write(home, check_slug(identity), content, None)
    held = read(home, identity)
    if not held.synthetic:
        raise ConsentError("this name belongs to a real person", where=identity, do="choose another name")
    return held


def identities(home: Home) -> list[str]:
    """Everyone who has a record."""
    keys = home.objects.versions("identities")
    names = {key.split("/")[1] for key in keys if key.endswith("/consent.toml") and key.count("/") == 2}
    return sorted(name for name in names if SLUG.fullmatch(name))


def _allowing(consent: Consent, purpose: Purpose, today: dt.date | None, where: object) -> Consent:
    refusal = consent.refusal(purpose, today or dt.date.today())
    if refusal is not None:
        raise ConsentError(refusal, where=where, do="ask the person, then update the record")
    return consent


def _examined(
    home: Home, identity: str, source: Path, purpose: Purpose, today: dt.date | None
) -> tuple[Consent, bytes, Version | None]:
    """The record, its text, and the version of the record that it would replace."""
    try:
        content = _small_file(source)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise ConsentError(what, where=source, do="name a consent.toml") from error
    consent = _allowing(parse(check_slug(identity), content, source), purpose, today, source)
    held = home.objects.read(_key(identity)) if identity in identities(home) else None
    if held is not None and _is_synthetic(identity, held[0]) not in (None, consent.synthetic):
        other = "a real person" if consent.synthetic else "a puppet"
        raise ConsentError(f"this name belongs to {other}", where=identity, do="choose another name")
    return consent, content, held[1] if held else None


def _is_synthetic(identity: str, content: bytes) -> bool | None:
    """None for a record that is not whole: it may be replaced by any that is."""
    try:
        return parse(identity, content, identity).synthetic
    except ConsentError:
        return None


def _stored(home: Home, identity: str) -> bytes | None:
    """The record's text; None where there is none."""
    if not home.is_local:
        held = home.objects.read(_key(identity))
        return None if held is None else held[0]
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return _small_file(home.path(_key(identity)))
    return None


def _small_file(path: Path) -> bytes:
    """What is in it; a pipe or a device could keep us waiting for ever, so they are refused unopened."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ConsentError("not a regular file", where=path, do="name a consent.toml")
    if state.st_size > MOST_BYTES:
        what = f"is {state.st_size} bytes, and no record is larger than {MOST_BYTES}"
        raise ConsentError(what, where=path, do="name a consent.toml")
    return path.read_bytes()


def _typed(fields: dict[str, Any], where: object) -> dict[str, Any]:
    expected: dict[str, type] = {
        "subject": str,
        "scope": list,
        "given_by": str,
        "given_on": dt.date,
        "expires": dt.date,
        "purpose": str,
        "synthetic": bool,
    }
    for name, value in fields.items():
        if not isinstance(value, expected[name]) or isinstance(value, dt.datetime) or value in ("", []):
            raise ConsentError(f"{name} = {value!r} is not usable", where=where, do=EXAMPLE)
    strange = [word for word in fields["scope"] if word not in get_args(Purpose)]
    if strange:
        raise ConsentError(f"scope has {strange[0]!r}", where=where, do=EXAMPLE)
    return {**fields, "scope": frozenset(fields["scope"])}


def _write(home: Home, identity: str, content: bytes, version: Version | None) -> bool:
    """Whether it was written: only if the record is still that version (None: if there is none)."""
    key = _key(identity)
    with home.objects.exclusive(key.rpartition("/")[0]):
        return home.objects.write_if(key, content, version)


def _key(identity: str) -> str:
    return f"identities/{identity}/consent.toml"
