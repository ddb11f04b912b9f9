"""Questions to the ledger: SQL over its tables, and where an artifact came from.

Called by `flows`. DuckDB reads the same Parquet files that any analyst reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import RequestError
from storage.ledger.ledger import RAW, Ledger
from storage.ledger.schemas import TABLES
from storage.ledger.views import files_of, needed, none_of, table_view, views
from storage.objects import LocalObjects

__all__ = ["Node", "asking", "connect", "lineage_of", "resolve"]

# What DuckDB says of the question itself, whatever the files hold.
_OF_THE_QUESTION = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.InterruptException,
    duckdb.ParserException,
)
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


@contextmanager
def asking(ledger: Ledger, *names: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """`connect`; a question that fails for a damaged file says which file that is."""
    try:
        yield connect(ledger, *names)
    except _OF_THE_QUESTION:
        raise
    except duckdb.Error:
        for name in needed(names or TABLES):
            if name in TABLES:
                ledger.rows(name)
        raise


def connect(ledger: Ledger, *names: str) -> duckdb.DuckDBPyConnection:
    """DuckDB in memory with a view for each table; or with these tables and ready views alone.

    To make a view is to list the files behind it: `views.named` says which of them a question needs.
    """
    connection = duckdb.connect()
    # What one view has learned of a file need not be read again by the next.
    connection.execute("set parquet_metadata_cache = true")
    for name in needed(names or TABLES):
        _make(connection, ledger, name)
    return connection


def _make(connection: duckdb.DuckDBPyConnection, ledger: Ledger, name: str) -> None:
    own = table_view(name, _source(connection, ledger, name)) if name in TABLES else views()[name].sql
    connection.execute(own)


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
    if not keys:
        return f"({none_of(name)})"
    if isinstance(ledger.objects, LocalObjects):
        files = ", ".join("'" + ledger.objects.uri(key).replace("'", "''") + "'" for key in keys)
        return files_of(name, f"[{files}]")
    # DuckDB would download an extension to read an object store: hand it the rows instead.
    connection.register(f"_{name}", table.read())
    return f"_{name}"
