"""Questions to the ledger: SQL over its tables, and where an artifact came from.

Called by `flows`. DuckDB reads the same Parquet files that any analyst reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import CorruptArtifact, RequestError
from storage.ledger.ledger import RAW, Ledger
from storage.ledger.schemas import TABLES
from storage.objects import LocalObjects

__all__ = ["Node", "connect", "lineage_of", "resolve"]

# Rows of these tables count only when the artifact that owns them was committed.
_COMMITTED = "in (select id from artifacts)"
OWNED = {
    # A raw file that an artifact holds (a puppet's footage) is a child without being an artifact.
    "lineage": f"child {_COMMITTED} or (child like '{RAW}%' and parent {_COMMITTED})",
    "clips": f"id {_COMMITTED}",
    "frames": f"artifact {_COMMITTED}",
    "metrics": f"artifact {_COMMITTED}",
}


_ABOUT = ["id", "kind", "identity", "uri", "stage", "stage_version", "started", "seconds", "bytes"]


@dataclass
class Node:
    """An artifact or raw file, and what it was made from (or what was made from it)."""

    id: str
    kind: str
    role: str
    row: dict[str, Any]
    children: list[Node] = field(default_factory=list)
    repeated: bool = False  # drawn out elsewhere in the tree

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.row,
            "id": self.id,
            "kind": self.kind,
            "role": self.role,
            "nodes": [child.as_dict() for child in self.children],
        }


def connect(ledger: Ledger) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, with a view for each table."""
    connection = duckdb.connect()
    for name in TABLES:
        where = f" where {OWNED[name]}" if name in OWNED else ""
        try:
            source = _source(connection, ledger, name)
            try:
                connection.execute(f"create view {name} as select {_columns(name)} from {source}{where}")
            except duckdb.BinderException:
                # Every file is from before some column existed: an empty table lends it.
                connection.register(f"_empty_{name}", TABLES[name].schema.empty_table())
                whole = f"(select * from {source} union all by name select * from _empty_{name})"
                connection.execute(f"create view {name} as select {_columns(name)} from {whole}{where}")
        except duckdb.Error as error:
            ledger.rows(name)  # says which file is damaged
            raise CorruptArtifact(
                str(error).splitlines()[0], where=f"table {name}", do="report it"
            ) from error
    return connection


def resolve(ledger: Ledger, prefix: str) -> str:
    """The one artifact whose id begins with `prefix`."""
    column = ledger.rows("artifacts", ["id"])["id"]
    ids = column.filter(pc.starts_with(column, prefix)).to_pylist()
    if len(ids) == 1 or prefix in ids:
        return prefix if prefix in ids else str(ids[0])
    what = "no artifact has this id" if not ids else f"{len(ids)} artifacts begin so"
    raise RequestError(what, where=prefix, do='see: memdub query "select id, kind, identity from artifacts"')


def lineage_of(ledger: Ledger, name: str, *, down: bool = False) -> Node:
    """The tree of all that `name` was made from, down to raw files; or, `down`, of all made from it."""
    near, far = ("parent", "child") if down else ("child", "parent")
    edges = _edges_from(ledger, name, near, far)
    names = {edge["parent"]: edge["parent_name"] for found in edges.values() for edge in found}
    ids = pa.array({name, *edges, *(edge[far] for found in edges.values() for edge in found)})
    artifacts = ledger.rows("artifacts", _ABOUT)
    known = artifacts.filter(pc.is_in(artifacts["id"], value_set=ids))
    rows = {row["id"]: row for row in known.to_pylist()}

    expanded: set[str] = set()

    def node(this: str, role: str) -> Node:
        row = rows.get(this)
        raw = "raw file" if this.startswith(RAW) else "missing"
        made = Node(this, row["kind"] if row else raw, role, dict(row) if row else {"name": names.get(this)})
        # What two share is drawn out once: a tree of diamonds would grow without bound.
        made.repeated = this in expanded and bool(edges.get(this))
        if not made.repeated:
            expanded.add(this)
            made.children = [node(edge[far], edge["role"]) for edge in edges.get(this, ())]
        return made

    return node(name, "")


def _edges_from(ledger: Ledger, name: str, near: str, far: str) -> dict[str, list[dict[str, Any]]]:
    """All edges that can be reached, by their near end: one pass over the column for each generation."""
    lineage = _committed_edges(ledger)
    edges: dict[str, list[dict[str, Any]]] = {}
    wave = {name}
    while wave:
        found = lineage.filter(pc.is_in(lineage[near], value_set=pa.array(wave, pa.string()))).to_pylist()
        for this in wave:
            edges[this] = []
        for edge in found:
            edges[edge[near]].append(edge)
        wave = {edge[far] for edge in found} - set(edges)
    return edges


def _committed_edges(ledger: Ledger) -> pa.Table:
    edges = ledger.rows("lineage")
    ids = ledger.rows("artifacts", ["id"])["id"].combine_chunks()
    made = pc.is_in(edges["child"], value_set=ids)
    held = pc.and_(pc.starts_with(edges["child"], RAW), pc.is_in(edges["parent"], value_set=ids))
    return edges.filter(pc.or_(made, held))


def _source(connection: duckdb.DuckDBPyConnection, ledger: Ledger, name: str) -> str:
    table = ledger.tables[name]
    keys = table.files()
    if keys and isinstance(ledger.objects, LocalObjects):
        files = ", ".join("'" + ledger.objects.uri(key).replace("'", "''") + "'" for key in keys)
        return f"read_parquet([{files}], union_by_name => true, hive_partitioning => false)"
    # DuckDB would download an extension to read an object store: hand it the rows instead.
    rows: pa.Table = table.read() if keys else table.spec.schema.empty_table()
    connection.register(f"_{name}", rows)
    return f"_{name}"


def _columns(name: str) -> str:
    return ", ".join(f'"{column}"' for column in TABLES[name].schema.names)
