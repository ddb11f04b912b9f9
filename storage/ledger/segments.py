"""One ledger table as plain Parquet that grows: each row in exactly one file, at any moment.

A table's folder is divided into partitions, a partition into numbered segments. A row is born in one
segment and stays there for ever: no file is merged into another, none is deleted. A commit rewrites the
last segment with its new rows and puts it in place by one rename, so a reader who lists the folder at
any moment finds every committed row once, and no uncommitted one.

Readers such as DuckDB open a file twice, first for its footer, then for its pages, and the file may be
replaced in between. So a segment *grows*: the new file is the old file's bytes followed by a complete
newer body and footer. Whoever holds an older footer still finds its pages where that footer says, and
reads the older state whole. `compact` later turns the dead bodies of full segments into holes, which
moves nothing either, so writers and readers go on meanwhile.

Called by `storage.ledger` only.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.errors import WorkError
from storage.ledger.schemas import TableSpec
from storage.objects import LocalObjects, Objects, Version

__all__ = ["Table"]

SEGMENT_ROWS = 1024
# Room for dead bodies: about a hundred single commits fill a segment, a bulk commit fills it by rows.
SEGMENT_BYTES = 2 * 2**20
# A reader that holds a footer older than this has given up long ago.
COMPACT_AFTER_SECONDS = 600.0
WORTH_FREEING = 2**16
MAGIC = b"PAR1"
ATTEMPTS = 200


class Table:
    """Appends to one table, and reads it back."""

    def __init__(self, objects: Objects, root: str, spec: TableSpec) -> None:
        self.objects = objects
        self.spec = spec
        self.folder = f"{root}/{spec.name}"
        self._held: dict[str, tuple[Version, pa.Table]] = {}

    def write(self, partition: str, rows: pa.Table) -> None:
        """Add `rows` to the partition; a row whose key is there already takes that row's place."""
        folder = f"{self.folder}/{partition}"
        with self.objects.exclusive(folder):
            for attempt in range(ATTEMPTS):
                rest = self._replace_known(folder, rows)
                if rest is None:
                    continue
                if self._append(folder, rest):
                    return
                # Only an object store comes here: another machine was first.
                time.sleep(min(0.5, 0.01 * 2 ** min(attempt, 6)))
        raise WorkError("the ledger is too busy", where=folder, do="run again; nothing was committed")

    def write_file(self, partition: str, name: str, rows: pa.Table) -> None:
        """Put the rows of one artifact into a file of their own."""
        folder, key = f"{self.folder}/{partition}", f"{self.folder}/{partition}/{name}.parquet"
        with self.objects.exclusive(folder):
            held = self.objects.read(key)
            data = _grow(b"" if held is None else held[0], rows, self.spec)
            if not self.objects.write_if(key, data, None if held is None else held[1]):
                raise WorkError("written twice at once", where=self.objects.uri(key), do="run again")

    def remove(self, column: str, values: Sequence[str]) -> None:
        """Take out every row whose `column` is among `values`."""
        gone = pa.array(values, pa.string())
        for folder in sorted({key.rpartition("/")[0] for key in self.objects.versions(self.folder)}):
            with self.objects.exclusive(folder):
                for key, held in self._segments(folder):
                    stays = held.filter(pc.invert(pc.is_in(held[column], value_set=gone)))
                    if stays.num_rows < held.num_rows and not self._replace(key, stays):
                        raise WorkError("the ledger changed meanwhile", where=key, do="run gc again")

    def read(self, columns: Sequence[str] | None = None, partition: str | None = None) -> pa.Table:
        """The rows of one partition, or of all."""
        folder = self.folder if partition is None else f"{self.folder}/{partition}"
        pieces = [held for _, held in self._segments(folder)] or [self.spec.schema.empty_table()]
        return pa.concat_tables(piece.select(columns) if columns else piece for piece in pieces)

    def keys(self) -> list[str]:
        """The table's files."""
        return list(self.objects.versions(self.folder))

    def compact(self, *, idle_seconds: float = COMPACT_AFTER_SECONDS) -> int:
        """Free the dead bodies of segments that nobody writes any more; returns the bytes freed."""
        if not isinstance(self.objects, LocalObjects):
            return 0
        return sum(_punch(self.objects, key, idle_seconds) for key in self.keys())

    def _segments(self, folder: str) -> Iterator[tuple[str, pa.Table]]:
        for key, version in self.objects.versions(folder).items():
            known = self._held.get(key)
            if known is not None and known[0] == version:
                yield key, known[1]
            elif (held := self.objects.read(key)) is not None:
                yield key, self._table(key, *held)

    def _replace_known(self, folder: str, rows: pa.Table) -> pa.Table | None:
        """Puts rows in the place of those with the same key; returns the new ones, or None if beaten."""
        wanted = _key_column(rows, self.spec.key)
        fresh = pa.array([True] * rows.num_rows)
        for key, held in self._segments(folder):
            there = _key_column(held, self.spec.key)
            overlap = pc.is_in(there, value_set=wanted)
            if not pc.any(overlap).as_py():
                continue
            again = pc.is_in(wanted, value_set=there)
            if not self._replace(
                key, pa.concat_tables([held.filter(pc.invert(overlap)), rows.filter(again)])
            ):
                return None
            fresh = pc.and_(fresh, pc.invert(again))
        return rows.filter(fresh)

    def _append(self, folder: str, rows: pa.Table) -> bool:
        while rows.num_rows:
            key, old, version, there = self._open_segment(folder)
            room = SEGMENT_ROWS - there.num_rows
            if not self._put(key, old, version, pa.concat_tables([there, rows.slice(0, room)])):
                return False
            rows = rows.slice(room)
        return True

    def _open_segment(self, folder: str) -> tuple[str, bytes, Version | None, pa.Table]:
        """The last segment, or the one after it if that is full."""
        keys = list(self.objects.versions(folder))
        held = self.objects.read(keys[-1]) if keys else None
        if held is not None:
            there = self._table(keys[-1], *held)
            if len(held[0]) < SEGMENT_BYTES and there.num_rows < SEGMENT_ROWS:
                return keys[-1], held[0], held[1], there
        number = int(Path(keys[-1]).stem) + 1 if keys else 0
        return f"{folder}/{number:05d}.parquet", b"", None, self.spec.schema.empty_table()

    def _replace(self, key: str, rows: pa.Table) -> bool:
        held = self.objects.read(key)
        return held is not None and self._put(key, held[0], held[1], rows)

    def _put(self, key: str, old: bytes, version: Version | None, rows: pa.Table) -> bool:
        return self.objects.write_if(key, _grow(old, rows, self.spec), version)

    def _table(self, key: str, data: bytes, version: Version) -> pa.Table:
        known = self._held.get(key)
        if known is None or known[0] != version:
            known = self._held[key] = (version, _parse(data, self.spec.schema))
        return known[1]


