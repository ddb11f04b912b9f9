"""Garbage: artifacts that nothing reaches, and what killed runs left behind.

An artifact is reached if it is the newest of its line (same kind, identity, inputs and raw sources), if
it is a dub, or if something reached was made from it. Everything else was superseded and is unused.
Called by `flows`; `find` only looks, `collect` removes what was found.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from storage.home import Home
from storage.ledger import Ledger

__all__ = ["Garbage", "collect", "find"]

# Younger leftovers may belong to a process that is still at work.
LEFTOVER_AFTER_SECONDS = 3600.0


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
    return Garbage(unreached, _leftovers(home, rows, leftover_after) if home.is_local else [])


def collect(home: Home, garbage: Garbage) -> None:
    """Remove it: first the ledger's rows, so that nothing visible is ever without its bytes."""
    ledger = Ledger(home.objects)
    if garbage.artifacts:
        ledger.remove(row["id"] for row in garbage.artifacts)
        for row in garbage.artifacts:
            _remove_bytes(home, row["uri"])
    for path in garbage.leftovers:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    ledger.sweep()
    ledger.compact()


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
    for row in rows.values():
        recipe = json.loads(row["recipe"])
        origin = [row["kind"], row["identity"], recipe.get("inputs"), recipe.get("raw")]
        # Nothing went in: its parameters are all its origin.
        line = json.dumps(origin if recipe.get("inputs") or recipe.get("raw") else [*origin, row["id"]])
        if line not in lines or (row["stage_version"], row["started"]) > (
            lines[line]["stage_version"],
            lines[line]["started"],
        ):
            lines[line] = row
    return list(lines.values())


def _leftovers(home: Home, rows: dict[str, dict[str, Any]], after: float) -> list[Path]:
    known = {row["uri"] for row in rows.values()}
    stores = [
        path
        for path in home.path("stores").glob("*/*")
        if f"stores/{path.parent.name}/{path.name}" not in known
    ]
    works = list(home.path(".work").glob("*"))
    temporary = list(home.path("ledger").rglob(".tmp-*"))
    now = time.time()
    return [path for path in stores + works + temporary if now - _touched(path) > after]


def _touched(path: Path) -> float:
    """When anything in it changed last."""
    times = [path.stat().st_mtime]
    if path.is_dir():
        times += [inner.stat().st_mtime for inner in path.rglob("*")]
    return max(times)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())


def _remove_bytes(home: Home, uri: str) -> None:
    fs, path = fsspec.core.url_to_fs(home.uri(uri))
    if fs.exists(path):
        fs.rm(path, recursive=True)
