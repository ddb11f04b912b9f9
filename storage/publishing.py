"""How a finished workspace becomes an artifact's files: sealed by a manifest, then put where readers look.

In a folder that is one rename. A bucket has none: there files are sent one by one, and nobody can be kept
out meanwhile. Called by `storage.artifacts` only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec

from storage.errors import WorkError
from storage.home import Home
from storage.leases import Lease
from storage.objects import sync
from storage.recipes import hash_file

__all__ = ["MANIFEST", "published", "seal"]

MANIFEST = "manifest.json"
# Hashing and syncing leave Python's lock alone: while one waits for the disk another hashes.
SEALERS = 4
COPIED_BYTES = 2**18


def seal(workspace: Path) -> tuple[str, int]:
    """Writes the manifest; returns its hash, which stands for all the bytes, and their sum."""
    files = sorted(path for path in workspace.rglob("*") if path.is_file())
    if not files:
        raise WorkError("the stage wrote nothing", where=workspace.name, do="report this as a bug")
    with ThreadPoolExecutor(SEALERS) as pool:
        sealed = list(pool.map(_sealed, files))
    entries = {str(path.relative_to(workspace)): told for path, told in zip(files, sealed, strict=True)}
    manifest = json.dumps(entries, sort_keys=True, indent=0).encode()
    (workspace / MANIFEST).write_bytes(manifest)
    sync(workspace / MANIFEST)
    return hashlib.sha256(manifest).hexdigest(), sum(size for size, _ in entries.values())


@contextlib.contextmanager
def published(home: Home, uri: str, workspace: Path, lease: Lease) -> Iterator[None]:
    """Puts the files where the ledger will say they are; inside, the lease is still ours."""
    if not home.is_local:
        lease.check()
        _upload(home, uri, workspace)  # takes as long as it takes: the lease beats on
    with lease.kept():
        if home.is_local:
            _move(workspace, home.path(uri))
        yield
    if not home.is_local:
        home.keep(uri, workspace)


def _sealed(path: Path) -> tuple[int, str]:
    """Size and hash of a file, which the disk holds from here on."""
    size, digest = path.stat().st_size, hash_file(path)
    sync(path)
    return size, digest


def _move(workspace: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():  # files without a row: a commit that was killed, or an artifact found broken
        aside = workspace.with_name(f"{workspace.name}.old")
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    workspace.rename(path)
    sync(path.parent)


def _upload(home: Home, uri: str, workspace: Path) -> None:
    """Into the bucket; what is there already under another name is copied by the store itself."""
    fs, target = fsspec.core.url_to_fs(home.uri(uri))
    sizes = {path: path.stat() for path in workspace.rglob("*") if path.is_file()}
    there = home.kept_files()
    copies = {path: there[told.st_ino] for path, told in sizes.items() if _worth_copying(told, there)}
    for path, key in copies.items():
        fs.cp_file(fsspec.core.strip_protocol(home.uri(key)), f"{target}/{path.relative_to(workspace)}")
    files = [path for path in sizes if path not in copies]
    # File by file, many at once: given the folder, every folder in it would cost requests of its own.
    fs.put(list(map(str, files)), [f"{target}/{path.relative_to(workspace)}" for path in files])


def _worth_copying(told: os.stat_result, there: Mapping[int, str]) -> bool:
    """A link to a published file, and large: a copy takes two requests."""
    return told.st_ino in there and told.st_size >= COPIED_BYTES
