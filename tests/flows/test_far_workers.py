"""Workers that share nothing with us but the bucket: the same artifacts, each once, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from flows.extract import extract
from flows.ingest import ingest
from storage.artifacts import check_whole, find
from storage.home import Home
from storage.ledger import Ledger
from tasks.credentials import credentials_of
from tasks.film import Script, film
from tests.flows.conftest import Shell
from tests.helpers.footage import RECORD, keep_consent
from tests.helpers.footage import film as film_nothing
from tests.helpers.painted import wav
from tests.storage import s3
from tests.storage.conftest import s3_server, s3_url

__all__ = ["s3_server", "s3_url"]

KINDS = {"faces", "track", "audio", "fit", "features"}
SCOPE = '["ingest", "train", "dub"]'


@pytest.fixture(scope="module")
def footage_of_two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two puppets, one clip each, and a film in which nobody is."""
    folder = tmp_path_factory.mktemp("films")
    made = [
        film(Script(seed=seed, size=128, text="Puppets speak.", supersample=1), folder / f"{seed}.mp4").video
        for seed in (3, 4)
    ]
    return [*made, film_nothing(folder / "nobody.mp4", seconds=1.5)]


@pytest.fixture(scope="module")
def nearby(footage_of_two: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Content hash of all artifacts of the same footage in a folder, extracted in this process."""
    home = tmp_path_factory.mktemp("nearby") / "home"
    keep_consent(home, scope=SCOPE)
    ingest(footage_of_two, "anna", home=str(home)).raise_if_refused()
    extract(["anna"], home=str(home), workers=0)
    return hashes(str(home))


@pytest.fixture(scope="module")
def far(s3_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A scheduler, and the folder below which each of its two workers has its own."""
    folder = tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment(s3_server).items():
            patch.setenv(name, value)
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            local_directory=str(folder),
        ) as cluster:
            yield cluster.scheduler_address, folder


@pytest.fixture
def bucket(s3_url: str, tmp_path: Path, footage_of_two: list[Path], monkeypatch: pytest.MonkeyPatch) -> str:
    """A home in a bucket with the clips in it; workers of a cluster see no folder of ours."""
    monkeypatch.setattr("tasks.team.is_shared", lambda *_: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # buckets of other tests may have this name
    home = f"{s3_url}/home"
    monkeypatch.setenv("MEMDUB_HOME", home)
    monkeypatch.setenv("MEMDUB_LEASE_SECONDS", "3")
    record = tmp_path / "anna.toml"
    record.write_text(RECORD.format(scope=SCOPE, expires="2999-01-01"))
    ingest(footage_of_two, "anna", record=record, home=home).raise_if_refused()
    return home


def hashes(home: str) -> dict[str, str]:
    rows = Ledger(Home(home).objects).rows("artifacts").to_pylist()
    ids = Counter(row["id"] for row in rows)
    assert set(ids.values()) <= {1}, "a row is there twice"
    return {row["id"]: row["content_hash"] for row in rows if row["kind"] in KINDS}


def test_extract_on_two_workers_dub_and_query(
    bucket: str,
    far: tuple[str, Path],
    nearby: dict[str, str],
    memdub: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, folder = far
    assert memdub("extract", "anna", "--dask-address", address, "--json") == 1, memdub.err
    told = json.loads(memdub.out)
    assert len(told["features"]) == 2
    assert [one["where"] for one in told["refused"]] == ["nobody.mp4"]
    assert hashes(bucket) == nearby

    ledger = Ledger(Home(bucket).objects)
    assert ledger.posts.names() == []
    (failure,) = ledger.rows("failures").to_pylist()
    assert (failure["stage"], failure["error"]) == ("extract", "MediaError")
    (run,) = [row for row in ledger.rows("runs").to_pylist() if row["flow"] == "extract"]
    made = [row for row in ledger.rows("artifacts").to_pylist() if row["id"] in nearby]
    assert {row["run_id"] for row in made} == {run["id"]}
    assert len(set(run["made"])) == len(run["made"]) >= 2 * len(KINDS)
    for row in made:
        artifact = find(ledger, row["id"])
        assert artifact is not None
        check_whole(Home(bucket), artifact, read_all=True)
    assert not list(Home(bucket).workspace_root().iterdir()), "we worked ourselves"
    assert not list(folder.glob("**/memdub-work/*/*")), "somebody's footage stays behind"

    assert memdub("extract", "anna", "--dask-address", address, "--json") == 1
    assert [one["reused"] for one in json.loads(memdub.out)["features"]] == [True, True]
    theirs = credentials_of(Home(tmp_path / "elsewhere"))  # a bucket is no place for a private key
    for name, content in (("certificate", theirs.chain), ("key", theirs.key)):
        (tmp_path / name).write_bytes(content)
        monkeypatch.setenv(f"MEMDUB_C2PA_{name.upper()}", str(tmp_path / name))
    audio = wav(tmp_path / "speech.wav", 1.0)
    out = tmp_path / "dub.mp4"
    assert memdub("dub", "anna", audio, "-o", out, "--method", "nearest") == 0, memdub.err
    assert out.stat().st_size > 1000
    assert memdub("query", "select kind, count(*) as n from artifacts group by kind", "--json") == 0
    assert ["features", 2] in json.loads(memdub.out)["rows"]
    assert ["dub", 1] in json.loads(memdub.out)["rows"]


def test_a_lost_workers_clip_goes_on_elsewhere_with_what_it_had_finished(
    bucket: str, far: tuple[str, Path], nearby: dict[str, str]
) -> None:
    address, _ = far
    posts, before = Ledger(Home(bucket).objects).posts, dict[str, object]()

    def kill_who_has_finished_faces() -> None:
        while not any(name.startswith("faces") for name in posts.names()):
            time.sleep(0.02)  # each look is a request
        with Client(address) as client:
            busy = next(worker for worker, keys in client.processing().items() if keys)
            before.update((commit.artifact["id"], commit.artifact["started"]) for commit in posts.all())
            os.kill(client.run(os.getpid, workers=[busy])[busy], signal.SIGKILL)

    killer = threading.Thread(target=kill_who_has_finished_faces)
    killer.start()
    done = extract(["anna"], home=bucket, dask_address=address)
    killer.join()
    assert before
    assert len(done.outcomes) == 2
    assert hashes(bucket) == nearby
    after = Ledger(Home(bucket).objects).find_all(list(before), "anna")
    assert {name: row["started"] for name, row in after.items()} == before, "finished work was done again"


def test_a_killed_runs_posts_are_written_down_by_the_next(bucket: str, far: tuple[str, Path]) -> None:
    address, _ = far
    home = Home(bucket)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "gather", lambda *_: 0)  # killed before it could
        extract(["anna"], home=bucket, dask_address=address)
    assert hashes(bucket) == {}
    assert len(Ledger(home.objects).posts.names()) >= 2 * len(KINDS)
    again = extract(["anna"], home=bucket, workers=0)
    assert [one.features.reused for one in again.outcomes] == [True, True]
    assert Ledger(home.objects).posts.names() == []


def test_a_worker_with_other_code_is_a_failure_of_the_clip_in_one_line(
    bucket: str, far: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.extracting.version", lambda _: "0.0.9")
    done = extract(["anna"], home=bucket, dask_address=far[0])
    assert not done.outcomes
    assert {error.what.split(" has ")[1] for error in done.refused} == {"memdub 0.1.0, this is 0.0.9"}
