"""Films that hang a decoder, or crash it: each costs itself, and nobody else."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import MediaError, WorkError
from storage.media import apart, normalise, normalise_apart, probe, probe_apart
from tests.flows.test_refresh_faults import command
from tests.helpers.bad_decoder import bad, environment, readers
from tests.helpers.footage import film, keep_consent
from tests.helpers.raw_home import clips_of, sources_of, table
from tests.helpers.serving import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


@pytest.fixture
def decoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Bad decoders in whatever process this thread has its films read by."""
    for name, value in environment(tmp_path / "decoders").items():
        monkeypatch.setenv(name, value)
    _no_reader()
    yield tmp_path / "decoders"
    _no_reader()


def _no_reader() -> None:
    if process := getattr(apart._mine, "process", None):
        process.end()


def short_breath(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_LOOK", 0.1)


@pytest.mark.parametrize("name", ["blocks", "spins"])
def test_a_decoder_that_hangs_in_c_is_ended(
    decoders: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_breath(monkeypatch)
    good, hangs = film(tmp_path / "good.mp4"), film(tmp_path / f"{name}.mp4")
    with pytest.raises(MediaError, match="its decoder got no further for 1 s") as caught:
        probe_apart(hangs, stall_seconds=1)
    assert str(caught.value).count("\n") == 0
    assert caught.value.where == str(hangs)
    ((what, reader),) = bad(decoders)
    assert what == name
    assert not Path(f"/proc/{reader}").exists(), "it hangs there still"
    assert probe_apart(good, stall_seconds=60) == probe(good)


def test_a_decoder_that_stops_in_the_middle_is_ended(
    decoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_breath(monkeypatch)
    stops, target, seen = film(tmp_path / "stops.mp4", seconds=3), tmp_path / "out.mp4", []
    assert probe_apart(stops, stall_seconds=60).video is not None
    with pytest.raises(MediaError, match="got no further"):
        normalise_apart(stops, target, stall_seconds=1, progress=lambda *told: seen.append(told))
    assert 0 < len(seen) < 75
    assert readers(os.getpid()) == []


def test_a_decoder_that_crashes_takes_nobody_along(decoders: Path, tmp_path: Path) -> None:
    crashes, good = film(tmp_path / "crashes.mp4"), film(tmp_path / "good.mp4")
    with pytest.raises(MediaError, match=r"crashes its decoder \(Segmentation fault\)"):
        probe_apart(crashes, stall_seconds=60)
    assert probe_apart(good, stall_seconds=60) == probe(good)


def test_a_reader_that_is_killed_is_no_fault_of_the_film(tmp_path: Path) -> None:
    """As the kernel does where memory ends."""
    video = film(tmp_path / "a.mp4", seconds=20)

    def kill(done: int, _: int) -> None:
        if done == 3:
            (reader,) = readers(os.getpid())
            os.kill(reader, signal.SIGKILL)

    with pytest.raises(WorkError, match="was killed"):
        normalise_apart(video, tmp_path / "out.mp4", stall_seconds=60, progress=kill)
    made = normalise_apart(video, tmp_path / "out.mp4", stall_seconds=60)
    assert made.frames == 500
    normalise(video, tmp_path / "here.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "here.mp4").read_bytes()


def test_who_gives_up_leaves_no_reader_at_work(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def give_up(done: int, _: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        normalise_apart(
            film(tmp_path / "a.mp4", seconds=20), tmp_path / "o.mp4", stall_seconds=60, progress=give_up
        )
    assert readers(os.getpid()) == []


def test_each_thread_has_its_own_reader_and_takes_it_along(tmp_path: Path) -> None:
    video, found = film(tmp_path / "a.mp4"), []
    barrier = threading.Barrier(2)

    def read() -> None:
        found.append(probe_apart(video, stall_seconds=60))
        barrier.wait()

    _no_reader()
    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [probe(video)] * 2
    until(lambda: not readers(os.getpid()), "the end of the readers", 60)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    keep_consent(tmp_path / "home")
    return tmp_path / "home"


def old(*films: Path) -> None:
    for file in films:
        os.utime(file, (1, 1))


def test_a_refresh_puts_a_film_that_hangs_aside_and_goes_on(home: Path, tmp_path: Path) -> None:
    raw, decoders = home / "raw" / "anna", tmp_path / "decoders"
    old(*(film(raw / f"{name}.mp4", seed=seed) for seed, name in enumerate(["a", "blocks", "crashes", "z"])))
    hasty = {**environment(decoders), "MEMDUB_STALL_SECONDS": "2"}
    process = command(home, "refresh", **hasty)
    _, said = process.communicate()
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert "blocks.mp4: its decoder got no further for 2 s" in said.splitlines()[-1]
    assert clips_of(home) == ["a.mp4", "z.mp4"]
    states = sources_of(home)
    assert {name for name, state in states.items() if state == "quarantined"} == {"blocks.mp4", "crashes.mp4"}
    reasons = {row["path"]: row["reason"] for row in table(home, "sources") if row["reason"]}
    assert reasons["crashes.mp4"] == "crashes its decoder (Segmentation fault)"
    assert {row["subject"].rpartition("/")[2] for row in table(home, "failures")} == set(reasons)

    met = bad(decoders)
    again = command(home, "refresh", **hasty)
    assert again.wait() == 0, again.communicate()
    assert bad(decoders) == met, "what hung was tried again though it has not changed"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_refresh_that_is_ended_while_a_decoder_hangs_leaves_no_process(
    home: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    decoders = tmp_path / "decoders"
    old(film(home / "raw" / "anna" / "spins.mp4"))
    process = command(home, "refresh", **environment(decoders))
    until(lambda: bad(decoders), "the decoder that hangs", 120)
    ((_, reader),) = bad(decoders)
    process.send_signal(number)
    assert process.wait(60) == status, process.communicate()
    until(lambda: not _lives(reader), "the end of the reader", 60)
    assert sources_of(home) == {}


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
