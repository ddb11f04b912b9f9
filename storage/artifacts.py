"""Carrying out recipes: skip what is there, write beside, check, commit.

`produce` is the only way an artifact comes to exist. Its bytes are written in a workspace, hashed,
moved to `stores/` by one rename, and only then named in the ledger; a kill at any point leaves nothing
visible. Called by `tasks`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import functools
import hashlib
import json
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa

from storage import leases
from storage.errors import CorruptArtifact, LeaseLost, MediaError, NoSpace, RequestError
from storage.home import Home
from storage.ledger import Commit, Ledger
from storage.publishing import MANIFEST, published, seal
from storage.recipes import Recipe
from storage.runs import current_run

__all__ = [
    "DRAFT",
    "MANIFEST",
    "READ_WHOLE",
    "Artifact",
    "Made",
    "check_whole",
    "find",
    "find_whole",
    "of_row",
    "produce",
    "stored",
    "stored_json",
    "workspace_of",
]

# Small, and one wrong byte in them spoils all that is made of them, or is what a user is handed.
READ_WHOLE = frozenset({"checkpoint", "memory", "dub"})


@dataclass(frozen=True)
class Artifact:
    """A committed artifact."""

    id: str
    kind: str
    identity: str | None
    uri: str  # relative to the home
    row: Mapping[str, Any]
    reused: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "identity": self.identity,
            "uri": self.uri,
            "reused": self.reused,
        }


@dataclass
class Made:
    """What a stage says about the files that it has written into its workspace."""

    clips: Sequence[Mapping[str, Any]] = ()
    # Also files that leave the stores keep their origin: (child, parent, role) with a sha256: child.
    lineage: Sequence[Mapping[str, Any]] = ()
    metrics: Sequence[Mapping[str, Any]] = ()
    frames: pa.Table | None = field(default=None)
    waited: float = 0.0  # seconds of it in which nothing was done, as for a graphics card


Make = Callable[[Path], Made]
# How a folder of unfinished resumable work is called, after its recipe.
DRAFT = ".draft"


@dataclass(frozen=True)
class _Work:
    make: Make
    resumable: bool
    allowed: Callable[[], object]


def produce(
    home: Home,
    recipe: Recipe,
    make: Make,
    *,
    identity: str | None,
    waiting: Callable[[str], None] | None = None,
    resumable: bool = False,
    allowed: Callable[[], object] = lambda: None,
) -> Artifact:
    """The recipe's artifact: found if it is there and whole, else made by `make` in an empty folder.

    A `resumable` stage finds in that folder what a killed run of the same recipe left there, and must be
    able to tell what of it is whole. `allowed` raises where the work may not be done, or no longer: it is
    asked at once, when our turn has come, and before anything becomes visible. Hours may lie between.
    """
    allowed()
    ledger = Ledger(home.objects)
    found = find_whole(home, ledger, recipe, identity)
    if found is None:
        found = _make_once(home, ledger, recipe, _Work(make, resumable, allowed), identity, waiting)
    run = current_run()
    if run is not None:
        (run.reused if found.reused else run.made).append(found.id)
    return found


def find(ledger: Ledger, artifact: str, identity: str | None = None) -> Artifact | None:
    """The committed artifact of this id."""
    row = ledger.find(artifact, identity)
    return None if row is None else of_row(row)


def of_row(row: Mapping[str, Any]) -> Artifact:
    """The committed artifact of a row of `artifacts`."""
    return Artifact(row["id"], row["kind"], row["identity"], row["uri"], row, reused=True)


def find_whole(home: Home, ledger: Ledger, recipe: Recipe, identity: str | None) -> Artifact | None:
    """The recipe's artifact if the ledger names it and every file has its size; of some kinds, its bytes."""
    # What has no bytes need not be looked for in a ledger of a million rows.
    if not home.objects.size(f"{_uri(recipe)}/{MANIFEST}"):
        return None
    artifact = find(ledger, recipe.id, identity)
    if artifact is None:
        return None
    try:
        check_whole(home, artifact, read_all=artifact.kind in READ_WHOLE)
    except CorruptArtifact:
        return None
    return artifact


def _uri(recipe: Recipe) -> str:
    """Where its bytes lie, relative to the home."""
    return f"stores/{recipe.kind}/{recipe.id}"


def check_whole(home: Home, artifact: Artifact, *, read_all: bool = False) -> None:
    """Raises CorruptArtifact unless every file is there with its size (and, on request, its bytes)."""
    fs, root = fsspec.core.url_to_fs(home.uri(artifact.uri))
    try:
        manifest = fs.cat_file(f"{root}/{MANIFEST}")
    except FileNotFoundError as error:
        raise _broken(artifact, MANIFEST, "is missing") from error
    if hashlib.sha256(manifest).hexdigest() != artifact.row["content_hash"]:
        raise _broken(artifact, MANIFEST, "was changed")
    there = {path: info["size"] for path, info in fs.find(root, detail=True).items()}
    for name, (size, digest) in json.loads(manifest).items():
        path = f"{root}/{name}"
        if path not in there:
            raise _broken(artifact, name, "is missing")
        if there[path] != size or (read_all and _digest(fs, path) != digest):
            raise _broken(artifact, name, "was changed")


def stored(home: Home, artifact: Artifact, name: str) -> bytes:
    """What a file of it holds; CorruptArtifact where it is missing."""
    found = home.objects.read(f"{artifact.uri}/{name}")
    if found is None:
        raise _broken(artifact, name, "is missing")
    return found[0]


def stored_json(home: Home, key: str) -> dict[str, Any] | None:
    """What a JSON file of the stores says; None where there is none."""
    found = home.objects.read(key)
    if found is None:
        return None
    told: dict[str, Any] = json.loads(found[0])
    return told


