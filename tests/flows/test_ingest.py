"""`memdub ingest` as a user meets it: what is taken, and every refusal in one line with nothing left."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storage.home import Home
from storage.ledger import Ledger
from tests.flows.conftest import Shell, everything_in, refused
from tests.helpers.footage import film, keep_consent


def truncated(path: Path) -> Path:
    whole = film(path.with_name("whole.mp4"))
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    whole.unlink()
    return path


def audio_only(path: Path) -> Path:
    import av

    with av.open(str(film(path.with_name("with_picture.mp4")))) as source, av.open(str(path), "w") as out:
        stream = source.streams.audio[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    return path


def without_frames(path: Path) -> Path:
    """A picture track whose every packet was lost; the sound is there."""
    import av

    with av.open(str(film(path.with_name("with_frames.mp4")))) as source, av.open(str(path), "w") as out:
        copies = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None and packet.stream.type == "audio":
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_missing_file(memdub: Shell, root: Path) -> None:
    refused(memdub, root, root / "no.mp4", "--identity", "anna", line="no.mp4: no such file")


def test_a_folder_without_video(memdub: Shell, root: Path) -> None:
    (root / "empty").mkdir()
    written(root / "empty" / "notes.txt", b"hello")
    refused(memdub, root, root / "empty", "--identity", "anna", line="a folder without any video")


def test_nothing_in_raw(memdub: Shell, root: Path) -> None:
    refused(memdub, root, "--identity", "anna", line="raw/anna")


def test_zero_bytes(memdub: Shell, root: Path) -> None:
    refused(memdub, root, written(root / "zero.mp4", b""), "--identity", "anna", line="zero.mp4: ")


def test_text_named_mp4(memdub: Shell, root: Path) -> None:
    text = written(root / "text.mp4", b"this is not a video at all\n" * 100)
    refused(memdub, root, text, "--identity", "anna", line="text.mp4: ")


def test_truncated_mp4(memdub: Shell, root: Path) -> None:
    refused(memdub, root, truncated(root / "cut.mp4"), "--identity", "anna", line="cut.mp4: ")


def test_video_without_frames(memdub: Shell, root: Path) -> None:
    refused(memdub, root, without_frames(root / "none.mp4"), "--identity", "anna", line="none.mp4: ")


def test_audio_only(memdub: Shell, root: Path) -> None:
    refused(
        memdub, root, audio_only(root / "sound.mp4"), "--identity", "anna", line="has sound but no picture"
    )


def test_silent_video_is_refused_unless_asked_for(memdub: Shell, root: Path) -> None:
    silent = film(root / "silent.mp4", sound=False)
    refused(memdub, root, silent, "--identity", "anna", line="has no sound")
    assert memdub("ingest", silent, "--identity", "anna", "--silent-ok") == 0
    clip = Ledger(Home().objects).rows("clips").to_pylist()[0]
    assert clip["silent"]
    assert clip["sound_rate_hz"] is None


def test_under_one_second(memdub: Shell, root: Path) -> None:
    short = film(root / "short.mp4", seconds=0.8)
    refused(memdub, root, short, "--identity", "anna", line="lasts 0.80 s, under the least of 1 s")


def test_under_64_pixels(memdub: Shell, root: Path) -> None:
    small = film(root / "small.mp4", size=(96, 48))
    refused(memdub, root, small, "--identity", "anna", line="is 96x48 pixels, under the least of 64")


def test_over_the_size_limit(memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDUB_MAX_VIDEO_BYTES", "5000")
    refused(memdub, root, film(root / "large.mp4"), "--identity", "anna", line="over the limit")


@pytest.mark.parametrize("slug", ["../x", "a b", "Anna"])
def test_slugs_that_are_none(memdub: Shell, root: Path, slug: str) -> None:
    refused(memdub, root, film(root / "a.mp4"), "--identity", slug, line="not a name for an identity")
    assert not (root / "x").exists()


def test_no_consent(memdub: Shell, root: Path) -> None:
    refused(memdub, root, film(root / "a.mp4"), "--identity", "bob", line="bob has no consent record")


def test_expired_consent(memdub: Shell, root: Path) -> None:
    keep_consent(root / "home", "old", expires="2024-01-01")
    refused(memdub, root, film(root / "a.mp4"), "--identity", "old", line="consent expired on 2024-01-01")


def test_consent_for_something_else(memdub: Shell, root: Path) -> None:
    keep_consent(root / "home", "other", scope='["train"]')
    refused(
        memdub, root, film(root / "a.mp4"), "--identity", "other", line="consent covers train, not ingest"
    )


@pytest.mark.parametrize("words", [["--fps", "fast"], ["--fps", "0"], ["--max-side", "3"], ["--colour"]])
def test_options_that_make_no_sense(memdub: Shell, root: Path, words: list[str]) -> None:
    refused(memdub, root, film(root / "a.mp4"), "--identity", "anna", *words, line=words[0])


def test_the_same_content_is_the_same_clip(memdub: Shell, root: Path) -> None:
    first = film(root / "first take.mp4")
    second = Path(shutil.copy(first, root / "été - copie.mp4"))
    assert memdub("ingest", first, "--identity", "anna", "--json") == 0
    made = json.loads(memdub.out)["clips"][0]
    assert memdub("ingest", second, "--identity", "anna", "--json") == 0
    found = json.loads(memdub.out)["clips"][0]
    assert (made["id"], made["reused"], found["id"], found["reused"]) == (
        found["id"],
        False,
        made["id"],
        True,
    )
    assert len(Ledger(Home().objects).rows("clips")) == 1


def test_two_identities_do_not_share_a_clip(memdub: Shell, root: Path) -> None:
    keep_consent(root / "home", "bob")
    video = film(root / "a.mp4")
    assert memdub("ingest", video, "--identity", "anna") == 0
    assert memdub("ingest", video, "--identity", "bob") == 0
    clips = Ledger(Home().objects).rows("clips").to_pylist()
    assert sorted(clip["identity"] for clip in clips) == ["anna", "bob"]
    assert len({clip["id"] for clip in clips}) == 2


def test_one_bad_file_among_twenty(memdub: Shell, root: Path) -> None:
    for i in range(19):
        film(root / "many" / f"{i:02}.mp4", seconds=1, seed=i)
    written(root / "many" / "07b.mp4", b"nonsense" * 100)
    assert memdub("ingest", root / "many", "--identity", "anna") == 1
    assert "1 of 20 files refused" in memdub.err
    assert "07b.mp4" in memdub.err
    ledger = Ledger(Home().objects)
    assert len(ledger.rows("clips")) == 19
    assert [Path(row["subject"]).name for row in ledger.rows("failures").to_pylist()] == ["07b.mp4"]
    assert ledger.rows("runs")["status"].to_pylist() == ["partly"]


def test_json_is_one_object_also_for_errors(memdub: Shell, root: Path) -> None:
    assert memdub("ingest", root / "no.mp4", "--identity", "anna", "--json") == 2
    error = json.loads(memdub.out)["error"]
    assert error["kind"] == "MediaError"
    assert error["where"].endswith("no.mp4")
    assert error["do"]


def test_what_lies_in_raw_is_taken_without_naming_it(memdub: Shell, root: Path) -> None:
    film(root / "home" / "raw" / "anna" / "a.mp4")
    assert memdub("ingest", "--identity", "anna") == 0
    assert memdub("status") == 0
    assert "anna" in memdub.out


def test_an_interrupted_ingest_leaves_nothing_and_goes_on(root: Path) -> None:
    """SIGTERM in the middle of the work, from outside, as a person or a scheduler does it."""
    video = film(root / "long.mp4", seconds=6, size=(640, 480))
    command = [sys.executable, "-c", INTERRUPTED, "ingest", str(video), "--identity", "anna"]
    environment = {**os.environ, "MEMDUB_HOME": str(root / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1].startswith("memdub: interrupted; run the same command again")
    assert "Traceback" not in done.stderr
    home = Home(root / "home")
    assert len(Ledger(home.objects).rows("artifacts")) == 0
    assert not list(home.path(".work").iterdir())
    subprocess.run([sys.executable, "-m", "flows.cli", *command[3:]], env=environment, check=True)
    assert len(Ledger(home.objects).rows("artifacts")) == 1


# Sends itself SIGTERM at the twentieth frame.
INTERRUPTED = """
import os, signal, tasks.ingest
from flows.cli import main
real = tasks.ingest.normalise
def normalise(*arguments, progress, **keywords):
    def watch(done, total):
        if done == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        progress(done, total)
    return real(*arguments, progress=watch, **keywords)
