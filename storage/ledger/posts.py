"""Commits on their way: what far workers have made, until one process writes it into the tables.

A thousand writers of one partition would each have to write its last segment anew, and all but one would
be too late. So a worker leaves each commit as an object of its own, which nobody else writes; `gather`
writes many of them into the tables at once and removes them. A post counts as committed: who looks an
artifact up finds it there. Plain readers see its rows once they are gathered, each exactly once.

A kill between writing and removing leaves posts whose rows are there already: gathered again, they take
their own places.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from storage.errors import WorkError
from storage.ledger.schemas import TABLES
from storage.objects import Objects

__all__ = ["Commit", "Posts", "Row"]

Row = Mapping[str, Any]
FOLDER = ".posts"
# A bucket answers slowly, but many at once.
AT_ONCE = 16


@dataclass(frozen=True)
class Commit:
    """All rows of one artifact."""

    artifact: Row
    lineage: Sequence[Row] = ()
    clips: Sequence[Row] = ()
    metrics: Sequence[Row] = ()
    frames: pa.Table | None = None


@dataclass(frozen=True)
class Posts:
    """The commits under one home that no table has yet."""

    objects: Objects

    def leave(self, commit: Commit) -> None:
        """Put a commit there; its frames are in their own file by now. The caller holds the lease."""
        key = _key(commit.artifact["id"])
        with self.objects.exclusive(FOLDER):
            held = self.objects.read(key)
            # Under the artifact's lease nobody else is at it: an earlier one was of bytes that broke.
            if not self.objects.write_if(key, _packed(commit), held[1] if held else None):
                raise WorkError("committed twice at once", where=self.objects.uri(key), do="run again")

    def find(self, artifact: str) -> Commit | None:
        """The commit of this artifact, if it is on its way."""
        held = self.objects.read(_key(artifact))
        return None if held is None else _unpacked(held[0])

    def names(self) -> list[str]:
        """Artifacts whose commits are on their way."""
        return [PurePosixPath(key).stem for key in self.objects.versions(FOLDER)]

    def all(self) -> Iterator[Commit]:
        """What is on its way."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            # One that went away meanwhile was gathered by somebody else.
            yield from filter(None, pool.map(self.find, self.names()))

    def remove(self, artifacts: Sequence[str]) -> None:
        """Take them away: their rows are in the tables."""
        self.objects.delete([_key(artifact) for artifact in artifacts])


def _key(artifact: str) -> str:
    return f"{FOLDER}/{artifact}.json"


def _packed(commit: Commit) -> bytes:
    rows = {
        "artifacts": [commit.artifact],
        "lineage": commit.lineage,
        "clips": commit.clips,
        "metrics": commit.metrics,
    }
    return json.dumps(
        {name: [dict(row) for row in own] for name, own in rows.items()}, default=_text
    ).encode()


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(f"no column holds {type(value).__name__}")


def _unpacked(content: bytes) -> Commit:
    rows = {name: [_typed(name, row) for row in own] for name, own in json.loads(content).items()}
    return Commit(rows["artifacts"][0], rows["lineage"], rows["clips"], rows["metrics"])


def _typed(table: str, row: dict[str, Any]) -> dict[str, Any]:
    schema = TABLES[table].schema
    times = {name for name in row if pa.types.is_timestamp(schema.field(name).type)}
    return {
        name: dt.datetime.fromisoformat(value) if name in times and value else value
        for name, value in row.items()
    }
