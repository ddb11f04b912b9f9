"""The data dictionary: every table, view and column of the ledger, as Markdown.

`python -m storage.ledger.dictionary > docs/ledger.md` renews the page; a test keeps it true.
"""

from __future__ import annotations

import pyarrow as pa

from storage.ledger.schemas import TABLES, TableSpec
from storage.ledger.views import View, views

__all__ = ["dictionary"]

HEAD = """# The ledger

Parquet under `MEMDUB_HOME/ledger/<table>/`, divided by identity (`slug=`) or month (`month=`). Any
reader may read it at any time: `read_parquet('ledger/artifacts/**/*.parquet')` gives each committed
row exactly once.

How that holds: a row is born in one file and stays there; no file is merged into another or
deleted. A commit writes the last file of its partition anew with its rows added and puts it in
place by one rename. The new file begins with all bytes of the old one, so a reader that has read
the old footer still finds its pages where that footer says, and reads the older state whole. Later
the dead bytes become holes in the file, which moves nothing.

An artifact's row in `artifacts` is written after its rows in `lineage`, `clips`, `frames` and
`metrics`: what is in `artifacts` is whole. Rows of the others whose artifact is not there belong to
a commit that was killed; `memdub query` hides them, the same work done again replaces them, `memdub
gc` removes them.

The folder's key is called `slug` and not `identity` because readers guess the type of folder names,
and an identity called `007` must not become the number 7; the column `identity` is in the files, as
text.

Lakehouse formats (Delta, Iceberg) do not give this: their compaction leaves the old files beside the
new ones until they are vacuumed, and Delta's checkpoints are Parquet files under the table as well, so
a reader without their library sees rows more than once.
"""
VIEWS = """# Ready views

What is often asked has a view: `memdub query --views` lists them, `memdub query "from people"` asks one.
Plain DuckDB has the same tables and views by `catalog.sql`, which every run of memdub keeps in the
ledger's folder:

```
cd data/ledger && duckdb -init catalog.sql
```

```python
import duckdb

con = duckdb.connect()
con.execute("set variable memdub_ledger = 'data/ledger'")
con.execute(open("data/ledger/catalog.sql").read())
con.sql("select * from hours").df()
```

It names no place: the folder may be moved, or copied without the rest of the home, and answers as before.
Rows whose artifact was never committed are left out, and columns that old files lack are null. A table
that has no file yet stays empty until `catalog.sql` is read again.

Ten real questions, answered in SQL and pandas: `python docs/questions.py data/ledger`.
"""


def dictionary() -> str:
    """The whole page."""
    tables = (_section(spec) for spec in TABLES.values())
    return "\n".join([HEAD, *tables, VIEWS, *(_view(view) for view in views().values())])


def _section(spec: TableSpec) -> str:
    rows = "\n".join(_row(field) for field in spec.schema)
    divided = "identity" if spec.partition == "slug" else "month"
    key = ", ".join(f"`{name}`" for name in spec.key)
    return (
        f"## {spec.name}\n\n{spec.about.capitalize()}. Key: {key}. Divided by {divided}.\n\n"
        f"| column | type | |\n|---|---|---|\n{rows}\n"
    )


def _view(view: View) -> str:
    rows = "\n".join(f"| `{one.name}` | {one.type} | {one.about} |" for one in view.columns)
    return f"## {view.name}\n\n{view.about}\n\n| column | type | |\n|---|---|---|\n{rows}\n"


def _row(field: pa.Field) -> str:
    about = (field.metadata or {}).get(b"about", b"").decode()
    kind = str(field.type).replace("timestamp[us, tz=UTC]", "timestamp (UTC)")
    return f"| `{field.name}` | {kind} | {about} |"


if __name__ == "__main__":
    print(dictionary(), end="")
