"""Who signs: the user's own certificate, or one that a home makes once for itself.

The home's own says that a file came from this home and was not changed since; nobody else vouches for it, and
readers of C2PA say so ("untrusted"). Called by `tasks.manifest` and, before any work, by `flows.dub`.
"""

from __future__ import annotations

import datetime as dt
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from storage.errors import RequestError
from storage.home import Home

__all__ = ["Credentials", "certificate_of", "check_credentials", "credentials_of"]

KEPT = "keys/c2pa.pem"
_YEARS = 10
_BY_CURVE = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_SETTINGS = "MEMDUB_C2PA_CERTIFICATE and MEMDUB_C2PA_KEY"


@dataclass(frozen=True)
class Credentials:
    """A certificate with its chain, and the key that goes with it, as PEM."""

    chain: bytes
    key: bytes
    algorithm: str
    own: bool  # the home's, for which nobody vouches

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate itself."""
        return x509.load_pem_x509_certificate(self.chain).fingerprint(hashes.SHA256()).hex()


def credentials_of(home: Home) -> Credentials:
    """The configured ones, or the home's own, which are made when they are first asked for."""
    certificate, key = home.settings.c2pa_certificate, home.settings.c2pa_key
    if bool(certificate) != bool(key):
        raise RequestError("one of the two is missing", where=_SETTINGS, do="set both, or neither")
    if certificate:
        return _checked(_read(Path(certificate)), _read(Path(key)), f"{certificate}, {key}", own=False)
    if not home.is_local:
        what = "a home in a bucket is no place for a private key"
        raise RequestError(what, where=home.url, do=f"set {_SETTINGS}")
    path = home.path(KEPT)
    if not path.exists():
        _make(path)
    held = _read(path)
    return _checked(held, held, str(path), own=True)


def check_credentials(home: Home) -> None:
    """Raises a RequestError where `credentials_of` would; makes none."""
    configured = home.settings.c2pa_certificate or home.settings.c2pa_key
    if configured or not home.is_local or home.path(KEPT).exists():
        credentials_of(home)


def certificate_of(home: Home) -> bytes | None:
    """The chain with which this home signs, if it has signed anything yet; makes none."""
    with suppress(RequestError):
        configured = home.settings.c2pa_certificate
        if configured or (home.is_local and home.path(KEPT).exists()):
            return credentials_of(home).chain
    return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise RequestError(what, where=path, do=f"correct {_SETTINGS}") from error


def _checked(chain: bytes, key: bytes, where: str, *, own: bool) -> Credentials:
    """Raises a RequestError where the two do not belong together, or not to today."""
    do = f"remove {where} to have another made" if own else f"correct {_SETTINGS}"
    try:
        leaf, secret = x509.load_pem_x509_certificate(chain), serialization.load_pem_private_key(key, None)
        algorithm = _algorithm(secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = f"not a certificate and a key without password ({' '.join(str(error).split())[:80]})"
        raise RequestError(what, where=where, do=do) from error
    if _public(secret.public_key()) != _public(leaf.public_key()):
        raise RequestError("the key is not this certificate's", where=where, do=do)
    now = dt.datetime.now(dt.UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise RequestError(
            f"the certificate ended on {leaf.not_valid_after_utc:%Y-%m-%d}", where=where, do=do
        )
    parts = [chain[a:b] for a, b in _certificates(chain)]
    plain = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Credentials(b"\n".join(parts) + b"\n", plain, algorithm, own)


def _certificates(pem: bytes) -> list[tuple[int, int]]:
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    found, at = [], pem.find(begin)
    while at >= 0:
        stop = pem.index(end, at) + len(end)
        found.append((at, stop))
        at = pem.find(begin, stop)
    return found


def _public(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _algorithm(key: Any) -> str:
    """As C2PA names it."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _BY_CURVE:
        return _BY_CURVE[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise ValueError("C2PA signs with elliptic curves P-256 to P-521, Ed25519 or RSA")


def _make(path: Path) -> None:
    """A root that signs one leaf and is thrown away; of several processes one wins."""
    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    content = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for certificate in (_leaf(leaf, root), _root(root)):
        content += certificate.public_bytes(serialization.Encoding.PEM)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        with suppress(FileExistsError):
            path.hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)


def _name(common: str) -> x509.Name:
    parts = ((NameOID.ORGANIZATION_NAME, "memdub"), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


_ROOT, _LEAF = _name("memdub local development root"), _name("memdub local development certificate")


def _unsigned(subject: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    return (
        x509.CertificateBuilder(_ROOT, subject, key, x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * _YEARS))
        .add_extension(identifier, False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    """Either documents or certificates are signed."""
    return x509.KeyUsage(signs, False, False, False, False, not signs, not signs, False, False)


def _root(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    made = _unsigned(_ROOT, key.public_key())
    made = made.add_extension(x509.BasicConstraints(True, 0), True)
    return made.add_extension(_usage(signs=False), True).sign(key, hashes.SHA256())


def _leaf(key: ec.EllipticCurvePrivateKey, root: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    )
    made = _unsigned(_LEAF, key.public_key())
    made = made.add_extension(x509.BasicConstraints(False, None), True)
    made = made.add_extension(_usage(signs=True), True)
    # C2PA asks for one of a few purposes; this is the one that any tool can put into a certificate.
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return made.add_extension(by, False).sign(root, hashes.SHA256())
