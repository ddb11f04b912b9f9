"""Garbage: artifacts that nothing reaches, and what killed runs left behind.

An artifact is reached if it is the newest of its line (the same kind, identity, parameters and sources), if
it is a dub, or if something reached was made from it. Everything else was superseded and is unused.
Called by `flows`; `find` only looks, `collect` removes what was found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import stat
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from storage import leases
from storage.artifacts import DRAFT
from storage.errors import NoSpace
from storage.home import Home
from storage.ledger import Ledger
from storage.objects import TEMPORARY

__all__ = ["Garbage", "collect", "find"]

# Younger leftovers may belong to a process that is still at work.
LEFTOVER_AFTER_SECONDS = 3600.0
# Half a day's extraction that was interrupted before the holidays is work, not garbage.
DRAFT_AFTER_SECONDS = 14 * 86400.0
# Rows go for many at a time, since that rewrites whole files; a lease of each is held meanwhile.
AT_ONCE = 64


@dataclass
class Garbage:
    """What may go."""

    artifacts: list[dict[str, Any]] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(int(row["bytes"]) for row in self.artifacts) + sum(map(_size, self.leftovers))

    def as_dict(self) -> dict[str, Any]:
        return {
            "artifacts": [{key: row[key] for key in ("id", "kind", "uri")} for row in self.artifacts],
            "leftovers": [str(path) for path in self.leftovers],
            "bytes": self.bytes,
        }


def find(home: Home, *, leftover_after: float = LEFTOVER_AFTER_SECONDS) -> Garbage:
    """What nothing reaches; removes nothing."""
    ledger = Ledger(home.objects)
    rows = {row["id"]: row for row in ledger.rows("artifacts").to_pylist()}
    reached = _reached(rows, ledger)
    unreached = [row for name, row in rows.items() if name not in reached]
    return Garbage(unreached, _leftovers(home, rows, leftover_after))


def collect(home: Home, garbage: Garbage) -> None:
    """Remove it, but for what somebody has begun to work on since it was found."""
    ledger = Ledger(home.objects)
    for path in garbage.leftovers:
        _remove_leftover(home, ledger, path)
    _remove_artifacts(home, ledger, garbage.artifacts)
    orphans = sorted(ledger.orphans())
    for start in range(0, len(orphans), AT_ONCE):
        _disown(home, ledger, orphans[start : start + AT_ONCE])
    leases.clear(home.objects, home.settings.lease_seconds)
    leases.sweep(home.objects)
    ledger.compact()


def _disown(home: Home, ledger: Ledger, owners: Sequence[str]) -> None:
    """Take out rows of no artifact, but for what somebody works on: rows come before their artifact."""
    with contextlib.ExitStack() as held:
        freed = []
        for owner in owners:
            lease = held.enter_context(leases.hold_if_free(home.objects, owner, home.settings.lease_seconds))
            if lease is not None and ledger.find(owner) is None:
                freed.append(owner)
        if freed:
            ledger.disown(freed)


def _remove_artifacts(home: Home, ledger: Ledger, rows: list[dict[str, Any]]) -> None:
    """First the ledger's rows, so that nothing visible is ever without its bytes."""
    if not rows:
        return
    ids = [row["id"] for row in rows]
    try:
        ledger.remove(ids)
    except NoSpace:
        # Rows cannot be taken out of a full disk's ledger before there is room for that.
        for row in rows:
            _remove_bytes(home, row["uri"])
        ledger.remove(ids)
    for row in rows:
        _remove_bytes(home, row["uri"])


def _remove_leftover(home: Home, ledger: Ledger, path: Path) -> None:
    recipe = path.name.partition(".")[0]
    if path.name.startswith(TEMPORARY):
        # Such a file is written and renamed under its folder's lock: inside it, nobody is at it.
        with home.objects.exclusive(str(path.parent.relative_to(home.path(".")))):
            path.unlink(missing_ok=True)
        return
    with leases.hold_if_free(home.objects, recipe, home.settings.lease_seconds) as lease:
        published = path.parent.parent.name == "stores" and ledger.find(recipe) is not None
        if lease is not None and not published:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _reached(rows: dict[str, dict[str, Any]], ledger: Ledger) -> set[str]:
    parents: dict[str, list[str]] = defaultdict(list)
    for edge in ledger.rows("lineage", ["child", "parent"]).to_pylist():
        parents[edge["child"]].append(edge["parent"])
    reached: set[str] = set()
    todo = [row["id"] for row in _newest(rows)] + [row["id"] for row in rows.values() if row["kind"] == "dub"]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(parents[name])  # raw files too: what holds them is reached through them
    return reached


def _newest(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    lines: dict[str, dict[str, Any]] = {}
    known: dict[str, str] = {}
    for row in rows.values():
        line = _line(row, rows, known)
        if line not in lines or (row["stage_version"], row["started"]) > (
            lines[line]["stage_version"],
            lines[line]["started"],
        ):
            lines[line] = row
    return list(lines.values())


def _line(row: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], known: dict[str, str]) -> str:
    """All that the user chose, of what it was made from too; left to differ are the stages' versions."""
    name = row["id"]
    if name not in known:
        recipe = json.loads(row["recipe"])
        inputs = {
            role: _line(rows[one], rows, known) if one in rows else one
            for role, one in (recipe.get("inputs") or {}).items()
        }
        told = [row["kind"], row["identity"], recipe.get("parameters"), recipe.get("raw"), inputs]
        known[name] = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return known[name]


def _leftovers(home: Home, rows: dict[str, dict[str, Any]], after: float) -> list[Path]:
    """What was left in the workspace; in a folder also what lies in the stores and is nowhere named."""
    work = home.path(".work") if home.is_local else home.workspace_root()  # a look makes no folder in a home
    works = [path for path in _below(work) if path.parent == work]
    return _older(works + (_unnamed(home, rows) if home.is_local else []), after)


def _unnamed(home: Home, rows: dict[str, dict[str, Any]]) -> list[Path]:
    known = {row["uri"] for row in rows.values()}
    root = home.path(".")
    stores = [path for path in _below(root / "stores") if path.parent.parent == root / "stores"]
    stores = [path for path in stores if str(path.relative_to(root)) not in known]
    changing = ("ledger", ".leases", "identities")
    inside = [path for room in changing for path in _below(root / room)]
    return stores + [path for path in inside if path.name.startswith(TEMPORARY)]


def _older(paths: Sequence[Path], after: float) -> list[Path]:
    now = time.time()

    def patience(path: Path) -> float:
        return max(after, DRAFT_AFTER_SECONDS) if path.name.endswith(DRAFT) else after

    return [path for path in paths if now - _touched(path) > patience(path)]


def _below(folder: Path) -> list[Path]:
    """All that is in a folder. os.walk passes over what vanishes meanwhile; pathlib raises."""
    return [Path(inner) / name for inner, folders, names in os.walk(folder) for name in folders + names]


def _stats(path: Path) -> list[os.stat_result]:
    """Of the path and all in it; what vanishes while we look has none."""
    found = []
    for each in [path, *_below(path)]:
        with contextlib.suppress(OSError):
            found.append(each.stat())
    return found


def _touched(path: Path) -> float:
    """When anything in it changed last."""
    return max((found.st_mtime for found in _stats(path)), default=math.inf)


def _size(path: Path) -> int:
    return sum(found.st_size for found in _stats(path) if stat.S_ISREG(found.st_mode))


def _remove_bytes(home: Home, uri: str) -> None:
    fs, path = fsspec.core.url_to_fs(home.uri(uri))
    if fs.exists(path):
        fs.rm(path, recursive=True)
