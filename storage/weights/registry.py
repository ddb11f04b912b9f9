"""Finds weights by name: the user's own first, then the package's, then what was downloaded before.

    found = Registry().find("face_landmarker")     # a WeightsError says what to do when there are none
    Registry().fetch("face_landmarker", consent=True)

The user's own: MEMDUB_WEIGHTS_<NAME>, or a file named after the weights in the home's `weights/`. Finding
never downloads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from storage.errors import WeightsError
from storage.weights.fetch import download
from storage.weights.sniff import check_format, sniff
from storage.weights.table import TABLE, Weights, bundled

__all__ = ["Found", "Registry", "Standing"]

Origin = Literal["user", "bundled", "downloaded"]


@dataclass(frozen=True)
class Found:
    """Weights that are here, of the right format, and what was pinned unless they are the user's own."""

    weights: Weights
    path: Path
    origin: Origin
    sha256: str


@dataclass(frozen=True)
class Standing:
    """One line for people: where weights stand."""

    weights: Weights
    found: Found | None
    trouble: str | None


class Registry:
    """All known weights and where they may lie; the user fills the `weights/` folder of `home`."""

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        table: Iterable[Weights] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self.folder = _folder(str(home or self._environ.get("MEMDUB_HOME", "./data")), self._environ)
        entries = (*bundled(), *TABLE) if table is None else table
        self.table: Mapping[str, Weights] = {weights.name: weights for weights in entries}

    def entry(self, name: str) -> Weights:
        """What is known about weights of this name."""
        if name not in self.table:
            raise WeightsError(f"no weights are called {name!r}", do=f"use one of {', '.join(self.table)}")
        return self.table[name]

    def find(self, name: str) -> Found:
        """The first that there is, checked; never from the network."""
        weights = self.entry(name)
        if given := self._given(weights):
            return _user_file(weights, given)
        if weights.path is not None:
            return _pinned_file(weights, weights.path, "bundled")
        if self._downloaded(weights).is_file():
            return _pinned_file(weights, self._downloaded(weights), "downloaded")
        raise WeightsError("these weights are not here", where=name, do=_what_to_do(weights, self.folder))

    def fetch(self, name: str, *, consent: bool) -> Found:
        """Download weights that the user asked for, unless they were before."""
        weights = self.entry(name)
        if weights.url is None or weights.sha256 is None or weights.source != "download":
            raise WeightsError(
                "these weights cannot be downloaded: no checksum is pinned for them",
                where=name,
                do=_what_to_do(weights, self.folder),
            )
        if not consent:
            raise WeightsError(
                f"downloading {weights.url} ({weights.licence}) was not agreed to",
                where=name,
                do="agree to it",
            )
        target = self._downloaded(weights)
        if not (target.is_file() and _sha256(target) == weights.sha256):
            download(weights, target)
        return _pinned_file(weights, target, "downloaded")

    def standing(self) -> list[Standing]:
        """Where all known weights stand, for a listing."""
        return [self._standing(weights) for weights in self.table.values()]

    def _standing(self, weights: Weights) -> Standing:
        try:
            return Standing(weights, self.find(weights.name), None)
        except WeightsError as error:
            return Standing(weights, None, str(error))

    def _given(self, weights: Weights) -> Path | None:
        if named := self._environ.get(weights.variable):
            if not Path(named).is_file():
                raise WeightsError(f"{weights.variable} names no file", where=named, do="correct or unset it")
            return Path(named)
        places = (self.folder / weights.filename, self.folder / weights.name)
        return next((place for place in places if place.is_file()), None)

    def _downloaded(self, weights: Weights) -> Path:
        return self.folder / "downloaded" / weights.filename


def _folder(home: str, environ: Mapping[str, str]) -> Path:
    if "://" not in home:
        return Path(home).expanduser() / "weights"
    # Networks are opened by path: beside a home in a bucket they lie in this machine's cache.
    cache = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "memdub" / "weights"


def _user_file(weights: Weights, path: Path) -> Found:
    digest = _sha256(path)
    if weights.format == "pth-official":
        return _pinned_file(weights, path, "user")
    check_format(path, (weights.format,))
    return Found(weights, path, "user", digest)


def _pinned_file(weights: Weights, path: Path, origin: Origin) -> Found:
    if not path.is_file():
        raise WeightsError("the package lacks this file", where=path, do="install memdub again")
    digest = _sha256(path)
    if weights.sha256 is None or digest != weights.sha256:
        pinned = f"pinned is {weights.sha256[:12]}..." if weights.sha256 else "none is pinned"
        raise WeightsError(
            f"not the official file: its SHA-256 is {digest[:12]}..., {pinned}",
            where=path,
            do=f"delete it, then {_what_to_do(weights, path.parent)}"
            if origin == "downloaded"
            else "replace it",
        )
    if weights.format != "pth-official":
        check_format(path, (weights.format,))
    elif sniff(path) not in ("pickle", "unknown"):
        raise WeightsError("this is no .pth file", where=path)
    return Found(weights, path, origin, digest)


def _what_to_do(weights: Weights, folder: Path) -> str:
    give = f"set {weights.variable} to a {weights.format} file or put {weights.filename} into {folder}"
    return f"get it from {weights.url} and {give}" if weights.url else give


def _sha256(path: Path) -> str:
    state = path.stat()
    return _digest(str(path.absolute()), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _digest(path: str, _changed_ns: int, _size: int) -> str:
    # Keyed by time and size too: a process reads an unchanged file once.
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
