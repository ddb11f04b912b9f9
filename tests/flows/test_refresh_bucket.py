"""A refresh where raw/ lies in a bucket, which knows no half-written files."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from flows.refresh import refresh
from storage.home import Home
from storage.ledger import Ledger
from tests.flows.conftest import Shell
from tests.helpers.footage import RECORD, film
from tests.storage.conftest import s3_server, s3_url

__all__ = ["s3_server", "s3_url"]


def test_new_changed_gone_and_bad_in_a_bucket(
    tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch, memdub: Shell
) -> None:
    url = f"{s3_url}/refreshed"
    monkeypatch.setenv("MEMDUB_HOME", url)
    monkeypatch.setenv("MEMDUB_SETTLE_SECONDS", "0")
    # Features by the hundred objects say nothing here, and take a minute.
    monkeypatch.setattr("flows.keeping.Keeper.extract", lambda *_, **__: None)
    fs, root = fsspec.core.url_to_fs(url)
    record = RECORD.format(scope='["ingest"]', expires="2999-01-01")
    fs.pipe_file(f"{root}/identities/anna/consent.toml", record.encode())
    films = [film(tmp_path / f"{number}.mp4", seed=number, seconds=1.2).read_bytes() for number in range(4)]
    for number in range(3):
        fs.pipe_file(f"{root}/raw/anna/take {number}.mp4", films[number])
    fs.pipe_file(f"{root}/raw/anna/bad.mp4", b"no film" * 1000)
    fs.pipe_file(f"{root}/raw/anna/speech/other.mp4", films[3])
    fs.pipe_file(f"{root}/raw/bob/b.mp4", films[3])
    first = refresh()
    told = {one.path: one.became for one in first.files}
    assert told == {"bad.mp4": "quarantined"} | {f"take {number}.mp4": "new" for number in range(3)}
    assert {one.identity: one.blocked is not None for one in first.people} == {"anna": False, "bob": True}
    assert refresh().is_idle
    fs.pipe_file(f"{root}/raw/anna/take 0.mp4", films[3])
    fs.rm_file(f"{root}/raw/anna/take 1.mp4")
    second = refresh(allow_shrink=True)
    assert {one.path: one.became for one in second.files} == {"take 0.mp4": "changed", "take 1.mp4": "gone"}
    live = Ledger(Home(url).objects).live_clips("anna")
    assert sorted(row["source_name"] for row in live) == ["take 0.mp4", "take 2.mp4"]
    assert refresh().is_idle
    assert memdub("status") == 0
    assert memdub("plan", "ingest") == 0
    assert "nothing to do" in memdub.out