tasks.ingest.normalise = normalise
main()
"""


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small tmpfs needs root")
def test_a_full_disk_says_how_much_was_needed(
    memdub: Shell, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = root / "small_disk"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", small], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        monkeypatch.setenv("MEMDUB_HOME", str(small / "home"))
        keep_consent(small / "home")
        video = film(root / "big.mp4", seconds=8, size=(640, 480))
        assert memdub("ingest", video, "--identity", "anna") == 2
        assert memdub.err.count("\n") == 1, memdub.err
        amounts = re.search(r"needs about ([0-9.]+) MB and ([0-9.]+) MB are free", memdub.err)
        assert amounts is not None, memdub.err
        needed, free = (float(amount) * 1e6 for amount in amounts.groups())
        left = everything_in(small / "home")
        assert not {
            name for name in left if name.startswith(("stores", ".work", "ledger", ".leases/clip"))
        }, left
    finally:
        subprocess.run(["umount", small], check=True)
    monkeypatch.setenv("MEMDUB_HOME", str(root / "home"))
    assert memdub("ingest", video, "--identity", "anna", "--json") == 0
    clip = root / "home" / json.loads(memdub.out)["clips"][0]["uri"] / "clip.mp4"
    assert clip.stat().st_size / 2 <= needed <= clip.stat().st_size * 2
    assert free < needed
