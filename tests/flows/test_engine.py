"""What is tried again, what is not, and what Prefect is told of artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows import shown
from flows.assets import key_of
from flows.engine import BACKOFF, passes, persevere
from flows.speech import newest_speech
from storage.errors import (
    Broken,
    ConsentError,
    CorruptArtifact,
    HomeError,
    LeaseLost,
    MediaError,
    MemdubError,
    PartlyFailed,
    RequestError,
    WorkError,
)
from storage.home import Home
from tasks.glimpse import lip_opening, loudness


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (WorkError("a worker died again and again"), True),
        (Broken("somebody ended it"), False),
        (LeaseLost("another process took this work over"), True),
        (ConnectionResetError("the bucket is away"), True),
        (TimeoutError("no answer"), True),
        (MediaError("not a video"), False),
        (RequestError("wrong"), False),
        (ConsentError("no"), False),
        (HomeError("read-only"), False),
        (CorruptArtifact("changed"), False),
        (PartlyFailed("2 of 3"), False),
        (FileNotFoundError("gone"), False),
        (PermissionError("no"), False),
        (ValueError("a mistake of ours"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_can_pass(error: BaseException, again: bool) -> None:
    assert passes(error) is again


class Work:
    """Fails with what it is given, then returns."""

    def __init__(self, *failures: Exception | list[MemdubError]) -> None:
        self.failures, self.calls = list(failures), 0

    def __call__(self) -> list[MemdubError]:
        self.calls += 1
        if not self.failures:
            return []
        failure = self.failures.pop(0)
        if isinstance(failure, Exception):
            raise failure
        return failure


def persevered(work: Work) -> tuple[list[MemdubError], list[float]]:
    waited: list[float] = []
    return persevere(work, lambda refused: refused, wait=waited.append), waited


def test_what_passes_is_tried_again_after_ever_longer_waits() -> None:
    result, waited = persevered(Work(WorkError("lost"), OSError("away")))
    assert result == []
    assert len(waited) == 2
    assert waited[1] > 2 * waited[0]
    assert BACKOFF[1] > 2 * BACKOFF[0]


def test_trying_again_ends() -> None:
    work = Work(*[WorkError("lost")] * 9)
    with pytest.raises(WorkError):
        persevered(work)
    assert work.calls == 3


def test_a_wrong_request_is_tried_once() -> None:
    work = Work(MediaError("not a video"))
    with pytest.raises(MediaError):
        persevered(work)
    assert work.calls == 1


def test_a_batch_is_tried_again_for_what_can_pass_alone() -> None:
    bad = MediaError("not a video")
    assert persevered(Work([bad])) == ([bad], []), "it would be refused again"
    assert persevered(Work([bad, WorkError("lost")], [bad]))[0] == [bad]


@pytest.mark.parametrize("folder", ["plain", "a b", "50% of [it] & <more>#'\"?", "ünïcode"])
def test_keys_of_assets_are_what_prefect_takes(tmp_path: Path, folder: str) -> None:
    from prefect.assets import Asset

    key = key_of(Home(tmp_path / folder), "stores/dub/dub-0123")
    assert Asset(key=key).key.endswith("/stores/dub/dub-0123")
    assert key.startswith("file:///")


def test_keys_of_assets_in_a_bucket() -> None:
    assert key_of(Home("s3://bucket/some where"), "stores/x/x-1") == "s3://bucket/some_where/stores/x/x-1"


@pytest.mark.parametrize(
    ("words", "key"),
    [(("dub", "anna_2"), "dub-anna-2"), (("progress", "training x (1 of 2)"), "progress-training-x-1-of-2")],
)
def test_keys_of_artifacts(words: tuple[str, ...], key: str) -> None:
    assert shown.key(*words) == key


def test_what_a_table_cannot_hold_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(
        "prefect.artifacts.create_table_artifact", lambda rows, **told: kept.update(rows=rows, **told)
    )
    shown.table("clips anna", [{"a": 1 / 3, "b": None, "c": Path("/x"), "d": True}], "clips")
    assert kept == {
        "rows": [{"a": 0.3333, "b": None, "c": "/x", "d": True}],
        "key": "clips-anna",
        "description": "clips",
    }
    json.dumps(kept["rows"])


def test_a_picture_that_cannot_be_shown_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("the server is away")

    monkeypatch.setattr("prefect.artifacts.create_table_artifact", broken)
    shown.table("clips", [], "clips")


def test_progress_that_was_a_moment_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("an artifact was made")

    monkeypatch.setattr("prefect.artifacts.create_progress_artifact", unwanted)
    with shown.watching("a moment") as progress:
        progress(1, 2)


def test_progress_is_pushed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    pushed: list[float] = []
    first = threading.Event()

    def create(share: float, **_: object) -> str:
        pushed.append(share)
        first.set()
        return "id"

    monkeypatch.setattr(shown, "_PUSH_SECONDS", 0.01)
    monkeypatch.setattr("prefect.artifacts.create_progress_artifact", create)
    monkeypatch.setattr("prefect.artifacts.update_progress_artifact", lambda _, share: pushed.append(share))
    with shown.watching("training") as progress:
        progress(1, 4)
        assert first.wait(20)
        progress(4, 4)
    assert pushed[-1] == 100.0
    assert pushed == sorted(pushed)


def test_the_newest_speech(home: Home) -> None:
    import os

    folder = home.path("raw/anna/speech")
    with pytest.raises(MediaError, match="no speech"):
        newest_speech(home, "anna")
    (folder / "a folder").mkdir(parents=True)
    for age, name in enumerate(["new.mp4.part", ".hidden.wav", "new.wav", "old.wav"]):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (1000 - age, 1000 - age))
    assert newest_speech(home, "anna").name == "new.wav"
    with pytest.raises(RequestError):
        newest_speech(home, "../anna")


def test_lips_and_voice_by_frame() -> None:
    import numpy as np

    points = np.zeros((2, 478, 3), np.float32)
    points[:, 152, 1] = 100
    points[0, 14, 1] = 10
    assert lip_opening(points).tolist() == pytest.approx([0.1, 0.0])
    sound = np.zeros(16_000, np.float32)
    sound[8_000:] = 1.0
    loud = loudness(sound, 4, 4.0)
    assert loud.tolist() == pytest.approx([-50, -50, 0, 0])
    assert loudness(sound[:100], 4, 4.0).shape == (4,), "sound may be shorter than the film"