def _grow(old: bytes, rows: pa.Table, spec: TableSpec) -> bytes:
    """A Parquet file that begins with all bytes of `old` and says `rows`."""
    sink = pa.BufferOutputStream()
    # Without Arrow's own schema: it would be repeated in every body, and the types say it all.
    options = {"compression": "zstd", "store_schema": False, "write_statistics": list(spec.key)}
    with pq.ParquetWriter(sink, rows.schema, **options) as writer:
        # The writer has put the magic there; what follows lands behind the old bodies, where the
        # new footer's absolute offsets point.
        sink.write(old[len(MAGIC) :])
        writer.write_table(rows)
    return bytes(sink.getvalue())


def _parse(data: bytes, schema: pa.Schema) -> pa.Table:
    table = pq.read_table(io.BytesIO(data), use_threads=False)
    missing = [field for field in schema if field.name not in table.column_names]
    for field in missing:  # written before this column existed
        table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)


def _key_column(rows: pa.Table, key: tuple[str, ...]) -> pa.Array:
    parts = [pc.cast(rows[name], pa.string()) for name in key]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _live_offset(data: bytes) -> int:
    """Where the newest body begins."""
    footer = pq.read_metadata(io.BytesIO(data))
    offsets = [
        min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
        for group in range(footer.num_row_groups)
        for column in map(footer.row_group(group).column, range(footer.num_columns))
    ]
    footer_start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    return int(min([*offsets, footer_start]))


def _punch(objects: LocalObjects, key: str, idle_seconds: float) -> int:
    path = objects.root / key
    with objects.exclusive(key.rpartition("/")[0]):
        stat = path.stat()
        if time.time() - stat.st_mtime < idle_seconds:
            return 0
        data = path.read_bytes()
        live = _live_offset(data)
        if stat.st_blocks * 512 - (len(data) - live) < WORTH_FREEING:
            return 0
        temporary = path.with_name(f".tmp-compact-{path.name}.part")
        with temporary.open("wb") as file:
            file.write(MAGIC)
            file.seek(live)  # a hole: no block behind it
            file.write(data[live:])
        temporary.replace(path)
        return max(0, (stat.st_blocks - path.stat().st_blocks) * 512)
