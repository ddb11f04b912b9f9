"""Consent: no stage touches a person without a record that covers it.

`identities/<slug>/consent.toml` says who, what for, until when and given by whom. Called by `tasks`
before any work on an identity, and by `flows` to list and to store records.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import fsspec

from storage.errors import ConsentError
from storage.home import Home, check_slug

__all__ = ["Consent", "Purpose", "identities", "parse", "read", "require", "store", "write_synthetic"]

Purpose = Literal["ingest", "train", "dub"]
FIELDS = {"subject", "scope", "given_by", "given_on", "expires", "purpose", "synthetic"}
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
    consent = read(home, identity)
    refusal = consent.refusal(purpose, today or dt.date.today())
    if refusal is not None:
        where = home.uri(_key(identity))
        raise ConsentError(refusal, where=where, do="ask the person, then update the record")
    return consent


def read(home: Home, identity: str) -> Consent:
    """The identity's record; raises ConsentError where there is none or it is not whole."""
    where = home.uri(_key(check_slug(identity)))
    try:
        with fsspec.open(where, "rb") as file:
            content = file.read()
    except OSError as error:
        do = f"write that file, or add --consent FILE; {EXAMPLE}"
        raise ConsentError(f"{identity} has no consent record", where=where, do=do) from error
    return parse(identity, content, where)


def parse(identity: str, content: bytes, where: object) -> Consent:
    """A record from TOML; raises ConsentError saying which field is wrong."""
    try:
        fields = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConsentError(f"not a TOML file ({error})", where=where, do=EXAMPLE) from error
    unknown, missing = set(fields) - FIELDS, FIELDS - {"synthetic"} - set(fields)
    if unknown or missing:
        words = [f"{name} is missing" for name in sorted(missing)]
        words += [f"{name} is not a field" for name in sorted(unknown)]
        raise ConsentError(", ".join(words), where=where, do=EXAMPLE)
    return Consent(identity=identity, **_typed(fields, where))


def store(home: Home, identity: str, source: Path) -> Consent:
    """Check a record that the user brings and keep it as the identity's."""
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ConsentError("cannot be read", where=source, do="name a consent.toml") from error
    consent = parse(check_slug(identity), content, source)
    _write(home, identity, content)
    return consent


def write_synthetic(home: Home, identity: str, subject: str, *, today: dt.date | None = None) -> Consent:
    """The record of a person who does not exist."""
    given = today or dt.date.today()
    content = (
        f'subject = "{subject}"\nscope = ["ingest", "train", "dub"]\ngiven_by = "memdub"\n'
        f"given_on = {given}\nexpires = {given.replace(year=given.year + 100, day=min(given.day, 28))}\n"
        'purpose = "a puppet made by memdub; nobody is shown"\nsynthetic = true\n'
    ).encode()
    _write(home, identity, content)
    return parse(identity, content, _key(identity))


def identities(home: Home) -> list[str]:
    """Everyone who has a record."""
    keys = home.objects.versions("identities")
    return sorted({key.split("/")[1] for key in keys if key.endswith("/consent.toml")})


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


def _write(home: Home, identity: str, content: bytes) -> None:
    key = _key(identity)
    with home.objects.exclusive(key.rpartition("/")[0]):
        held = home.objects.read(key)
        home.objects.write_if(key, content, held[1] if held else None)


def _key(identity: str) -> str:
    return f"identities/{identity}/consent.toml"
