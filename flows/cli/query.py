"""`memdub query`: the ledger asked in SQL."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import click

from flows.cli.output import json_option, note, print_json, say, table
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger, asking
from storage.ledger.schemas import TABLES
from storage.ledger.views import named, views
from storage.text import check_text

if TYPE_CHECKING:
    import duckdb

__all__ = ["query"]

# DuckDB's names for statements that tell something.
ANSWERED = {"SELECT", "EXPLAIN", "PRAGMA", "CALL", "MULTI", "COPY"}
Answer = tuple[list[str], list[list[Any]]]


_SO = 'ask: memdub query "select * from clips"'


@click.command()
@click.argument("sql", required=False)
@click.option("--views", "listing", is_flag=True, help="List tables and ready views, with their columns.")
@json_option
def query(sql: str | None, listing: bool, as_json: bool) -> None:
    """Ask the ledger in SQL (DuckDB).

    Tables: artifacts, lineage, clips, sources, frames, metrics, failures, runs. Ready views, as people,
    hours, dubs or best_methods, are listed by --views; ledger/catalog.sql gives them to plain DuckDB.
    """
    ledger = Ledger(Home().objects)
    if listing:
        _list(ledger, as_json)
        return
    if sql is None:
        raise click.UsageError("no question", click.get_current_context())
    columns, rows = _asked(ledger, sql)
    if as_json:
        print_json({"columns": columns, "rows": rows})
    else:
        table(columns, rows)
        note(f"{len(rows)} row{'s' if len(rows) != 1 else ''}")


def _asked(ledger: Ledger, sql: str) -> Answer:
    import duckdb

    if not check_text(sql, "query").strip():
        raise RequestError("an empty question", where="query", do=_SO)
    try:
        with asking(ledger, *named(sql)) as connection:
            return _interruptible(connection, sql)
    except (duckdb.Error, RuntimeError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        do = "tables, views and their columns: memdub query --views"
        raise RequestError(line, where="query", do=do) from error


def _list(ledger: Ledger, as_json: bool) -> None:
    """What can be asked. The catalog is made where there is a ledger without one."""
    catalog = ledger.keep_catalog() if any(table.files() for table in ledger.tables.values()) else None
    told = [
        *({"name": n, "about": spec.about, "columns": spec.schema.names} for n, spec in TABLES.items()),
        *({"name": n, "about": v.about, "columns": [c.name for c in v.columns]} for n, v in views().items()),
    ]
    if as_json:
        print_json({"views": told, "catalog": catalog})
        return
    for one in told:
        say(f"{one['name']}: {one['about']}")
        say(f"    {', '.join(one['columns'])}")
    if catalog is not None:
        note(f"for plain DuckDB: {catalog}")


def _interruptible(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    """The answer, found in another thread: Python hears Ctrl-C between its steps, and DuckDB takes one."""
    with ThreadPoolExecutor(1) as pool:
        job: Future[Answer] = pool.submit(_answer, connection, sql)
        try:
            return job.result()
        except KeyboardInterrupt:
            while not job.done():
                connection.interrupt()
                wait([job], 0.05)
            raise


def _answer(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    statements = connection.extract_statements(sql)
    if not statements:
        raise RequestError("no question in it", where="query", do=_SO)
    if statements[-1].type.name not in ANSWERED:
        raise RequestError("not a question that has an answer", where="query", do="ask with select")
    answer = connection.execute(sql)
    columns = [str(column[0]) for column in answer.description or ()]
    return columns, [list(row) for row in answer.fetchall()]
