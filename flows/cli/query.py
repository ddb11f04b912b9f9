"""`memdub query`: the ledger asked in SQL."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import click

from flows.cli.output import json_option, note, print_json, table
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger, connect
from storage.text import check_text

if TYPE_CHECKING:
    import duckdb

__all__ = ["query"]

# DuckDB's names for statements that tell something.
ANSWERED = {"SELECT", "EXPLAIN", "PRAGMA", "CALL", "MULTI", "COPY"}
Answer = tuple[list[str], list[list[Any]]]


@click.command()
@click.argument("sql")
@json_option
def query(sql: str, as_json: bool) -> None:
    """Ask the ledger in SQL (DuckDB).

    Tables: artifacts, lineage, clips, frames, metrics, failures, runs.
    """
    import duckdb

    if not check_text(sql, "query").strip():
        raise RequestError("an empty question", where="query", do='ask: memdub query "select * from clips"')
    try:
        columns, rows = _interruptible(connect(Ledger(Home().objects)), sql)
    except (duckdb.Error, RuntimeError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestError(
            line, where="query", do='tables and columns: memdub query "describe artifacts"'
        ) from error
    if as_json:
        print_json({"columns": columns, "rows": rows})
    else:
        table(columns, rows)
        note(f"{len(rows)} row{'s' if len(rows) != 1 else ''}")


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
        raise RequestError("no question in it", where="query", do='ask: memdub query "select * from clips"')
    if statements[-1].type.name not in ANSWERED:
        raise RequestError("not a question that has an answer", where="query", do="ask with select")
    answer = connection.execute(sql)
    columns = [str(column[0]) for column in answer.description or ()]
    return columns, [list(row) for row in answer.fetchall()]
