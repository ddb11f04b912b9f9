"""`memdub extract`: from clips to features, whatever is wrong or dies meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray
from distributed import LocalCluster

from flows.extract import extract
from flows.ingest import ingest
from storage import clips
from storage.home import Home
from storage.ledger import Ledger
from tasks.film import Script, film
from tests.flows.conftest import Shell
from tests.helpers.footage import film as film_nothing
from tests.helpers.footage import keep_consent

ROOT = Path(__file__).parents[2]
KINDS = {"faces", "track", "audio", "fit", "features"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Workers for all tests here: their start, and their imports, cost seconds."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A puppet that says a sentence: longer than a block."""
    folder = tmp_path_factory.mktemp("talker")
    text = (
        "Peter Piper picked a peck of pickled peppers, and more than that he would not say to anybody. " * 2
    )
    return film(Script(seed=1, size=192, text=text, supersample=1), folder / "talker.mp4").video


@pytest.fixture(scope="module")
def extracted(cluster: str, talker: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where anna's clip is extracted."""
    home = tmp_path_factory.mktemp("extracted") / "home"
    keep_consent(home)
    ingest([talker], "anna", home=str(home)).raise_if_refused()
    extract(["anna"], home=str(home), dask_address=cluster).raise_if_refused()
    return home


@pytest.fixture
def copied(extracted: Path, root: Path) -> Path:
    """The same home, to do harm to."""
    shutil.rmtree(root / "home")
    shutil.copytree(extracted, root / "home")
    return root / "home"


def features_in(home: Path) -> clips.ClipGroup:
    (group,) = home.glob("stores/features/*/features.zarr")
    return clips.open_clip(group)


def stored(home: Path) -> dict[str, str]:
    """Content hash of every extracted artifact."""
    rows = Ledger(Home(home).objects).rows("artifacts").to_pylist()
    return {row["id"]: row["content_hash"] for row in rows if row["kind"] in KINDS}


def test_everything_is_in_one_group_that_xarray_opens(extracted: Path) -> None:
    url = str(features_in(extracted).url)
    track = xarray.open_zarr(url, group="track", consolidated=False)
    assert track.landmarks.dims == ("time", "landmark", "axis")
    assert track.landmarks.attrs["units"] == "px"
    assert list(track.action_unit.values[:2]) == ["AU01", "AU02"]
    assert track.sizes["time"] == xarray.open_zarr(url, group="video", consolidated=False).sizes["time"]
    audio = xarray.open_zarr(url, group="audio", consolidated=False)
    assert audio.deepspeech.dims == ("speech_time", "symbol")
    assert audio.deepspeech_frames.sizes["time"] == track.sizes["time"]
    assert float(np.exp(audio.deepspeech_frames).sum("symbol").std()) < 1e-3
    fit = xarray.open_zarr(url, group="fit", consolidated=False)
    widths = [
        fit[name].shape[1]
        for name in ("identity", "expression", "texture", "rotation", "light", "translation")
    ]
    assert widths == [80, 64, 80, 3, 27, 3]
    assert bool((track.confidence > 0.5).mean() > 0.95)
    assert bool(fit.expression.notnull().mean() > 0.95)


def test_the_group_holds_what_its_parts_hold(extracted: Path) -> None:
    whole = features_in(extracted)
    assert whole.verify() == ()
    assert whole.content_hash() == whole.content
    for kind in ("track", "audio", "fit"):
        (path,) = extracted.glob(f"stores/{kind}/*/{kind}.zarr")
        part = clips.open_clip(path)
        for name in part.own:
            np.testing.assert_array_equal(whole.read(name), part.read(name))
            # By link: the same bytes do not lie on the disk twice.
            chunk = next(p for p in (path / name).rglob("*") if p.is_file() and p.name != "zarr.json")
            assert chunk.stat().st_nlink == 2 or whole.spec(name).values is not None


def test_the_ledger_tells_frames_lineage_and_figures(extracted: Path) -> None:
    ledger = Ledger(Home(extracted).objects)
    (clip,) = ledger.rows("clips").to_pylist()
    frames = ledger.rows("frames").to_pandas()
    assert list(frames.frame) == list(range(clip["frames"]))
    assert set(frames["clip"]) == {clip["id"]}
    assert frames.confidence.between(0, 1).all()
    assert frames.au45.max() <= 5
    edges = {(e["child"].split("-")[0], e["role"]) for e in ledger.rows("lineage").to_pylist()}
    assert {("features", role) for role in ("clip", "track", "audio", "fit")} <= edges
    assert {("track", "faces"), ("fit", "track"), ("faces", "clip"), ("audio", "clip")} <= edges
    metrics = {row["metric"] for row in ledger.rows("metrics").to_pylist()}
    assert {"offset_frames", "offset_confidence"} <= metrics


def test_what_is_done_is_found_without_any_worker(
    copied: Path, memdub: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_team(*_: object) -> None:
        raise AssertionError("workers were started")

    monkeypatch.setattr("tasks.team.open_team", no_team)
    assert memdub("extract", "anna", "--json") == 0
    told = json.loads(memdub.out)
    assert [one["reused"] for one in told["features"]] == [True]
    assert memdub("extract") == 0
    assert "already there" in memdub.out
    assert memdub("extract", "anna", "--dry-run") == 0
    assert "done" in memdub.out


def test_a_dry_run_says_what_would_run_and_writes_nothing(root: Path, talker: Path, memdub: Shell) -> None:
    ingest([talker], "anna").raise_if_refused()
    before = stored(root / "home")
    assert memdub("extract", "anna", "--dry-run", "--json") == 0
    (clip,) = json.loads(memdub.out)["clips"]
    assert set(clip["to_run"]) == KINDS
    assert stored(root / "home") == before == {}


def test_one_stage_that_was_lost_is_made_again_and_the_rest_is_found(
    copied: Path, memdub: Shell, cluster: str
) -> None:
    before = stored(copied)
    for kind in ("audio", "features"):
        shutil.rmtree(copied / "stores" / kind)
    assert memdub("extract", "anna", "--dry-run", "--json") == 0
    assert json.loads(memdub.out)["clips"][0]["to_run"] == ["audio", "features"]
    assert memdub("extract", "anna", "--dask-address", cluster) == 0
    assert stored(copied) == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["bob"], "consent"),
        (["anna"], "no clips"),
        (["anna", "--face", "nose"], "--face nose"),
        (["anna", "--model", "bfm"], "--model bfm"),
        (["anna", "--model", "ict:/nowhere.npz"], "no such file"),
        (["anna", "--speech", "deepspeech"], "weights are not here"),
        (["anna", "--tracker", "task"], "weights are not here"),
        (["anna", "--offset", "nan"], "offset"),
        (["anna", "--workers", "-1"], "--workers"),
        (["../x"], ""),
    ],
)
def test_a_wrong_request_is_one_line(root: Path, memdub: Shell, words: list[str], line: str) -> None:
    assert memdub("extract", *words) == 2
    assert memdub.err.count("\n") == 1
    assert line in memdub.err
    assert "Traceback" not in memdub.err
    assert not (root / "home/stores").exists()


