"""The ledger's writer, killed at every single step of a commit; `tests/storage` does so at random."""

from __future__ import annotations

import itertools
import json
import os
import signal
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pytest

from storage.ledger import Commit, Ledger
from storage.ledger.schemas import TABLES
from storage.objects import open_objects
from tests.helpers.killing import FORKED
from tests.storage.test_ledger import commit, plain_ids

# The frames' own file, then four tables; the artifact's own row is the last.
WRITES = ["frames", "lineage", "clips", "metrics", "artifacts"]


def whole_commit(name: str) -> Commit:
    """A commit that writes into every table there is."""
    frame = {"artifact": name, "clip": name, "identity": "anna", "frame": 0}
    schema = TABLES["frames"].schema
    return replace(
        commit(name),
        frames=pa.Table.from_pylist([{column: frame.get(column) for column in schema.names}], schema=schema),
        clips=[{"id": name, "identity": "anna", "source_sha256": "0"}],
        metrics=[{"artifact": name, "metric": "m", "split": "all", "value": 1.0}],
    )


def die_at(home: str, step: int, after: bool, said: Connection) -> None:
    """Commits, and dies before or after the step-th file is put into its place."""
    count, put = itertools.count(), Path.replace

    def counted(self: Path, target: Path) -> Path:
        now = next(count) == step
        if now and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = put(self, target)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Path.replace = counted  # type: ignore[method-assign, assignment]
    Ledger(open_objects(home)).commit(whole_commit("clip-killed"))
    said.send("it was not killed")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(len(WRITES)), ids=WRITES)
def test_a_commit_is_there_as_a_whole_or_not_at_all(tmp_path: Path, step: int, after: bool) -> None:
    home = str(tmp_path)
    Ledger(open_objects(home)).commit(whole_commit("clip-before"))
    heard, said = FORKED.Pipe(duplex=False)
    process = FORKED.Process(target=die_at, args=(home, step, after, said))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not heard.poll(), heard.recv()

    there = step == len(WRITES) - 1 and after
    assert sorted(plain_ids(tmp_path)) == ["clip-before", *["clip-killed"] * there]
    ledger = Ledger(open_objects(home))
    assert {row["id"] for row in ledger.live_clips("anna")} == set(plain_ids(tmp_path))
    ledger.commit(whole_commit("clip-killed"))  # the next run does it again
    again = Ledger(open_objects(home))
    for table, column in {
        "artifacts": "id",
        "clips": "id",
        "metrics": "artifact",
        "lineage": "child",
    }.items():
        assert sorted(again.rows(table)[column].to_pylist()) == ["clip-before", "clip-killed"], table
    assert again.orphans() == set()
    assert json.loads(again.rows("artifacts").to_pylist()[0]["recipe"])
