"""What the tests of storage share: a bucket on a loopback S3 server, and spawned processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.storage import clip_helpers, s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with s3.server() as address:
        yield address


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket's URL, such as `s3://bucket-0`, empty at the start of each test."""
    for name, value in s3.environment(s3_server).items():
        monkeypatch.setenv(name, value)
    s3.forget()
    yield s3.new_bucket(s3_server)
    s3.forget()


@pytest.fixture(scope="session")
def four_processes() -> Iterator[ProcessPoolExecutor]:
    """Four spawned processes, started once; `clip_helpers.write_together` waits until all four are at it."""
    spawn = multiprocessing.get_context("spawn")
    arguments = (spawn.Barrier(4),)
    with ProcessPoolExecutor(4, spawn, initializer=clip_helpers.meet_at, initargs=arguments) as pool:
        yield pool