def _make_once(
    home: Home,
    ledger: Ledger,
    recipe: Recipe,
    work: _Work,
    identity: str | None,
    waiting: Callable[[str], None] | None,
) -> Artifact:
    def finished() -> bool:
        return find_whole(home, ledger, recipe, identity) is not None

    seconds = home.settings.lease_seconds
    about = {"stage": recipe.stage, "identity": identity, "of": _subject(recipe)}
    told: dict[str, Any] = {"finished": finished, "waiting": waiting, "about": about}
    while True:
        with leases.hold(home.objects, recipe.id, seconds, **told) as lease:
            # Another process may have finished between our look and our turn.
            found = find_whole(home, ledger, recipe, identity)
            if found is not None:
                return found
            # Somebody who thought us dead took over: wait for them, and use their result.
            with contextlib.suppress(LeaseLost):
                if lease is not None:
                    return _make(home, ledger, recipe, work, identity, lease)


def _make(
    home: Home, ledger: Ledger, recipe: Recipe, work: _Work, identity: str | None, lease: leases.Lease
) -> Artifact:
    started, begun = dt.datetime.now(dt.UTC), time.monotonic()
    uri = _uri(recipe)
    with _draft(home, recipe) if work.resumable else workspace_of(home, recipe.id) as workspace:
        try:
            work.allowed()
            made = work.make(workspace)
            content_hash, size = seal(workspace)
            work.allowed()
        except Exception:
            lease.check()  # what broke may be that somebody else works here now
            raise
        row = {
            "id": recipe.id,
            "kind": recipe.kind,
            "identity": identity,
            "uri": uri,
            "content_hash": content_hash,
            "bytes": size,
            "recipe": recipe.as_json(),
            "method": recipe.parameters.get("method"),
            "preset": recipe.parameters.get("preset"),
            "stage": recipe.stage,
            "stage_version": recipe.stage_version,
            "started": started,
            "seconds": time.monotonic() - begun - made.waited,
            **_circumstances(),
        }
        lineage = [*_lineage(recipe), *made.lineage]
        with published(home, uri, workspace, lease):
            commit = Commit(row, lineage, made.clips, made.metrics, made.frames)
            ledger.post(commit) if home.posting else ledger.commit(commit)
    return Artifact(recipe.id, recipe.kind, identity, uri, row)


@contextlib.contextmanager
def workspace_of(home: Home, name: str) -> Iterator[Path]:
    """An empty folder on this machine while it lasts; what dead processes left under this name goes."""
    root = home.workspace_root()
    for note in root.glob(f"{name}.*.owner"):
        # Its owner may be clearing up at this moment, or have died while writing the note.
        with contextlib.suppress(FileNotFoundError, ValueError):
            if leases.is_dead(json.loads(note.read_text())):
                shutil.rmtree(note.with_suffix(""), ignore_errors=True)
                note.unlink(missing_ok=True)
    workspace = root / f"{name}.{uuid.uuid4().hex[:8]}"
    note = workspace.with_name(f"{workspace.name}.owner")
    try:
        with _plain_if_full(home):
            note.write_text(json.dumps(leases.me()))
            workspace.mkdir()
            yield workspace
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
        note.unlink(missing_ok=True)


@contextlib.contextmanager
def _draft(home: Home, recipe: Recipe) -> Iterator[Path]:
    """The recipe's own folder, as whoever worked on it last has left it; the caller holds the lease."""
    workspace = home.workspace_root() / f"{recipe.id}{DRAFT}"
    with _plain_if_full(home):
        workspace.mkdir(exist_ok=True)
        # A kill while sealing: the manifest would count itself.
        (workspace / MANIFEST).unlink(missing_ok=True)
        try:
            yield workspace
        except (MediaError, RequestError):
            # Refused for good: nobody comes back for what was made of this person.
            shutil.rmtree(workspace, ignore_errors=True)
            raise
    shutil.rmtree(workspace, ignore_errors=True)  # published elsewhere by now


@contextlib.contextmanager
def _plain_if_full(home: Home) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("the disk is full", where=home.url, do="free some space and run again") from error
        raise


def _subject(recipe: Recipe) -> str | None:
    """What a person knows it by: the clip that it is about, or the file."""
    return recipe.inputs.get("clip") or next((source.name for source in recipe.raw), None)


def _lineage(recipe: Recipe) -> list[dict[str, Any]]:
    inputs = [
        {"child": recipe.id, "parent": parent, "role": role, "parent_name": None}
        for role, parent in recipe.inputs.items()
    ]
    raw = [
        {
            "child": recipe.id,
            "parent": f"sha256:{source.sha256}",
            "role": source.role,
            "parent_name": source.name,
        }
        for source in recipe.raw
    ]
    return inputs + raw


def _circumstances() -> dict[str, Any]:
    run = current_run()
    return {
        "code_revision": _code_revision(),
        "host": socket.gethostname(),
        "run_id": run.id if run else None,
        "flow_run_id": run.flow_run_id if run else None,
        "task_run_id": run.task_run_id() if run else None,
    }


@functools.cache
def _code_revision() -> str:
    """The version, and the commit if this is a checkout."""
    root = Path(__file__).parent.parent
    suffix = ""
    # Only of a checkout of memdub itself, not of whatever repository it is installed in.
    if (root / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        suffix = f"+{told.stdout.strip()}" if told.returncode == 0 else ""
    return package_version("memdub") + suffix


def _digest(fs: Any, path: str) -> str:
    with fs.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _broken(artifact: Artifact, name: str, what: str) -> CorruptArtifact:
    return CorruptArtifact(f"{name} {what}", where=artifact.id, do="run its stage again to make it anew")