def test_a_scheduler_that_is_not_there_is_one_line(
    root: Path, talker: Path, memdub: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.team.opening._CONNECT_SECONDS", 1)
    ingest([talker], "anna").raise_if_refused()
    assert memdub("extract", "anna", "--dask-address", "tcp://127.0.0.1:9") == 2
    assert memdub.err.count("\n") == 1
    assert "no Dask scheduler answers" in memdub.err
    assert memdub("extract", "anna", "--dask-address", "tcp://127.0.0.1:9", "--workers", "2") == 2
    assert "not both" in memdub.err


def test_a_clip_without_a_face_is_refused_and_the_others_are_extracted(
    copied: Path, memdub: Shell, cluster: str, tmp_path: Path
) -> None:
    nobody = film_nothing(tmp_path / "nobody.mp4", seconds=2)
    ingest([nobody], "anna").raise_if_refused()
    assert memdub("extract", "anna", "--dask-address", cluster, "--json") == 1
    told = json.loads(memdub.out)
    assert len(told["features"]) == 1
    assert [one["where"] for one in told["refused"]] == ["nobody.mp4"]
    assert "no face" in memdub.err
    (failure,) = Ledger(Home().objects).rows("failures").to_pylist()
    assert failure["stage"] == "extract"
    assert failure["subject"].startswith("clip-")


def test_a_clip_without_sound_is_extracted(root: Path, cluster: str, talker: Path, memdub: Shell) -> None:
    import av

    silent = root / "silent.mp4"
    with av.open(str(talker)) as source, av.open(str(silent), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    ingest([silent], "anna", silent_ok=True).raise_if_refused()
    assert memdub("extract", "anna", "--dask-address", cluster) == 0
    group = features_in(root / "home")
    assert float(group.read("audio/voice").max()) == 0
    assert group.attrs["sound_offset_frames"] == 0


def test_an_offset_that_the_user_knows_is_taken(copied: Path, cluster: str, memdub: Shell) -> None:
    read = {}
    for frames in (0, 5):
        words = ["--offset", frames, "--dask-address", cluster, "--json"]
        assert memdub("extract", "anna", *words) == 0
        (made,) = json.loads(memdub.out)["features"]
        group = clips.open_clip(copied / made["uri"] / "features.zarr")
        assert group.attrs["sound_offset_frames"] == frames
        read[frames] = group.read("audio/loudness_frames")
    np.testing.assert_allclose(read[5][:-5], read[0][5:], atol=1e-3)
    roles = {row["role"] for row in Ledger(Home(copied).objects).rows("lineage").to_pylist()}
    assert "heard 5.0 frames earlier" in roles


def command(home: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "from flows.cli import main; main()",
            "extract",
            "anna",
            *words,
        ],
        env={**os.environ, "MEMDUB_HOME": str(home), "MEMDUB_LEASE_SECONDS": "3", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_a_shard(home: Path, process: subprocess.Popen[str], kind: str) -> None:
    """Until a block of this kind lies in a draft or in the stores."""
    while process.poll() is None:
        if any(home.glob(f".work/{kind}-*/.tmp-*/*/*/c/*")) or any(home.glob(f"stores/{kind}/*")):
            return


@pytest.mark.parametrize("kind", ["faces", "track", "fit"])
def test_kill_nine_anywhere_and_the_bytes_are_the_same(
    extracted: Path, root: Path, talker: Path, kind: str
) -> None:
    home = root / "home"
    ingest([talker], "anna").raise_if_refused()
    process = command(home, "--workers", "1")
    wait_for_a_shard(home, process, kind)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(home.glob("stores/features/*/features.zarr")), "killed too late to show anything"
    again = command(home, "--workers", "2")
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert "frames, finished, 1 face" in out, "speed is told of whole fresh clips only"
    assert stored(home) == stored(extracted)
    assert not list(home.glob(".work/*.draft"))


def test_an_interrupted_extraction_says_so_and_goes_on(extracted: Path, root: Path, talker: Path) -> None:
    home = root / "home"
    ingest([talker], "anna").raise_if_refused()
    process = command(home, "--workers", "1")
    wait_for_a_shard(home, process, "faces")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "memdub: interrupted; run the same command again to go on"
    again = command(home, "--workers", "1")
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert stored(home) == stored(extracted), "one worker made other bytes than two"


def test_two_at_once_do_the_work_once(root: Path, talker: Path, cluster: str) -> None:
    home = root / "home"
    ingest([talker], "anna").raise_if_refused()
    both = [command(home, "--dask-address", cluster, "--json") for _ in range(2)]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert told[0]["features"][0]["id"] == told[1]["features"][0]["id"]
    made = Ledger(Home(home).objects).rows("runs", ["made"]).to_pylist()
    every = [name for row in made for name in row["made"] if not name.startswith("clip-")]
    assert len(every) == len(set(every)) == len(KINDS)
