"""Committing to the ledger and finding things in it.

Called by `storage.artifacts` and by the flows' run records; everyone else reads.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from storage.ledger.posts import Commit, Posts, Row
from storage.ledger.schemas import TABLES, TableSpec
from storage.ledger.segments import Table
from storage.ledger.views import CATALOG, keep_catalog
from storage.objects import Objects

__all__ = ["RAW", "Commit", "Ledger", "Row"]

ROOT = "ledger"
POSTED = "posted"
# A raw file is named by its content.
RAW = "sha256:"
# No slug begins with an underscore, so this partition can be nobody's.
NOBODY = "_general"


@dataclass
class Ledger:
    """The tables under one home."""

    objects: Objects
    tables: dict[str, Table] = field(init=False)
    posts: Posts = field(init=False)

    def __post_init__(self) -> None:
        # One look at a table serves all who open the ledger of the same objects.
        tables = self.objects.memory.setdefault(ROOT, {})
        for name, spec in TABLES.items():
            tables.setdefault(name, Table(self.objects, ROOT, spec))
        self.tables = tables
        self.posts = Posts(self.objects)

    def commit(self, *commits: Commit) -> None:
        """Make the artifacts exist: whole, or not at all."""
        for commit in commits:
            if commit.frames is not None:
                self._write_frames(commit)
        for name in ("lineage", "clips", "metrics", "artifacts"):
            rows: dict[str, list[Row]] = defaultdict(list)
            for commit in commits:
                own = [commit.artifact] if name == "artifacts" else getattr(commit, name)
                rows[_slug_partition(commit.artifact["identity"])].extend(own)
            for partition, own_rows in rows.items():
                if own_rows:
                    self.tables[name].write(partition, _table(TABLES[name], own_rows))

    def post(self, commit: Commit) -> None:
        """Make an artifact exist where many write at once: its rows reach the tables with `gather`."""
        if commit.frames is not None:
            self._write_frames(commit)
        self.posts.leave(commit)
        self.objects.memory.setdefault(POSTED, []).append(replace(commit, frames=None))

    def take_posted(self) -> list[Commit]:
        """What this process has posted since it was last asked: to be handed to who gathers."""
        taken: list[Commit] = self.objects.memory.pop(POSTED, [])
        return taken

    def gather(self, posted: Sequence[Commit] | None = None) -> int:
        """Write posted commits into the tables (all that lie there, if not given); returns how many."""
        found = self.posts.all() if posted is None else posted
        commits = {commit.artifact["id"]: commit for commit in found}
        if commits:
            self.commit(*commits.values())
            self.posts.remove(list(commits))
        return len(commits)

    def record(self, name: str, row: Row) -> None:
        """Add a row to `runs` or `failures`."""
        when = row["started"] if name == "runs" else row["failed_at"]
        self.tables[name].write(f"month={when:%Y-%m}", _table(TABLES[name], [row]))
        self.keep_catalog()

    def keep_catalog(self) -> str:
        """See that plain DuckDB finds its views beside the tables; where they lie."""
        if not self.objects.memory.setdefault(CATALOG, False):
            keep_catalog(self.objects, ROOT)
            self.objects.memory[CATALOG] = True
        return self.objects.uri(f"{ROOT}/{CATALOG}")

    def find(self, artifact: str, identity: str | None = None) -> dict[str, Any] | None:
        """The artifact's row, if it is committed. Knowing the identity spares reading the others'."""
        if found := self.find_all([artifact], identity):
            return found[artifact]
        if (posted := self.posts.find(artifact)) is not None:
            return dict(posted.artifact)
        # It may have been gathered between the two looks.
        return self.find_all([artifact], identity).get(artifact)

    def find_all(self, artifacts: Sequence[str], identity: str | None = None) -> dict[str, dict[str, Any]]:
        """The rows of those that the tables have, by id, in one look."""
        partition = None if identity is None else _slug_partition(identity)
        rows = self.tables["artifacts"].find(artifacts, partition)
        return {row["id"]: row for row in rows.to_pylist()}

    def rows(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A whole table."""
        return self.tables[name].read(columns)

    def count(self, name: str, **values: str | None) -> int:
        """How many rows have these values."""
        rows = self.rows(name, list(values))
        for column, value in values.items():
            same = pc.is_null(rows[column]) if value is None else pc.equal(rows[column], value)
            rows = rows.filter(same)
        return int(rows.num_rows)

    def live_clips(self, identity: str) -> list[dict[str, Any]]:
        """The clips that are worked with, in the order of their making: committed, and not retired."""
        partition = _slug_partition(identity)
        rows = self.tables["clips"].read(partition=partition)
        ids = self.tables["artifacts"].read(["id"], partition)["id"].combine_chunks()
        live = pc.and_(pc.is_null(rows["retired_at"]), pc.is_in(rows["id"], value_set=ids))
        found: list[dict[str, Any]] = rows.filter(live).to_pylist()
        return found

    def retired(self, identity: str) -> frozenset[str]:
        """Clips whose footage is gone: they are kept, and not worked with."""
        rows = self.tables["clips"].read(["id", "retired_at"], _slug_partition(identity))
        return frozenset(rows.filter(pc.is_valid(rows["retired_at"]))["id"].to_pylist())

    def retire(self, identity: str, clips: Iterable[str], when: dt.datetime | None) -> None:
        """Mark clips as retired, or with None as live again. Nothing of them is removed."""
        partition = _slug_partition(identity)
        rows = self.tables["clips"].read(partition=partition)
        meant = rows.filter(_among("id", sorted(clips))(rows)).to_pylist()
        stale = [row for row in meant if (row["retired_at"] is None) != (when is None)]
        if stale:
            changed = [{**row, "retired_at": when} for row in stale]
            self.tables["clips"].write(partition, _table(TABLES["clips"], changed))

    def sources(self, identity: str) -> list[dict[str, Any]]:
        """What the last refresh knew of the files in raw/<identity>."""
        rows = self.tables["sources"].read(partition=_slug_partition(identity))
        found: list[dict[str, Any]] = rows.to_pylist()
        return found

    def note_sources(self, identity: str, rows: Sequence[Row]) -> None:
        """Write down what is known of files now; a file's former row gives way."""
        if rows:
            self.tables["sources"].write(_slug_partition(identity), _table(TABLES["sources"], rows))

    def remove(self, artifacts: Iterable[str]) -> None:
        """Take artifacts out: first their own rows, so that none is visible in part, then the rest."""
        gone = sorted(artifacts)
        self.tables["artifacts"].remove(_among("id", gone))
        self.disown(gone)

    def disown(self, artifacts: Sequence[str]) -> None:
        """Take out the rows that belong to these artifacts, but not the artifacts' own."""
        self.tables["lineage"].remove(_owned_edges(artifacts))
        self.tables["clips"].remove(_among("id", artifacts))
        self.tables["metrics"].remove(_among("artifact", artifacts))
        self.tables["frames"].remove_files(frozenset(artifacts))

    def orphans(self) -> set[str]:
        """Owners of rows that are no artifacts: their commit was killed, or is under way right now."""
        # Artifacts are read last: whose rows were there before is committed by then, or is not.
        owners = set(self.rows("clips", ["id"])["id"].to_pylist())
        owners |= set(self.rows("metrics", ["artifact"])["artifact"].to_pylist())
        owners |= {PurePosixPath(key).stem for key in self.tables["frames"].files()}
        for edge in self.rows("lineage", ["child", "parent"]).to_pylist():
            owners.add(edge["parent"] if edge["child"].startswith(RAW) else edge["child"])
        return owners - set(self.rows("artifacts", ["id"])["id"].to_pylist())

    def compact(self) -> int:
        """Free what the growing of segments left behind, while writers go on; returns bytes."""
        return sum(table.compact() for table in self.tables.values())

    def _write_frames(self, commit: Commit) -> None:
        assert commit.frames is not None
        partition = _slug_partition(commit.artifact["identity"])
        rows = commit.frames.select(TABLES["frames"].schema.names).cast(TABLES["frames"].schema)
        self.tables["frames"].write_file(partition, commit.artifact["id"], rows)


def _among(column: str, values: Sequence[str]) -> Callable[[pa.Table], pa.Array]:
    gone = pa.array(values, pa.string())
    return lambda rows: pc.is_in(rows[column], value_set=gone)


def _owned_edges(artifacts: Sequence[str]) -> Callable[[pa.Table], pa.Array]:
    """Edges to what an artifact was made from, and from the raw file that it holds."""
    made, holds = _among("child", artifacts), _among("parent", artifacts)
    return lambda rows: pc.or_(made(rows), pc.and_(holds(rows), pc.starts_with(rows["child"], RAW)))


def _slug_partition(identity: str | None) -> str:
    # The column `identity` is in the files; the folder has another name because readers guess the
    # type of a folder's value, and an identity called 007 must not become the number 7.
    return f"slug={identity or NOBODY}"


def _table(spec: TableSpec, rows: Sequence[Row]) -> pa.Table:
    unknown = {name for row in rows for name in row} - set(spec.schema.names)
    if unknown:
        raise KeyError(f"no such columns in {spec.name}: {', '.join(sorted(unknown))}")
    return pa.Table.from_pylist([dict(row) for row in rows], schema=spec.schema)
