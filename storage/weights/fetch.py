"""Downloads one file whose checksum is known: all of it, checked, or nothing.

Private to `weights`: `Registry.fetch` asks for consent first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from storage.errors import WeightsError
from storage.weights.table import Weights

__all__ = ["download"]

_BLOCK = 2**18
_PATIENCE_S = 30


def download(weights: Weights, target: Path) -> None:
    """Put the file at `target`, once its size and checksum are what was pinned."""
    assert weights.url is not None
    _check_url(weights.name, weights.url)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            digest = _receive(weights, file)
            os.fsync(file.fileno())
        if digest != weights.sha256:
            raise WeightsError(
                f"{weights.url} sent SHA-256 {digest[:12]}..., pinned is {str(weights.sha256)[:12]}...",
                where=weights.name,
                do="nothing was kept; do not use that file",
            )
        Path(name).chmod(0o644)
        Path(name).replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows only where the first address could have pointed itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check_url(self.name, newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_url(name: str, url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")):
        return
    raise WeightsError(f"will not download from {url}", where=name, do="use an https address")


def _receive(weights: Weights, file: IO[bytes]) -> str:
    url = str(weights.url)
    try:
        opener = urllib.request.build_opener(_SafeRedirects(weights.name))
        with opener.open(url, timeout=_PATIENCE_S) as answer:
            expected = weights.size or int(answer.headers.get("Content-Length") or 0)
            digest, received = _copy(answer, file, expected)
    except urllib.error.HTTPError as error:
        told = f"{url} answered {error.code} {error.reason}"
        raise WeightsError(told, where=weights.name, do=_by_hand(weights)) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(
            f"cannot download {url}: {reason}", where=weights.name, do=f"go online, or {_by_hand(weights)}"
        ) from error
    if expected and received != expected:
        told = "is longer than" if received > expected else f"broke off after {received} of"
        raise WeightsError(f"{url} {told} the {expected} bytes expected", where=weights.name, do="try again")
    return digest


def _copy(answer: IO[bytes], file: IO[bytes], limit: int) -> tuple[str, int]:
    digest, received = hashlib.sha256(), 0
    while block := answer.read(_BLOCK):
        received += len(block)
        # A server that never stops must not fill the disk.
        if limit and received > limit:
            break
        digest.update(block)
        file.write(block)
    return digest.hexdigest(), received


def _by_hand(weights: Weights) -> str:
    return f"get it by hand and set {weights.variable} to its path"
