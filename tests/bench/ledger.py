"""The ledger's figures: writers at once, plain readers meanwhile, a hundred thousand artifacts.

python -m tests.bench.ledger
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from storage.artifacts import Made, produce
from storage.home import Home
from storage.ledger import Commit, Ledger
from storage.objects import open_objects
from storage.recipes import Recipe

SPAWN = multiprocessing.get_context("spawn")
WRITERS, EACH, MANY = 8, 500, 100_000


def commit(name: str, kind: str = "clip", parents: tuple[str, ...] = ()) -> Commit:
    digest = hashlib.sha256(name.encode()).hexdigest()
    row = {
        "id": f"{kind}-{digest[:20]}",
        "kind": kind,
        "identity": f"person{int(digest[:2], 16) % 20}",
        "uri": f"stores/{kind}/{digest[:20]}",
        "content_hash": digest,
        "bytes": 1_000_000,
        "recipe": json.dumps(
            {"kind": kind, "stage": "ingest", "parameters": {"name": name}, "raw": [["footage", digest]]}
        ),
        "stage": "ingest",
        "stage_version": 1,
        "code_revision": "0.1.0+0123456789ab",
        "started": dt.datetime.now(dt.UTC),
        "seconds": 12.5,
        "host": "bench",
        "run_id": "20260101T000000-01234567",
    }
    known = parents or (f"sha256:{digest}",)
    return Commit(
        row, [{"child": row["id"], "parent": p, "role": "input", "parent_name": None} for p in known]
    )


def write(home: str, writer: int) -> None:
    ledger = Ledger(open_objects(home))
    for i in range(EACH):
        ledger.commit(commit(f"{writer}-{i}"))


def writers_and_readers(home: Path) -> None:
    """Eight writers; DuckDB and pandas read the bare files as fast as they can meanwhile."""
    Ledger(open_objects(str(home))).commit(commit("first"))
    begun = time.perf_counter()
    writers = [SPAWN.Process(target=write, args=(str(home), w)) for w in range(WRITERS)]
    for writer in writers:
        writer.start()
    reads = errors = wrong = 0
    while any(writer.is_alive() for writer in writers):
        try:
            ids = [row[0] for row in plain(home)]
            frame = pd.read_parquet(home / "ledger" / "artifacts", columns=["id"])
            wrong += len(ids) != len(set(ids)) or not frame["id"].is_unique
            reads += 2
        except (duckdb.Error, OSError):
            errors += 1
    took = time.perf_counter() - begun
    ids = [row[0] for row in plain(home)]
    print(
        f"{WRITERS} processes x {EACH} artifacts at once: {len(ids) - 1} rows, "
        f"{len(set(ids)) - 1} different, {took:.1f} s with readers"
    )
    print(f"  plain reads meanwhile: {reads}, of which failed {errors}, saw a row twice {wrong}")


def plain(home: Path) -> list[tuple[str]]:
    return (
        duckdb.connect()
        .execute(f"select id from read_parquet('{home}/ledger/artifacts/**/*.parquet')")
        .fetchall()
    )


def replacing_against_growing(home: Path) -> None:
    """Why segments grow: DuckDB reading one file that is replaced all the time, by either way."""
    for name, keep in (("replaced whole", False), ("grown", True)):
        folder = home / name.replace(" ", "_")
        folder.mkdir(parents=True)
        stop = SPAWN.Event()
        writer = SPAWN.Process(target=rewrite, args=(str(folder), keep, stop))
        writer.start()
        reads, failed, until = 0, 0, time.perf_counter() + 8
        while time.perf_counter() < until:
            try:
                duckdb.connect().execute(
                    f"select count(distinct id), max(length(text)) from read_parquet('{folder}/*.parquet')"
                ).fetchall()
            except duckdb.Error:
                failed += bool(list(folder.glob("*.parquet")))
            reads += 1
        stop.set()
        writer.join()
        print(f"  a file {name}: {reads} DuckDB reads, {failed} failed")


def rewrite(folder: str, keep: bool, stop: object) -> None:
    """Commits one row after the other into segments of 256, as the ledger would, in one of two ways."""
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    part = Path(folder) / "part"
    for number in range(10**9):
        path, old = Path(folder) / f"{number:05}.parquet", b""
        for count in range(1, 257):
            if stop.is_set():  # type: ignore[attr-defined]
                return
            rows = [{"id": f"{number}-{i}", "text": f"{i} " * 100} for i in range(count)]
            sink = pa.BufferOutputStream()
            with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
                sink.write(old[4:])
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            old = sink.getvalue().to_pybytes() if keep else b""
            part.write_bytes(sink.getvalue())
            part.replace(path)


def a_hundred_thousand(home: Path) -> None:
    ledger = Ledger(open_objects(str(home)))
    begun = time.perf_counter()
    for start in range(0, MANY, 10_000):
        chain = []
        for i in range(start, start + 10_000):
            parents = (chain[-1].artifact["id"],) if i % 10 else ()
            chain.append(commit(f"many-{i}", "clip" if not parents else "track", parents))
        ledger.commit(*chain)
    print(f"{MANY} artifacts committed in bulk: {time.perf_counter() - begun:.1f} s")
    name = chain[-1].artifact["id"]
    environment = {**os.environ, "MEMDUB_HOME": str(home)}
    for words in (
        ["status"],
        ["lineage", name],
        ["query", "select kind, count(*) from artifacts group by all"],
    ):
        seconds = min(timed(lambda w=words: shell(w, environment)) for _ in range(3))
        print(f"  memdub {' '.join(words)[:60]}: {seconds:.2f} s, the whole process")
    size = sum(path.stat().st_size for path in home.rglob("*.parquet"))
    print(f"  {sum(1 for _ in home.rglob('*.parquet'))} files, {size / 1e6:.0f} MB")


def skipping(home: Path) -> None:
    def make(workspace: Path) -> Made:
        (workspace / "a").write_bytes(b"a")
        return Made()

    place = Home(home)
    recipe = Recipe("clip", "ingest", 1, {"a": 1})
    produce(place, recipe, make, identity="person1")
    first = timed(lambda: produce(Home(home), recipe, make, identity="person1"))
    print(f"Same recipe again among {MANY} artifacts: skipped in {first * 1000:.0f} ms")


def shell(words: list[str], environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "flows.cli", *words], env=environment, check=True, capture_output=True
    )


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        writers_and_readers(Path(folder) / "a")
        replacing_against_growing(Path(folder) / "b")
        a_hundred_thousand(Path(folder) / "c")
        skipping(Path(folder) / "c")


if __name__ == "__main__":
    main()
