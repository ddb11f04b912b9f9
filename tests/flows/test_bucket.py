"""A home in a bucket: the same commands, nothing on this machine but the work in hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage.artifacts import check_whole, find
from storage.home import Home, own_folder
from storage.ledger import Ledger
from tasks.film import Script
from tasks.film import film as film_puppet
from tests.flows.conftest import Shell
from tests.helpers.footage import RECORD, film
from tests.storage.conftest import s3_server, s3_url

__all__ = ["s3_server", "s3_url"]


def test_ingest_status_and_lineage_in_a_bucket(
    memdub: Shell, tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDUB_HOME", f"{s3_url}/home")
    record = tmp_path / "anna.toml"
    record.write_text(RECORD.format(scope='["ingest"]', expires="2999-01-01"))
    video = film(tmp_path / "a b.mp4")
    # Others test beside this, in buckets of the same name.
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    assert memdub("ingest", video, "--identity", "anna", "--consent", record, "--json") == 0, memdub.err
    clip = json.loads(memdub.out)["clips"][0]
    home = Home(f"{s3_url}/home")
    stored = find(Ledger(home.objects), clip["id"])
    assert stored is not None
    check_whole(home, stored, read_all=True)
    assert memdub("ingest", video, "--identity", "anna", "--json") == 0
    assert json.loads(memdub.out)["clips"][0]["reused"]
    assert memdub("status") == 0
    assert "anna" in memdub.out
    assert memdub("lineage", clip["id"]) == 0
    assert "a b.mp4" in memdub.out
    assert memdub("gc") == 0
    assert not list((own_folder() / "memdub-work").rglob("clip-*"))
    assert memdub("ingest", "--identity", "anna") == 2
    assert "needs a local folder" in memdub.err


def test_extraction_and_export_in_a_bucket(
    memdub: Shell, tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDUB_HOME", f"{s3_url}/extracted")
    record = tmp_path / "anna.toml"
    record.write_text(RECORD.format(scope='["ingest"]', expires="2999-01-01"))
    puppet = film_puppet(Script(seed=3, size=128, text="Puppets speak.", supersample=1), tmp_path / "p.mp4")
    assert memdub("ingest", puppet.video, "--identity", "anna", "--consent", record) == 0, memdub.err
    assert memdub("extract", "anna", "--workers", "1", "--json") == 0, memdub.err
    (one,) = json.loads(memdub.out)["features"]
    home = Home(f"{s3_url}/extracted")
    ledger = Ledger(home.objects)
    for row in ledger.rows("artifacts").to_pylist():
        artifact = find(ledger, row["id"])
        assert artifact is not None
        check_whole(home, artifact, read_all=True)
    assert memdub("export", one["clip"], "--to", "openface", tmp_path / "anna.csv") == 0, memdub.err
    assert len((tmp_path / "anna.csv").read_text().splitlines()) > 10
    assert memdub("extract", "anna", "--workers", "1", "--json") == 0
    assert json.loads(memdub.out)["features"][0]["reused"]
    own = home.workspace_root()
    assert not list(own.iterdir()), "somebody's footage stays behind"
