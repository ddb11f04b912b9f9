"""One ledger table as plain Parquet that grows: each row in exactly one file, at any moment.

A table's folder is divided into partitions, a partition into numbered segments. A row is born in one
segment and stays there for ever: no segment is merged into another or deleted. A commit rewrites the
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
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.errors import CorruptArtifact, WorkError
from storage.ledger.schemas import TableSpec
from storage.objects import TEMPORARY, LocalObjects, Objects, Version

__all__ = ["Table"]

SEGMENT_ROWS = 1024
# Room for dead bodies: about a hundred single commits fill a segment, a bulk commit fills it by rows.
SEGMENT_BYTES = 2 * 2**20
# A reader that holds a footer older than this has given up long ago.
COMPACT_AFTER_SECONDS = 600.0
WORTH_FREEING = 2**16
MAGIC = b"PAR1"
SEGMENT_FILE = re.compile(r"\d{5}\.parquet")
ARTIFACT_FILE = re.compile(r"[a-z]+-[0-9a-f]{20}\.parquet")
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
                if self._write_once(folder, rows):
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

    def remove(self, doomed: Callable[[pa.Table], pa.Array]) -> None:
        """Take out the rows that `doomed` marks."""
        for folder in self._partitions():
            with self.objects.exclusive(folder):
                for key, version, held in self._segments(folder):
                    stays = held.filter(pc.invert(doomed(held)))
                    if stays.num_rows < held.num_rows and not self._put(key, version, stays):
                        raise WorkError("the ledger changed meanwhile", where=key, do="run gc again")

    def read(self, columns: Sequence[str] | None = None, partition: str | None = None) -> pa.Table:
        """The rows of one partition, or of all."""
        folder = self.folder if partition is None else f"{self.folder}/{partition}"
        pieces = [held for _, _, held in self._segments(folder)] or [self.spec.schema.empty_table()]
        return pa.concat_tables(piece.select(columns) if columns else piece for piece in pieces)

    def files(self) -> list[str]:
        """The table's files; whatever else lies there is not ours."""
        return list(self._versions(self.folder))

    def remove_file(self, name: str) -> None:
        """Take out the file of one artifact."""
        for key, version in self._versions(self.folder).items():
            if Path(key).stem == name:
                with self.objects.exclusive(key.rpartition("/")[0]):
                    self.objects.delete_if(key, version)

    def compact(self, *, idle_seconds: float = COMPACT_AFTER_SECONDS) -> int:
        """Free the dead bodies of segments that nobody writes any more; returns the bytes freed."""
        if not isinstance(self.objects, LocalObjects):
            return 0
        return sum(_punch(self.objects, key, idle_seconds) for key in self.files())

    def _versions(self, folder: str) -> dict[str, Version]:
        name = ARTIFACT_FILE if self.spec.per_artifact else SEGMENT_FILE
        found = self.objects.versions(folder)
        return {key: version for key, version in found.items() if name.fullmatch(Path(key).name)}

    def _partitions(self) -> list[str]:
        return sorted({key.rpartition("/")[0] for key in self.files()})

    def _segments(self, folder: str) -> Iterator[tuple[str, Version, pa.Table]]:
        for key, version in self._versions(folder).items():
            known = self._held.get(key)
            if known is None or known[0] != version:
                held = self.objects.read(key)
                if held is None:
                    continue
                known = self._held[key] = (held[1], self._parse(key, held[0]))
            yield key, *known

    def _write_once(self, folder: str, rows: pa.Table) -> bool:
        """One attempt on one look at the folder; False if another machine changed it meanwhile."""
        segments = list(self._segments(folder))
        wanted = _key_column(rows, self.spec.key)
        for key, version, held in segments:
            there = _key_column(held, self.spec.key)
            overlap = pc.is_in(there, value_set=wanted)
            if not pc.any(overlap).as_py():
                continue
            again = pc.is_in(wanted, value_set=there)
            changed = pa.concat_tables([held.filter(pc.invert(overlap)), rows.filter(again)])
            rest = rows.filter(pc.invert(again))
            return self._put(key, version, changed) and self._write_once(folder, rest)
        return self._append(folder, segments[-1] if segments else None, rows)

    def _append(self, folder: str, last: tuple[str, Version, pa.Table] | None, rows: pa.Table) -> bool:
        number = 0
        if last is not None and rows.num_rows:
            key, version, there = last
            number = int(Path(key).stem) + 1
            room = SEGMENT_ROWS - there.num_rows
            if room > 0 and self.objects.size(key) < SEGMENT_BYTES:
                if not self._put(key, version, pa.concat_tables([there, rows.slice(0, room)])):
                    return False
                rows = rows.slice(room)
        for start in range(0, rows.num_rows, SEGMENT_ROWS):
            key = f"{folder}/{number + start // SEGMENT_ROWS:05d}.parquet"
            if not self._put(key, None, rows.slice(start, SEGMENT_ROWS)):
                return False
        return True

    def _put(self, key: str, version: Version | None, rows: pa.Table) -> bool:
        held = self.objects.read(key) if version is not None else None
        if version is not None and (held is None or held[1] != version):
            return False
        return self.objects.write_if(key, _grow(held[0] if held else b"", rows, self.spec), version)

    def _parse(self, key: str, data: bytes) -> pa.Table:
        try:
            return _parse(data, self.spec.schema)
        except pa.ArrowException as error:
            what = "this file of the ledger is damaged"
            do = "put it back from a backup, or move it away and run its stages again"
            raise CorruptArtifact(what, where=self.objects.uri(key), do=do) from error


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
        temporary = path.with_name(f"{TEMPORARY}compact-{path.stem}")
        try:
            with temporary.open("wb") as file:
                file.write(MAGIC)
                file.seek(live)  # a hole: no block behind it
                file.write(data[live:])
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:  # a full disk: nothing is freed, nothing is lost
            temporary.unlink(missing_ok=True)
            return 0
        return max(0, (stat.st_blocks - path.stat().st_blocks) * 512)
