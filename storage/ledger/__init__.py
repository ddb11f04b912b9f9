"""The ledger: what exists, what it was made from, what ran, what failed. Parquet, readable by anyone.

What is not in `artifacts` does not exist: a commit writes an artifact's other rows first and its row in
`artifacts` last, in one rename. A kill in between leaves rows that no artifact owns; the views of
`memdub query` hide them, the next run of the same recipe replaces them, and `gc` sweeps them.

Called by `tasks` and `flows`. Plain readers need nothing from here:
`read_parquet('ledger/artifacts/**/*.parquet')` is right at any moment (see `segments`).
"""

from storage.ledger.ledger import Commit, Ledger
from storage.ledger.query import asking, connect, lineage_of
from storage.ledger.schemas import TABLES, TableSpec

__all__ = ["TABLES", "Commit", "Ledger", "TableSpec", "asking", "connect", "lineage_of"]
