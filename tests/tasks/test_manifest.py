"""Manifests: signed, readable, and no byte of a file may change unnoticed."""

from __future__ import annotations

import datetime as dt
import random
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from storage.errors import RequestError
from storage.home import Home, Settings
from tasks import credentials
from tasks.credentials import certificate_of, credentials_of
from tasks.manifest import Claim, Ingredient, examine, sign
from tests.helpers.footage import film

CLAIM = Claim(
    "dub-0123",
    "painted",
    [Ingredient("template", "clip-1", "video/mp4"), Ingredient("speech", "sha256:ab", "audio/wav")],
)


@pytest.fixture
def signed(tmp_path: Path, home: Home) -> Path:
    source = film(tmp_path / "film.mp4", seconds=0.5)
    sign(source, tmp_path / "signed.mp4", CLAIM, credentials_of(home))
    return tmp_path / "signed.mp4"


def test_it_says_what_it_is(signed: Path, home: Home) -> None:
    found = examine(signed, certificate_of(home))
    assert found is not None
    assert found.problems == ()
    assert found.trusted
    assert found.made_by_model
    assert found.claim["recipe"] == "dub-0123"
    assert found.claim["ingredients"] == {"template": "clip-1", "speech": "sha256:ab"}
    assert found.generator.startswith("memdub ")
    stranger = examine(signed)
    assert stranger is not None
    assert stranger.problems == ()
    assert not stranger.trusted, "nobody vouches for a home's own certificate"


def test_no_byte_changes_unnoticed(signed: Path, tmp_path: Path) -> None:
    whole, draw = signed.read_bytes(), random.Random(0)
    places = {*range(40), *range(len(whole) - 100, len(whole)), *draw.sample(range(len(whole)), 60)}
    for place in sorted(places):
        changed = bytearray(whole)
        changed[place] ^= 1 << draw.randrange(8)
        (tmp_path / "changed.mp4").write_bytes(changed)
        found = examine(tmp_path / "changed.mp4")
        assert found is None or found.problems, f"byte {place} of {len(whole)}"


@pytest.mark.parametrize("change", ["cut", "longer", "unsealed", "half"])
def test_nothing_is_cut_off_or_added(signed: Path, change: str) -> None:
    whole = signed.read_bytes()
    parts = {
        "cut": whole[:-1],
        "longer": whole + b"x",
        "unsealed": whole[:-88],
        "half": whole[: len(whole) // 2],
    }
    signed.write_bytes(parts[change])
    found = examine(signed)
    assert found is not None
    assert found.problems


def test_what_has_no_manifest(tmp_path: Path) -> None:
    assert examine(film(tmp_path / "film.mp4", seconds=0.2)) is None
    (tmp_path / "words.mp4").write_text("no film")
    assert examine(tmp_path / "words.mp4") is None
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert examine(tmp_path / "empty.mp4") is None
    for missing in (tmp_path, tmp_path / "nothing.mp4"):
        with pytest.raises(RequestError):
            examine(missing)


def test_a_home_signs_with_one_certificate_that_only_its_owner_reads(home: Home) -> None:
    assert certificate_of(home) is None
    first = credentials_of(home)
    assert credentials_of(home) == first
    assert certificate_of(home) == first.chain
    path = home.path(credentials.KEPT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"PRIVATE" not in first.chain
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def keep(folder: Path, chain: bytes, key: bytes) -> dict[str, str]:
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(key)
    return {"c2pa_certificate": str(folder / "chain.pem"), "c2pa_key": str(folder / "key.pem")}


def test_the_users_own_certificate(tmp_path: Path, home: Home) -> None:
    theirs = credentials_of(Home(tmp_path / "other"))
    configured = Home(home.url, Settings(**keep(tmp_path, theirs.chain, theirs.key)))  # type: ignore[arg-type]
    assert credentials_of(configured).fingerprint == theirs.fingerprint
    assert not home.path(credentials.KEPT).exists(), "none is made where one is configured"


def test_certificates_that_will_not_do(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = credentials_of(Home(tmp_path / "other"))
    stranger = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    def refused(told: dict[str, str], line: str) -> None:
        with pytest.raises(RequestError, match=line):
            credentials_of(Home(home.url, Settings(**told)))  # type: ignore[arg-type]

    refused(keep(tmp_path, theirs.chain, stranger), "not this certificate's")
    refused(keep(tmp_path, b"nonsense", theirs.key), "not a certificate and a key")
    refused({"c2pa_key": "key.pem"}, "one of the two is missing")
    refused({"c2pa_certificate": "/nowhere", "c2pa_key": "/nowhere"}, "cannot be read")

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Later:
            return cls(2060, 1, 1, tzinfo=tz)

    monkeypatch.setattr(credentials.dt, "datetime", Later)
    refused(keep(tmp_path, theirs.chain, theirs.key), "ended on 2036")
