"""Every ready view and every question of docs/questions.py, on a million frames and 100,000 artifacts.

python -m tests.bench.queries          # written in bulk, as a pipeline's runs are gathered
python -m tests.bench.queries --grown  # in files as short as commits of one artifact each leave them
python -m tests.bench.queries --small  # only to see that it runs
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from storage.ledger import TABLES, Ledger, connect, segments
from storage.ledger.views import keep_catalog, views
from storage.objects import open_objects
from tests.bench.ledger import shell, timed
from tests.helpers.invented_ledger import Size, invent, name_of

SCRIPT = Path(__file__).parents[2] / "docs" / "questions.py"
# Minutes of footage at 25 frames a second, dubbed again and again: 20 x 34 clips of 1500 frames.
LARGE = Size(people=20, clips=34, frames=1500, dubs=136)
SMALL = Size(people=2, clips=3, frames=50, dubs=4)
# Rows of a file that 600 single commits filled with their dead bodies.
GROWN = {"artifacts": 210, "lineage": 1130, "metrics": 1600}
TIMES = 3
THREADS = 2


def make(home: Path, size: Size) -> None:
    ledger = Ledger(open_objects(str(home)))
    took = timed(lambda: invent(ledger, size))
    keep_catalog(ledger.objects, "ledger")
    counts = {name: ledger.rows(name, [TABLES[name].key[0]]).num_rows for name in TABLES}
    files = sum(1 for _ in home.rglob("*.parquet"))
    bytes_ = sum(path.stat().st_size for path in home.rglob("*.parquet"))
    print(f"{files} files, {bytes_ / 1e6:.0f} MB, written in {took:.0f} s: ", end="")
    print(", ".join(f"{count} {name}" for name, count in counts.items() if count))


def grow() -> None:
    """Let bulk commits leave files of the length that single ones do."""
    append, usual = segments.Table._append, segments.SEGMENT_ROWS

    def shorter(table: segments.Table, *what: Any) -> bool:
        segments.SEGMENT_ROWS = GROWN.get(table.spec.name, usual)
        return append(table, *what)

    segments.Table._append = shorter  # type: ignore[method-assign]


def plain(home: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with the catalog beside the tables."""
    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute(f"set variable memdub_ledger = '{home / 'ledger'}'")
    connection.execute((home / "ledger" / "catalog.sql").read_text())
    return connection


def question_of(name: str) -> str:
    return f"from {name}('{name_of('clip', 'person00 0')}')" if views()[name].is_macro else f"from {name}"


def every_view(home: Path) -> None:
    """Whole answers, as pandas has them. Beside it `memdub query`, with that view alone."""
    begun = time.perf_counter()
    connection = plain(home)
    print(f"catalog.sql read by plain DuckDB: {time.perf_counter() - begun:.2f} s, once a session")
    print(f"{'':18}rows      plain DuckDB  connect and ask")
    for name in views():
        ask = question_of(name)
        rows = len(connection.execute(ask).df())
        warm = best(lambda ask=ask: connection.execute(ask).df())
        whole = best(lambda name=name, ask=ask: limited(home, name).execute(ask).df())
        print(f"  {name:16}{rows:8}  {warm:8.2f} s  {whole:10.2f} s")


def limited(home: Path, name: str) -> duckdb.DuckDBPyConnection:
    connection = connect(Ledger(open_objects(str(home))), name)
    connection.execute(f"set threads = {THREADS}")
    return connection


def every_question(home: Path) -> None:
    """Cell by cell, as a notebook runs it."""
    space: dict[str, Any] = {}
    given, sys.argv = sys.argv, [str(SCRIPT), str(home / "ledger")]
    for number, cell in enumerate(SCRIPT.read_text().split("\n# %%")[1:]):
        code = compile("#" + cell, str(SCRIPT), "exec")

        def run(code: Any = code) -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, space)

        seconds = best(run, TIMES if number else 1)
        space["con"].execute(f"set threads = {THREADS}")
        print(f"  {seconds:6.2f} s  {cell.splitlines()[0].strip()}")
    sys.argv = given


def whole_processes(home: Path) -> None:
    environment = {**os.environ, "MEMDUB_HOME": str(home)}
    for ask in ("from people", "from hours", "from best_methods", "select 1", "from profile_frames limit 5"):
        seconds = best(lambda ask=ask: shell(["query", ask], environment))
        print(f"  {seconds:6.2f} s  memdub query {ask!r}, the whole process")


def best(work: Callable[[], object], times: int = TIMES) -> float:
    return min(timed(work) for _ in range(times))


def main() -> None:
    # DuckDB calls pandas in a way that pandas discourages by now; a line for each answer would hide it.
    warnings.simplefilter("ignore", DeprecationWarning)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if "--grown" in sys.argv:
            grow()
        make(home, SMALL if "--small" in sys.argv else LARGE)
        every_view(home)
        every_question(home)
        whole_processes(home)


if __name__ == "__main__":
    main()
