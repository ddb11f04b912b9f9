"""What is named on the command line: pipes, devices, folders with a home in them, names that are no text."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from storage.errors import HomeError, MemdubError, NoSpace, WorkError
from storage.home import Home
from storage.ledger import Ledger
from tests.flows.conftest import Shell, refused
from tests.helpers.footage import film, keep_consent

STRANGE = os.fsdecode(b"caf\xe9.mp4")


def test_a_pipe_is_refused_unopened(memdub: Shell, root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    refused(memdub, root, root / "pipe.mp4", "--identity", "anna", line="pipe.mp4: not a regular file")
    refused(memdub, root, "/dev/zero", "--identity", "anna", line="/dev/zero: not a regular file")
    (root / "takes").mkdir()
    os.mkfifo(root / "takes" / "pipe.mp4")
    (root / "takes" / "folder.mp4").mkdir()
    refused(memdub, root, root / "takes", "--identity", "anna", line="a folder without any video")


def test_a_large_file_is_refused_unread(memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDUB_MAX_VIDEO_BYTES", "5000")
    monkeypatch.setattr("tasks.footage.hash_file", lambda _path: pytest.fail("it was read"))
    line = "raise MEMDUB_MAX_VIDEO_BYTES"
    refused(memdub, root, film(root / "large.mp4"), "--identity", "anna", line=line)


def test_an_empty_name_is_not_the_working_folder(
    memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(root / "a.mp4")
    monkeypatch.chdir(root)
    refused(memdub, root, "", "--identity", "anna", line="an empty name")


def test_an_empty_raw_folder_says_what_to_do(memdub: Shell, root: Path) -> None:
    refused(memdub, root, "--identity", "anna", line="put footage there or name files")
    (root / "home" / "raw" / "anna").mkdir(parents=True)
    refused(memdub, root, "--identity", "anna", line="put footage there or name files")


def test_silent_footage_names_the_option(memdub: Shell, root: Path) -> None:
    silent = film(root / "silent.mp4", sound=False)
    refused(memdub, root, silent, "--identity", "anna", line="add --silent-ok")


def test_a_folder_with_a_home_in_it_gives_no_clips_of_ours(
    memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(root / "a.mp4")
    film(root / "home" / "raw" / "anna" / "b.mp4", seed=1)
    film(root / "home" / "raw" / "bob" / "c.mp4", seed=2)  # somebody else's
    film(root / "home" / "out" / "dub.mp4", seed=2)
    monkeypatch.chdir(root)
    for _ in range(2):
        assert memdub("ingest", ".", "--identity", "anna", "--json") == 0
        assert len(json.loads(memdub.out)["clips"]) == 2
    names = set(Ledger(Home().objects).rows("clips")["source_name"].to_pylist())
    assert names == {"a.mp4", "b.mp4"}


def test_a_file_name_that_is_no_text(memdub: Shell, root: Path) -> None:
    good = Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.mp4"))
    shutil.move(film(root / "a.mp4"), good)
    bad = root / os.fsdecode(b"b\xe9d.mp4")
    bad.write_bytes(b"no video" * 100)
    assert memdub("ingest", good, bad, "--identity", "anna", "--json") == 1, memdub.err
    made = json.loads(memdub.out)
    assert "b\ufffdd.mp4" in memdub.err
    assert "b\ufffdd.mp4" in made["error"]["what"]
    clip = made["clips"][0]["id"]
    for words in (["lineage", clip], ["lineage", good], ["status"], ["query", "select * from failures"]):
        assert memdub(*words) == 0, memdub.err
    assert memdub("query", "select source_name from clips", "--json") == 0
    assert json.loads(memdub.out)["rows"] == [["caf\ufffd.mp4"]]
    assert memdub("ingest", good, "--identity", "anna") == 0
    assert "caf\ufffd.mp4" in memdub.out
    assert memdub("lineage", clip, "--html", root / STRANGE.replace("mp4", "html")) == 0


@pytest.mark.parametrize(
    "words",
    [["query", "select '\udce9'"], ["lineage", "clip-\udce9"], ["puppet", "hans", "--text", "a\udce9"]],
)
def test_words_that_are_no_text(memdub: Shell, root: Path, words: list[str]) -> None:
    assert memdub(*words) == 2
    assert "not UTF-8 text" in memdub.err
    assert memdub.err.count("\n") == 1


def test_a_failed_batch_is_one_object(memdub: Shell, root: Path) -> None:
    film(root / "many" / "a.mp4")
    for name in ("b", "c"):
        (root / "many" / f"{name}.mp4").write_bytes(b"nonsense" * 100)
    assert memdub("ingest", root / "many", "--identity", "anna", "--json") == 1
    said = json.loads(memdub.out)
    assert (len(said["clips"]), len(said["refused"]), said["error"]["kind"]) == (1, 2, "PartlyFailed")
    (root / "many" / "a.mp4").unlink()
    assert memdub("ingest", root / "many", "--identity", "anna", "--json") == 2
    said = json.loads(memdub.out)
    assert (said["clips"], said["error"]["kind"]) == ([], "MediaError")
    assert [Path(one["where"]).name for one in said["refused"]] == ["b.mp4", "c.mp4"]
    assert memdub.err.count("\n") == 1
    assert "b.mp4" in memdub.err
    assert "(and 1 more refused)" in memdub.err


def failing_for(name: str, error: MemdubError, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.ingest

    real = tasks.ingest.normalise

    def normalise(source: Path, *arguments: object, **keywords: object) -> object:
        if Path(source).name == name:
            raise error
        return real(source, *arguments, **keywords)

    monkeypatch.setattr(tasks.ingest, "normalise", normalise)


def test_work_that_fails_for_one_file_goes_on_with_the_others(
    memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [film(root / f"{name}.mp4", seed=i) for i, name in enumerate("abc")]
    failing_for("a.mp4", WorkError("went wrong", do="report this"), monkeypatch)
    assert memdub("ingest", *videos, "--identity", "anna") == 1
    ledger = Ledger(Home().objects)
    assert len(ledger.rows("clips")) == 2
    assert f"{videos[0]}: went wrong" in memdub.err
    assert ledger.rows("failures")["error"].to_pylist() == ["WorkError"]
    assert ledger.rows("failures")["subject"].to_pylist() == [str(videos[0])]
    assert ledger.rows("runs")["status"].to_pylist() == ["partly"]
    assert memdub("ingest", videos[0], "--identity", "anna") == 1
    assert "went wrong" in memdub.err
    assert sorted(ledger.rows("runs")["status"].to_pylist()) == ["failed", "partly"]


@pytest.mark.parametrize("kind", [NoSpace, HomeError])
def test_what_would_fail_for_every_file_ends_at_once(
    memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch, kind: type[MemdubError]
) -> None:
    videos = [film(root / f"{name}.mp4", seed=i) for i, name in enumerate("ab")]
    failing_for("a.mp4", kind("cannot go on", where="home", do="help"), monkeypatch)
    assert memdub("ingest", *videos, "--identity", "anna") == 2
    assert len(Ledger(Home().objects).rows("clips")) == 0


def test_what_is_there_already_is_refused_as_if_it_were_new(
    memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = film(root / "silent.mp4", sound=False)
    assert memdub("ingest", silent, "--identity", "anna", "--silent-ok") == 0
    refused(memdub, root, silent, "--identity", "anna", line="has no sound")
    video = film(root / "a.mp4")
    assert memdub("ingest", video, "--identity", "anna") == 0
    for name, value, line in (
        ("MIN_SECONDS", "5", "under the least of 5 s"),
        ("MIN_SIDE", "100", "least of"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(f"MEMDUB_{name}", value)
            refused(memdub, root, video, "--identity", "anna", line=line)


def test_options_that_change_nothing_make_no_other_clip(memdub: Shell, root: Path) -> None:
    video = film(root / "a.mp4")
    ids = []
    for words in ([], ["--fps", "25"], ["--max-side", "96"], ["--max-side", "500"], ["--fps", "25/1"]):
        assert memdub("ingest", video, "--identity", "anna", "--json", *words) == 0
        ids.append(json.loads(memdub.out)["clips"][0]["id"])
    assert len(set(ids)) == 1
    for words in (["--fps", "20"], ["--max-side", "64"]):
        assert memdub("ingest", video, "--identity", "anna", "--json", *words) == 0
        assert json.loads(memdub.out)["clips"][0]["id"] not in ids


def test_who_waits_says_for_whom(memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.ingest

    def produce(*_: object, waiting: object, **__: object) -> None:
        assert callable(waiting)
        waiting("process 7 on laptop")
        raise WorkError("enough", do="stop")

    monkeypatch.setattr(tasks.ingest, "produce", produce)
    keep_consent(root / "home", "bob")
    assert memdub("ingest", film(root / "a.mp4"), "--identity", "bob") == 1
    assert memdub.err.startswith("waiting for process 7 on laptop, which makes this clip\n")
