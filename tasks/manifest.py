"""What a dub says of itself: a signed C2PA manifest inside the file, and a seal over every byte.

    sign(film, target, claim, credentials)       examine(path, chain) -> Examined

The manifest says that the file is made by a model, by which recipe and from what; persons and file names
are not in it. C2PA leaves parts of an MP4 out of its hash (file type, padding): the seal, a box of 64 digits
at the end, covers them too. Called by `tasks.dubbing.stage` and `flows.verify`.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from storage.errors import RequestError, WorkError
from tasks.credentials import Credentials

__all__ = ["Claim", "Examined", "Ingredient", "examine", "sign"]

_RECIPE = "org.memdub.recipe"
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MADE, _REDRAWN = f"{_SOURCES}compositeWithTrainedAlgorithmicMedia", f"{_SOURCES}trainedAlgorithmicMedia"
# A box that players skip: length, "free", a word, and the digits of a SHA-256.
_WORD = b"memdub-seal-0001"
_SEAL = 8 + len(_WORD) + 64
_UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True)
class Ingredient:
    """Something that a dub was made from, by its content's name."""

    role: str
    id: str
    format: str


@dataclass(frozen=True)
class Claim:
    """What is said of a dub."""

    recipe: str
    method: str
    ingredients: Sequence[Ingredient]


@dataclass(frozen=True)
class Examined:
    """What a file says of itself, and whether that holds."""

    problems: tuple[str, ...]  # none: signature and bytes hold
    signer: str = ""
    trusted: bool = False  # by the chain that was given
    generator: str = ""
    made_by_model: bool = False
    claim: Mapping[str, Any] = field(default_factory=dict)  # recipe, method, ingredients


def sign(film: Path, target: Path, claim: Claim, credentials: Credentials) -> None:
    """Write `film` to `target` with its manifest; whole, or not at all."""
    import c2pa  # type: ignore[import-untyped]

    info = c2pa.C2paSignerInfo(credentials.algorithm, credentials.chain, credentials.key, None)
    part = target.with_name(f".{uuid.uuid4().hex}.mp4")
    try:
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(_manifest(claim)) as builder:
            builder.sign_file(str(film), str(part), signer)
        _seal(part)
        part.replace(target)
    except c2pa.C2paError as error:
        raise WorkError(f"the manifest cannot be signed ({error})", where=target.name) from error
    finally:
        part.unlink(missing_ok=True)


def _manifest(claim: Claim) -> dict[str, Any]:
    agent = {"name": "memdub", "version": version("memdub")}
    created = {"action": "c2pa.created", "digitalSourceType": _MADE, "softwareAgent": agent}
    redrawn = {
        "action": "c2pa.edited",
        "digitalSourceType": _REDRAWN,
        "softwareAgent": {"name": f"memdub {claim.method}", "version": version("memdub")},
        "description": "The mouth is drawn anew to follow other speech.",
    }
    told = {
        "recipe": claim.recipe,
        "method": claim.method,
        "ingredients": {one.role: one.id for one in claim.ingredients},
        "sealed": True,
    }
    return {
        "claim_generator_info": [agent],
        "title": claim.recipe,
        "format": "video/mp4",
        "ingredients": [
            {"title": one.role, "format": one.format, "instance_id": one.id, "relationship": "inputTo"}
            for one in claim.ingredients
        ],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created, redrawn]}},
            {"label": _RECIPE, "data": told},
        ],
    }


def _digest(file: BinaryIO, size: int) -> bytes:
    """Of the first bytes of a file."""
    digest, left = hashlib.sha256(), size
    while left:
        block = file.read(min(left, 1 << 20))
        if not block:
            break
        digest.update(block)
        left -= len(block)
    return digest.hexdigest().encode()


def _seal(path: Path) -> None:
    with path.open("r+b") as file:
        digits = _digest(file, path.stat().st_size)
        file.seek(0, os.SEEK_END)
        file.write(_SEAL.to_bytes(4, "big") + b"free" + _WORD + digits)
        file.flush()
        os.fsync(file.fileno())


def _unsealed(path: Path) -> str | None:
    """What is wrong with the seal."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - _SEAL, 0))
        last = file.read()
        file.seek(0)
        head = _SEAL.to_bytes(4, "big") + b"free" + _WORD
        if last[: len(head)] != head:
            return "its seal is missing: something was cut off or added"
        if last[len(head) :] != _digest(file, size - _SEAL):
            return "its bytes are not those that were sealed"
    return None


def examine(path: Path, chain: bytes | None = None) -> Examined | None:
    """What the file says; None where it carries no manifest. `chain`: certificates that are trusted."""
    import c2pa

    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise RequestError(what, where=path, do="name a video file")
    try:
        with path.open("rb") as file:
            kind = _format(file)
            if kind is None:
                return None
            with c2pa.Reader(kind, file, context=_context(chain)) as reader:
                return _examined(path, json.loads(reader.json()))
    except OSError as error:
        raise RequestError(f"cannot be read ({error.strerror})", where=path, do="check the file") from error
    except c2pa.C2paError as error:
        if "ManifestNotFound" in type(error).__name__ or "ManifestNotFound" in str(error):
            return None
        return Examined((f"its manifest is damaged ({' '.join(str(error).split())[:100]})",))


def _format(file: BinaryIO) -> str | None:
    """Told by the content: a file's name may say anything."""
    head = file.read(12)
    file.seek(0)
    return "video/mp4" if head[4:8] in (b"ftyp", b"moov", b"styp") else None


def _context(chain: bytes | None) -> Any:
    import c2pa

    if chain is None:
        return None
    told = {"trust": {"user_anchors": chain.decode()}, "verify": {"verify_trust": True}}
    return c2pa.Context(c2pa.Settings.from_dict(told))


def _examined(path: Path, told: Mapping[str, Any]) -> Examined:
    active = told.get("manifests", {}).get(told.get("active_manifest"), {})
    found = told.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    problems = [_plain(one) for one in found if one.get("code") != _UNTRUSTED]
    if told.get("validation_state") == "Invalid" and not problems:
        problems.append("its manifest does not hold")
    claim = next(iter(_assertions(active, _RECIPE)), {})
    if claim.get("sealed"):
        problems += [wrong for wrong in (_unsealed(path),) if wrong]
    generator: dict[str, Any] = next(iter(active.get("claim_generator_info", [])), {})
    signed = active.get("signature_info", {})
    sources = [action.get("digitalSourceType", "") for action in _actions(active)]
    return Examined(
        tuple(problems),
        ", ".join(signed[name] for name in ("common_name", "issuer") if signed.get(name)),
        told.get("validation_state") == "Trusted",
        f"{generator.get('name', 'unknown')} {generator.get('version', '')}".strip(),
        any("lgorithmicMedia" in source for source in sources),
        claim,
    )


def _plain(failure: Mapping[str, Any]) -> str:
    code, said = failure.get("code", ""), failure.get("explanation", "")
    if "mismatch" in code:
        return f"its bytes are not those that were signed ({code})"
    return f"{said} ({code})"


def _assertions(manifest: Mapping[str, Any], label: str) -> Iterator[dict[str, Any]]:
    for one in manifest.get("assertions", []):
        if one.get("label") == label and isinstance(one.get("data"), dict):
            yield one["data"]


def _actions(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [*_assertions(manifest, "c2pa.actions.v2"), *_assertions(manifest, "c2pa.actions")]
    return [action for data in found for action in data.get("actions", [])]
