"""Conditional replacement, on every kind of place that a home can be."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import s3fs
from aiohttp import ClientPayloadError
from botocore.exceptions import ConnectionClosedError, NoCredentialsError

from storage import clips
from storage.artifacts import Made, check_whole, produce
from storage.errors import HomeError
from storage.home import Home
from storage.leases import hold
from storage.ledger import Ledger, connect
from storage.objects import Objects, S3Objects, open_objects
from storage.recipes import Recipe
from storage.s3 import as_os_errors
from tests.storage import s3
from tests.storage.test_ledger import commit


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "s3":
        return open_objects(f"{request.getfixturevalue('s3_url')}/home")
    return open_objects(str(tmp_path / "home"))


def test_only_the_version_that_was_read_is_replaced(objects: Objects) -> None:
    with objects.exclusive("a"):
        assert objects.read("a/x") is None
        assert objects.write_if("a/x", b"1", None)
        assert not objects.write_if("a/x", b"2", None)
        first = objects.read("a/x")
        assert first is not None
        assert objects.write_if("a/x", b"2", first[1])
        assert not objects.write_if("a/x", b"3", first[1])
        second = objects.read("a/x")
        assert second is not None
        assert second[0] == b"2"
        assert objects.versions("a") == {"a/x": second[1]}
        assert not objects.delete_if("a/x", first[1])
        assert objects.delete_if("a/x", second[1])
        assert objects.read("a/x") is None
        assert objects.versions("a") == {}


@pytest.mark.parametrize("meanwhile", [None, b"another's"])
def test_a_write_whose_answer_was_lost_is_ours(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, meanwhile: bytes | None
) -> None:
    """Botocore sends it once more, and the server says that somebody was first: us, or truly another."""
    objects = S3Objects(f"{s3_url}/home")
    put = objects._put

    def sent_again(key: str, data: bytes, **condition: str) -> bool:
        assert put(key, data if meanwhile is None else meanwhile, **condition)
        return put(key, data, **condition)

    monkeypatch.setattr(objects, "_put", sent_again)
    assert objects.write_if("a/x", b"ours", None) is (meanwhile is None)
    held = objects.read("a/x")
    assert held is not None
    assert held[0] == (meanwhile or b"ours")


def test_threads_that_commit_at_once_lose_nothing(objects: Objects) -> None:
    def work(worker: int) -> None:
        own = Ledger(objects)
        for i in range(10):
            own.commit(commit(f"{worker}-{i}"))

    threads = [threading.Thread(target=work, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = Ledger(objects).rows("artifacts")["id"].to_pylist()
    assert sorted(ids) == sorted(f"{w}-{i}" for w in range(4) for i in range(10))
    assert connect(Ledger(objects)).execute(
        "select count(*), count(distinct child) from lineage"
    ).fetchall() == [(40, 40)]


def test_a_lease_is_held_by_one(objects: Objects) -> None:
    with hold(objects, "work", 30) as lease:
        assert lease is not None
        other = threading.Event()
        with hold(objects, "work", 30, finished=lambda: True) as second:
            assert second is None
            other.set()
        lease.check()
    with hold(objects, "work", 30) as again:
        assert again is not None


def test_artifacts_live_in_a_bucket_too(s3_url: str) -> None:
    home = Home(f"{s3_url}/home")

    def make(workspace: Path) -> Made:
        (workspace / "deep").mkdir()
        (workspace / "deep" / "a.bin").write_bytes(b"a" * 1000)
        return Made()

    recipe = Recipe("clip", "ingest", 1, {"n": 1})
    made = produce(home, recipe, make, identity="anna")
    assert produce(Home(home.url), recipe, make, identity="anna").reused
    check_whole(home, made, read_all=True)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket behind a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for name, value in {**s3.environment(f"http://127.0.0.1:{port}"), "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    s3.forget()
    yield "s3://bucket/home"
    s3.forget()


def test_a_bucket_that_cannot_be_reached_is_an_error_of_the_system(unreachable: str) -> None:
    """Not of botocore, whose errors nobody would try again."""
    fs, root = fsspec.core.url_to_fs(unreachable)
    for ask in (
        lambda: open_objects(unreachable).read("a"),
        lambda: open_objects(unreachable).versions("a"),
        lambda: fs.cat_file(f"{root}/a"),
        lambda: fs.find(root),
        lambda: clips.open_clip(f"{unreachable}/clip.zarr"),
    ):
        with pytest.raises(OSError, match="cannot be reached") as caught:
            ask()
        assert caught.value.errno == errno.EIO


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        ConnectionClosedError(endpoint_url="http://here"),
        ClientPayloadError("not all of the body came"),
    ],
)
def test_what_ends_in_the_middle_is_an_error_of_the_system(error: Exception) -> None:
    with pytest.raises(OSError, match="the bucket cannot be reached"), as_os_errors():
        raise error


def test_a_file_in_a_bucket_is_read_through_the_same(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object) -> bytes:
        raise ClientPayloadError("not all of the body came")

    fs, root = fsspec.core.url_to_fs(s3_url)
    fs.pipe_file(f"{root}/a", b"a")
    monkeypatch.setattr(s3fs.S3File, "_fetch_range", ends)
    with fsspec.open(f"{s3_url}/a") as file, pytest.raises(OSError, match="cannot be reached"):
        file.read()


def test_what_a_bucket_refuses_to_delete_is_told(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the request is 200 all the same."""
    objects = S3Objects(f"{s3_url}/home")
    objects.write_if("a/x", b"1", None)
    objects.delete(["a/x", "a/never"])
    refused = {"Errors": [{"Key": "home/a/x", "Code": "AccessDenied", "Message": "Access Denied"}]}
    monkeypatch.setattr(objects._fs, "call_s3", lambda *_, **__: refused)
    with pytest.raises(OSError, match=r"cannot be deleted \(Access Denied\)"):
        objects.delete(["a/x"])


def test_places_without_conditional_writes_are_refused() -> None:
    for url in ("ftp://example.org/home", "memory://home"):
        with pytest.raises(HomeError, match="use a folder or s3"):
            open_objects(url)


def test_a_home_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(HomeError, match="cannot be written"),
        open_objects(str(tmp_path / "file")).exclusive("a"),
    ):
        pass
