"""Ready views: what analysts ask, answered in SQL that stands in `catalog/`, one file a view.

Each file says in its head what the view is for and what its columns mean; the dictionary `docs/ledger.md` is
made of that. `memdub query` has the views, and `catalog.sql` beside the tables gives them to plain DuckDB.
Called by `storage.ledger`, and by `flows` to list them.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from storage.errors import MemdubError
from storage.ledger.schemas import TABLES
from storage.objects import Objects

__all__ = [
    "CATALOG",
    "Column",
    "View",
    "catalog",
    "files_of",
    "keep_catalog",
    "named",
    "needed",
    "none_of",
    "table_view",
    "views",
]

CATALOG = "catalog.sql"
_FOLDER = Path(__file__).parent / "catalog"
_HEAD = """-- The ledger of a home of memdub, for DuckDB 1.3 and later: tables and views.
--
--     cd data/ledger && duckdb -init catalog.sql
--
-- Files are looked for in the folder that DuckDB runs in, wherever this was carried together with them.
-- From elsewhere, say first where they lie:
--
--     set variable memdub_ledger = '/some/home/ledger';
--
-- A table that has no file yet stays empty until this is read again. Made by memdub, and kept true by it.

set variable memdub_ledger = coalesce(getvariable('memdub_ledger'), '.');
-- What one view has learned of a file need not be read again by the next.
set parquet_metadata_cache = true;
"""

# Rows of these tables count only when the artifact that owns them was committed.
_COMMITTED = "in (select id from artifacts)"
_OWNED = {
    # A raw file that an artifact holds (a puppet's footage) is a child without being an artifact.
    "lineage": f"if(starts_with(child, 'sha256:'), parent, child) {_COMMITTED}",
    "clips": f"id {_COMMITTED}",
    "frames": f"artifact {_COMMITTED}",
    "metrics": f"artifact {_COMMITTED}",
}
_TYPES = {
    pa.string(): "varchar",
    pa.int64(): "bigint",
    pa.int32(): "integer",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.bool_(): "boolean",
    pa.timestamp("us", tz="UTC"): "timestamptz",
    pa.list_(pa.string()): "varchar[]",
}
# Whoever asks for these wants to see everything that there is.
_LISTINGS = re.compile(r"\b(show|information_schema|sqlite_master|duckdb_\w+)\b")


@dataclass(frozen=True)
class Column:
    """A column of a view, as the head of its file tells it."""

    name: str
    type: str
    about: str


@dataclass(frozen=True)
class View:
    """A ready view, or a macro that answers with a table."""

    name: str
    about: str
    columns: tuple[Column, ...]
    sql: str

    @property
    def is_macro(self) -> bool:
        return "create or replace macro" in self.sql

    @functools.cached_property
    def uses(self) -> tuple[str, ...]:
        """The tables and views that it is made of."""
        body = "\n".join(line for line in self.sql.splitlines() if not line.lstrip().startswith("--"))
        words = set(re.findall(r"\b(?:from|join)\s+(\w+)", body))
        return tuple(sorted(words & ({*TABLES, *views()} - {self.name})))


@functools.cache
def views() -> dict[str, View]:
    """All of them, by name."""
    return {path.stem: _read(path) for path in sorted(_FOLDER.glob("*.sql"))}


def _read(path: Path) -> View:
    text = path.read_text(encoding="utf-8")
    head = [line[2:].strip() for line in text.splitlines() if line.startswith("--")]
    columns = tuple(Column(*re.split(r"\s{2,}", line, maxsplit=2)) for line in head[head.index("") + 1 :])
    return View(path.stem, " ".join(head[: head.index("")]), columns, text)


def named(sql: str) -> tuple[str, ...]:
    """The tables and views that a question speaks of; all, where it asks what there is."""
    known = {*TABLES, *views()}
    asked = sql.lower()
    return tuple(known if _LISTINGS.search(asked) else known & set(re.findall(r"\w+", asked)))


def needed(names: Iterable[str]) -> Iterator[str]:
    """These with all that they are made of, each after what it is made of."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name in done:
            return
        done.add(name)
        uses = views()[name].uses if name in views() else ("artifacts",) if name in _OWNED else ()
        for other in uses:
            yield from visit(other)
        yield name

    for name in sorted(names):
        yield from visit(name)


def table_view(name: str, source: str) -> str:
    """A table as a view of `source`: with all its columns, and without rows that no artifact owns."""
    fields = TABLES[name].schema
    columns = ", ".join(f'"{field.name}"' for field in fields)
    where = f"\nwhere {_OWNED[name]}" if name in _OWNED else ""
    return f"create or replace view {name} as\nselect {columns}\nfrom {source}{where};\n"


def files_of(name: str, files: str) -> str:
    """A table's files as DuckDB reads them. Told the columns, it need not open every file to learn them.

    A column that a file is too old to have is null there.
    """
    columns = ", ".join(
        f"'{field.name}': {{name: '{field.name}', type: '{_TYPES[field.type]}', default_value: null}}"
        for field in TABLES[name].schema
    )
    return f"read_parquet({files}, schema => map {{{columns}}}, hive_partitioning => false)"


def none_of(name: str) -> str:
    """A table of this name without rows."""
    fields = TABLES[name].schema
    columns = ", ".join(f'null::{_TYPES[field.type]} as "{field.name}"' for field in fields)
    return f"select {columns} where false"


def catalog() -> str:
    """All tables and views, for DuckDB alone."""
    made = needed([*TABLES, *views()])
    return "\n".join([_HEAD, *(views()[one].sql if one in views() else _catalog_table(one) for one in made)])


def _catalog_table(name: str) -> str:
    files, own = (
        f"getvariable('memdub_ledger') || '/{name}/**/*.parquet'",
        f"query(getvariable('memdub_{name}'))",
    )
    some, none = (text.replace("'", "''") for text in (f"from {files_of(name, files)}", none_of(name)))
    return (
        f"-- {TABLES[name].about}\n"
        f"set variable memdub_{name} = (\n"
        f"    select if(count(*) > 0, '{some}', '{none}')\n"
        f"    from glob({files})\n"
        f");\n{table_view(name, own)}"
    )


def keep_catalog(objects: Objects, root: str) -> None:
    """Write the catalog beside the tables, unless it is there as it should be. A home may be read only."""
    key, text = f"{root}/{CATALOG}", catalog().encode()
    with contextlib.suppress(MemdubError, OSError):
        held = objects.read(key)
        if held is None or held[0] != text:
            with objects.exclusive(root):
                objects.write_if(key, text, None if held is None else held[1])
