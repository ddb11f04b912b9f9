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

Whoever adds a row must know whether its key is there already. A writer keeps hashes of the keys of every
segment, so that it reads a segment only when it has changed: what a commit costs does not grow with what
was committed before.

Called by `storage.ledger` only.
"""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.errors import CorruptArtifact, WorkError
from storage.ledger.schemas import TableSpec
from storage.objects import TEMPORARY, LocalObjects, Objects, Version

__all__ = ["Table"]

# Readers open every file: the fewer there are, the sooner they answer.
SEGMENT_ROWS = 8192
# Room for dead bodies: about a hundred single commits fill a segment, a bulk commit fills it by rows.
SEGMENT_BYTES = 2 * 2**20
# A reader that holds a footer older than this has given up long ago.
COMPACT_AFTER_SECONDS = 600.0
WORTH_FREEING = 2**16
MAGIC = b"PAR1"
SEGMENT_FILE = re.compile(r"\d{5}\.parquet")
ARTIFACT_FILE = re.compile(r"[a-z]+-[0-9a-f]{20}\.parquet")
ATTEMPTS = 200
# Segments that are kept as they were read: all of a small table, a small part of a large one.
KEPT_BYTES = 32 * 2**20


@dataclass(frozen=True)
class _Segment:
    """A segment at one version."""

    version: Version
    data: bytes
    rows: pa.Table


class Table:
    """Appends to one table, and reads it back. Threads may share it."""

    def __init__(self, objects: Objects, root: str, spec: TableSpec) -> None:
        self.objects = objects
        self.spec = spec
        self.folder = f"{root}/{spec.name}"
        self._kept: OrderedDict[str, _Segment] = OrderedDict()
        self._keys: dict[str, tuple[Version, NDArray[np.int64]]] = {}
        self._lock = threading.Lock()

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

    def find(self, keys: Sequence[str], partition: str | None = None) -> pa.Table:
        """The rows of these keys; only segments that may hold one are read."""
        (column,) = self.spec.key
        folder = self.folder if partition is None else f"{self.folder}/{partition}"
        wanted, hashes = pa.array(keys, pa.string()), _hashes(keys)
        pieces = [self.spec.schema.empty_table()]
        for key, version in self._versions(folder).items():
            if self._may_hold(key, version, hashes) and (held := self._segment(key, version)) is not None:
                pieces.append(held.rows.filter(pc.is_in(held.rows[column], value_set=wanted)))
        return pa.concat_tables(pieces)

    def files(self) -> list[str]:
        """The table's files; whatever else lies there is not ours."""
        return list(self._versions(self.folder))

    def remove_files(self, names: Collection[str]) -> None:
        """Take out the files of these artifacts."""
        for key, version in self._versions(self.folder).items():
            if Path(key).stem in names:
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
            held = self._segment(key, version)
            if held is not None:
                yield key, held.version, held.rows

    def _segment(self, key: str, version: Version) -> _Segment | None:
        """The segment at this version, or at a newer one; None if it went away."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.version == version:
                self._kept.move_to_end(key)
                return kept
        read = self.objects.read(key)
        if read is None:
            return None
        held = _Segment(read[1], read[0], self._parse(key, read[0]))
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = held
            while len(self._kept) > 1 and sum(len(one.data) for one in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
        return held

    def _may_hold(self, key: str, version: Version, hashes: NDArray[np.int64]) -> bool:
        """Whether any of these may be in the segment; two keys of one hash only cost a look."""
        known = self._hashes_of(key, version)
        place = np.searchsorted(known, hashes)
        return bool((known.take(place, mode="clip") == hashes).any()) if len(known) else False

    def _hashes_of(self, key: str, version: Version) -> NDArray[np.int64]:
        """Of the segment's keys, in order; none if it went away. Who only reads never pays for them."""
        known = self._keys.get(key)
        if known is not None and known[0] == version:
            return known[1]
        held = self._segment(key, version)
        if held is None:
            return _hashes([])
        hashes = _hashes(_key_column(held.rows, self.spec.key).to_pylist())
        self._keys[key] = held.version, hashes
        return hashes

    def _write_once(self, folder: str, rows: pa.Table) -> bool:
        """One attempt on one look at the folder; False if another machine changed it meanwhile."""
        wanted, last = _key_column(rows, self.spec.key), None
        hashes = _hashes(wanted.to_pylist())
        for key, version in self._versions(folder).items():
            last = key, version
            if not self._may_hold(key, version, hashes):
                continue
            held = self._segment(key, version)
            if held is None:
                return False
            there = _key_column(held.rows, self.spec.key)
            overlap = pc.is_in(there, value_set=wanted)
            if not pc.any(overlap).as_py():
                continue
            again = pc.is_in(wanted, value_set=there)
            changed = pa.concat_tables([held.rows.filter(pc.invert(overlap)), rows.filter(again)])
            rest = rows.filter(pc.invert(again))
            return self._put(key, held.version, changed) and self._write_once(folder, rest)
        return self._append(folder, last, rows)

    def _append(self, folder: str, last: tuple[str, Version] | None, rows: pa.Table) -> bool:
        number = 0
        if last is not None and rows.num_rows:
            number = int(Path(last[0]).stem) + 1
            held = self._segment(*last)
            if held is None:
                return False
            room = SEGMENT_ROWS - held.rows.num_rows
            if room > 0 and len(held.data) < SEGMENT_BYTES:
                longer = pa.concat_tables([held.rows, rows.slice(0, room)])
                if not self._put(last[0], held.version, longer):
                    return False
                rows = rows.slice(room)
        for start in range(0, rows.num_rows, SEGMENT_ROWS):
            key = f"{folder}/{number + start // SEGMENT_ROWS:05d}.parquet"
            if not self._put(key, None, rows.slice(start, SEGMENT_ROWS)):
                return False
        return True

    def _put(self, key: str, version: Version | None, rows: pa.Table) -> bool:
        held = self._segment(key, version) if version is not None else None
        if version is not None and (held is None or held.version != version):
            return False
        return self.objects.write_if(key, _grow(held.data if held else b"", rows, self.spec), version)

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
    # A column that a row has nothing to say in must not take its key away.
    parts = [pc.fill_null(pc.cast(rows[name], pa.string()), "") for name in key]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _hashes(keys: Sequence[str | None]) -> NDArray[np.int64]:
    """Sorted. Python's own: they differ from process to process, and are kept in one alone."""
    return np.sort(np.fromiter(map(hash, keys), np.int64, len(keys)))


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
