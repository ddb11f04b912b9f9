"""What is tried again is tried as it was asked for then: where, on what, the same files from any folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest

from flows.failures import standing
from flows.ingest import ingest
from flows.retry import retry
from flows.train import train
from storage.errors import MediaError, WorkError
from storage.home import Home
from storage.ledger import Ledger
from storage.runs import record_failure, run
from tasks.material import Cut
from tasks.training import TrainOptions
from tests.helpers.footage import RECORD, film
from tests.helpers.raw_home import clips_of
from tests.helpers.tiny_home import at, known, table
from tests.storage.conftest import s3_server, s3_url

__all__ = ["at", "known", "s3_server", "s3_url"]

OPTIONS = TrainOptions("tiny", "smoke", Cut(held_out=0.25), plan={"steps": 3})


def left(home: Home) -> list[tuple[str, str]]:
    return [(row["stage"], Path(row["subject"]).name) for row in standing(Ledger(home.objects))]


@pytest.fixture
def failed(at: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A training that was sent to a pool, on a card, and did not come back."""
    monkeypatch.setattr("flows.pools.check", lambda *_: None)

    def lost(*_: object) -> None:
        raise WorkError("the training ended as crashed")

    with monkeypatch.context() as patch:
        patch.setattr("flows.pools.train_in_pool", lost)
        with pytest.raises(WorkError):
            train("anna", OPTIONS, where="gpu", device="cpu", processes=2, home=at.url)
    return at


def test_a_training_goes_to_the_same_pool(failed: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def sent(where: str, home: Home, options: TrainOptions, identity: str, *told: Any) -> None:
        asked.append((where, identity, options, told[1]))

    monkeypatch.setattr("flows.pools.train_in_pool", sent)
    monkeypatch.setattr("tasks.training.train_stage", pretend)
    assert [one.became for one in retry(home=failed.url).trials] == ["failed"]
    assert asked == [("gpu", "anna", OPTIONS, {"device": "cpu", "processes": 2})]


def pretend(*_: object, **__: object) -> None:
    raise WorkError("that it was sent is what matters here")


def test_who_did_it_says_nothing_of_what_was_done(failed: Home) -> None:
    """It failed in a pool and succeeded here; and rows of former versions name neither."""
    assert left(failed) == [("train", "anna")]
    (row,) = [row for row in table(failed, "runs") if row["flow"] == "train"]
    told = json.loads(row["arguments"])
    old = {name: told[name] for name in ("identity", "options")}
    with (
        pytest.raises(WorkError),
        run(Ledger(failed.objects), "train", identity="anna", arguments=old),
    ):
        raise WorkError("an earlier one")
    assert len(left(failed)) == 1
    train("anna", OPTIONS, device="cpu", home=failed.url)
    assert left(failed) == []


def test_a_file_is_found_from_any_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "there").mkdir()
    monkeypatch.chdir(root / "there")
    film(root / "there/good.mp4")
    bad = root / "there/bad.mp4"
    bad.write_bytes(b"no film" * 1000)
    home = str(root / "home")
    result = ingest([Path("good.mp4"), Path("bad.mp4")], "anna", home=home)
    assert [one.where for one in result.refused] == ["bad.mp4"], "people are told what they typed"
    monkeypatch.chdir(root)
    film(bad, seed=7)
    assert [one.became for one in retry(home=home).trials] == ["done"]
    assert clips_of(root / "home") == ["bad.mp4", "good.mp4"]
    assert left(Home(home)) == []


def test_an_old_row_names_its_file_from_where_somebody_was(root: Path) -> None:
    home = Home(str(root / "home"))
    ledger = Ledger(home.objects)
    with run(ledger, "ingest", identity="anna", arguments={"videos": ["course/a.mp4"]}) as this:
        error = WorkError("a reader was killed", where="course/a.mp4")
        record_failure(ledger, this, stage="ingest", subject="course/a.mp4", error=error, identity="anna")
        this.status = "failed"
    assert left(home) == [("ingest", "a.mp4")]
    ingest([film(root / "course/b.mp4")], "anna", home=home.url)
    assert left(home) == [("ingest", "a.mp4")]
    ingest([film(root / "course/a.mp4")], "anna", home=home.url)
    assert left(home) == []


def test_a_file_of_a_bucket(tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDUB_SETTLE_SECONDS", "0")
    home = Home(f"{s3_url}/retried")
    fs, root = fsspec.core.url_to_fs(home.url)
    fs.pipe_file(
        f"{root}/identities/anna/consent.toml",
        RECORD.format(scope='["ingest"]', expires="2999-01-01").encode(),
    )
    fs.pipe_file(f"{root}/raw/anna/talk.mp4", film(tmp_path / "a.mp4", seconds=1.2).read_bytes())
    ledger, where = Ledger(home.objects), home.uri("raw/anna/talk.mp4")
    with run(ledger, "refresh") as this:
        said = {"stage": "ingest", "subject": where, "identity": "anna"}
        record_failure(ledger, this, error=WorkError("the bucket was away", where=where), **said)
        this.status = "partly"
    with monkeypatch.context() as patch:
        patch.setattr("tasks.ingest.ingest_file", refuse)
        (again,) = retry(home=home.url).failed
    assert str(again) == f"{where}: not a video; replace it"
    assert [one.became for one in retry(home=home.url).trials] == ["done"]
    assert [row["source_name"] for row in ledger.live_clips("anna")] == ["talk.mp4"]
    assert left(home) == []
    record_failure(ledger, this, **{**said, "subject": f"{where}.mp4"}, error=MediaError("bad"))
    assert [one.became for one in retry(home=home.url).trials] == ["gone"]


def refuse(_: Home, file: Path, *__: object, **___: object) -> None:
    raise MediaError("not a video", where=file, do="replace it")
