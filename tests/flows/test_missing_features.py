"""Clips without features where a training or a dub needs them: only these are extracted, as others were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.again import extract_missing
from flows.dub import dub, plan
from flows.ingest import ingest
from flows.train import train
from flows.watching import no_progress
from models import methods
from storage.artifacts import Artifact, Made, produce
from storage.errors import MediaError, RequestError, WorkError
from storage.home import Home
from storage.recipes import Recipe
from tasks.dubbing.stage import DubOptions
from tasks.material import Cut
from tasks.training import TrainOptions
from tests.helpers import painted
from tests.helpers.footage import film
from tests.helpers.painted import wav
from tests.helpers.raw_home import Extraction
from tests.helpers.tiny_home import at, known, table

__all__ = ["at", "known"]

OPTIONS = TrainOptions("tiny", "smoke", Cut(held_out=0.25), plan={"steps": 3})
PAINTED = DubOptions(painted.NAME)


@pytest.fixture
def extraction(monkeypatch: pytest.MonkeyPatch) -> Extraction:
    quick = Extraction()
    monkeypatch.setattr("flows.extract.extract", quick)
    return quick


@pytest.fixture
def new(at: Home, tmp_path: Path) -> Artifact:
    """A second clip of anna's, whose first one has features."""
    video = film(tmp_path / "new.mp4", seconds=4, size=(160, 120), seed=5)
    return ingest([video], "anna", home=at.url).clips[0]


def test_what_is_there_is_not_extracted_again(at: Home, new: Artifact, extraction: Extraction) -> None:
    train("anna", OPTIONS, device="cpu", home=at.url)
    assert extraction.calls == [[new.id]]


def test_what_is_missing_is_made_as_the_others_were(at: Home, new: Artifact, extraction: Extraction) -> None:
    (first,) = [row["id"] for row in table(at, "clips") if row["id"] != new.id]

    def note(workspace: Path) -> Made:
        (workspace / "note").write_text("what was heard")
        return Made()

    inputs = {"clip": first}
    heard = produce(at, Recipe("audio", "audio", 1, {"speech": "deepspeech"}, inputs), note, identity="anna")
    inputs = {"clip": first, "audio": heard.id}
    produce(at, Recipe("features", "features", 1, {"offset": 3.0}, inputs), note, identity="anna")
    extract_missing(at, "anna", [new.id], no_progress, lambda line: None)
    (ran,) = [row for row in table(at, "runs") if row["flow"] == "extract"]
    asked = json.loads(ran["arguments"])["options"]
    assert asked["speech"] == "deepspeech"
    assert asked["offset"] != 3.0, "what was meant for one clip alone"


def test_one_more_clip_that_is_refused_stops_no_training(
    at: Home, new: Artifact, extraction: Extraction
) -> None:
    extraction.refuses = lambda clip: True
    assert train("anna", OPTIONS, device="cpu", home=at.url).checkpoints
    extraction.refuses = lambda clip: False
    train("anna", OPTIONS, device="cpu", home=at.url)
    assert extraction.calls == [[new.id]], "no face is no face the next time"


def test_where_nothing_has_features_the_reason_is_raised(
    at: Home, new: Artifact, extraction: Extraction
) -> None:
    from storage.ledger import Ledger

    Ledger(at.objects).remove([row["id"] for row in table(at, "artifacts") if row["kind"] == "features"])
    extraction.refuses = lambda clip: True
    with pytest.raises(MediaError, match="no face in any frame"):
        train("anna", OPTIONS, device="cpu", home=at.url)


def test_a_pool_that_cannot_train_is_said_before_anything_is_extracted(
    at: Home, new: Artifact, extraction: Extraction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(methods.METHODS, painted.NAME, f"{painted.__name__}:Painted")
    audio, before = wav(tmp_path / "a.wav", 0.5), len(table(at, "runs"))

    def check(pool: str, _: Home) -> None:
        raise RequestError("no such work pool", where=f"--where {pool}")

    monkeypatch.setattr("flows.pools.check", check)
    with pytest.raises(RequestError, match="--where typo: no such work pool"):
        dub("anna", audio, tmp_path / "out.mp4", options=PAINTED, where="typo", home=at.url)
    assert extraction.calls == []
    assert len(table(at, "runs")) == before


def test_a_dub_tries_again_what_only_broke(
    at: Home, new: Artifact, extraction: Extraction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was lost is no fault of the clip: the dub may want it as its template."""
    monkeypatch.setitem(methods.METHODS, painted.NAME, f"{painted.__name__}:Painted")
    audio, out = wav(tmp_path / "a.wav", 0.5), tmp_path / "out.mp4"
    extraction.refuses, extraction.error = (lambda clip: True), WorkError
    dub("anna", audio, out, options=PAINTED, home=at.url)
    assert not plan("anna", audio, options=PAINTED, home=at.url)[0].done
    extraction.refuses = lambda clip: False
    dub("anna", audio, out, options=PAINTED, home=at.url)
    assert extraction.calls == [[new.id]] * 2
    assert plan("anna", audio, options=PAINTED, home=at.url)[0].done
