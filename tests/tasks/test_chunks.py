"""Blocks are computed by whoever is there, once, and give the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster

from storage import clips
from storage.clips import Region
from storage.errors import MediaError, RequestError, WorkError
from storage.recipes import hash_file
from tasks.chunks import BLOCK, fill, open_draft, write_region
from tasks.team import Team, clocked, open_team
from tests.helpers.scheduler import own_scheduler
from tests.helpers.stages import FRAMES, Counting, computed, knows_the_program

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with open_team(2) as team:
        yield team


def filled(tmp_path: Path, team: Team, name: str = "a", **stage: object) -> Path:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    counting = Counting(folder, **stage)
    draft = open_draft(folder / "x.zarr", counting.specs(), {"identity": "anna"}, "recipe-1")
    fill(draft, counting, team, name="counting")
    return folder


def files(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): hash_file(file) for file in path.rglob("*") if file.is_file()}


def test_the_bytes_do_not_depend_on_how_the_work_is_cut(tmp_path: Path, team: Team) -> None:
    many = filled(tmp_path, team, "many")
    stage = Counting(tmp_path / "many")

    def written(name: str, regions: Sequence[Region]) -> dict[str, str]:
        draft = clips.create(tmp_path / name, stage.specs(), {"identity": "anna"})
        for region in regions or reversed(draft.regions("video/crop", "track/pose", "track/confidence")):
            assert list(write_region(draft, stage, stage.plan(), region))
        draft.finish()
        return files(tmp_path / name)

    assert written("backwards.zarr", []) == files(many / "x.zarr")
    assert written("at_once.zarr", [Region(0, FRAMES)]) == files(many / "x.zarr")


def test_every_block_is_computed_once_and_reported(tmp_path: Path, team: Team) -> None:
    counting, steps = Counting(tmp_path), []
    draft = open_draft(tmp_path / "x.zarr", counting.specs(), {}, "recipe-1")
    clip = fill(draft, counting, team, name="counting", step=steps.append)
    assert computed(tmp_path) == dict.fromkeys(range(0, FRAMES, BLOCK), 1)
    np.testing.assert_array_equal(clip.read("track/pose")[:, 0], np.arange(FRAMES) * 6 + 7)
    assert len(list(tmp_path.glob("plan-*"))) == 1
    assert sum(steps) == FRAMES
    assert all(frames <= BLOCK for frames in steps)


def test_what_is_found_counts_and_what_is_done_twice_counts_once(tmp_path: Path, team: Team) -> None:
    with pytest.raises(MediaError):
        filled(tmp_path, team, bad=2560)
    counting, steps = Counting(tmp_path / "a", deadly=(512, 1536)), []
    draft = open_draft(tmp_path / "a/x.zarr", counting.specs(), {"identity": "anna"}, "recipe-1")
    found = FRAMES - sum(stop - start for start, stop in draft.missing("video/crop"))
    fill(draft, counting, team, name="counting", step=steps.append)
    assert sum(steps) == FRAMES
    assert steps[0] == found or not found


def test_a_worker_that_is_killed_costs_its_region_alone(tmp_path: Path, team: Team) -> None:
    straight = filled(tmp_path, team, "straight")
    killed = filled(tmp_path, team, "killed", deadly=(256, 1536))
    assert files(killed / "x.zarr") == files(straight / "x.zarr")
    # A mark without content is left by a block that killed its worker; both were tried again.
    assert {(killed / f"block-{start:05}").stat().st_size for start in (256, 1536)} == {1}
    assert len(list(killed.glob("killed-*"))) == 2
    again = [start for start, times in computed(killed).items() if times > 1]
    assert set(again) <= {0, 1024, 1280}


def test_a_block_that_kills_every_worker_is_one_line(tmp_path: Path, team: Team) -> None:
    with pytest.raises(WorkError, match="again and again"):
        filled(tmp_path, team, deadly=(512,), always=True)


def test_a_workers_refusal_is_ours_and_work_goes_on_where_it_was(tmp_path: Path, team: Team) -> None:
    with pytest.raises(MediaError, match="a bad block") as caught:
        filled(tmp_path, team, bad=2560)
    assert caught.value.where == "frame 2560"
    before = set(computed(tmp_path / "a"))
    filled(tmp_path, team)
    assert set(computed(tmp_path / "a")) == set(range(0, FRAMES, BLOCK))
    assert before < set(computed(tmp_path / "a"))


def test_a_group_published_by_a_run_that_was_killed_is_taken(tmp_path: Path, team: Team) -> None:
    first = filled(tmp_path, team)
    before = computed(first)
    filled(tmp_path, team)
    assert computed(first) == before


FLOW = """
import sys
from pathlib import Path
from tasks.chunks import fill, open_draft
from tasks.team import open_team
from tests.helpers.stages import Counting
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    stage = Counting(folder)
    with open_team(2) as team:
        for worker in team.client.scheduler_info(n_workers=-1)["workers"].values():
            print(worker["name"], flush=True)
        print("ready", flush=True)
        draft = open_draft(folder / "x.zarr", stage.specs(), {"identity": "anna"}, "recipe-1")
        fill(draft, stage, team, name="c")
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_flow_that_is_killed_leaves_a_draft_that_goes_on(tmp_path: Path, team: Team, seed: int) -> None:
    straight = filled(tmp_path, team, "straight")
    folder = tmp_path / "flow"
    folder.mkdir()
    script = tmp_path / "flow.py"
    script.write_text(FLOW)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "ready":
        assert process.poll() is None
    goal = int(np.random.default_rng(seed).integers(1, 8))
    while len(computed(folder)) < goal and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    filled(tmp_path, team, "flow")
    assert files(folder / "x.zarr") == files(straight / "x.zarr")


def test_a_scheduler_that_is_killed_is_one_line_and_work_goes_on(tmp_path: Path, team: Team) -> None:
    process, address = own_scheduler(tmp_path)
    folder = tmp_path / "a"

    def kill_in_the_middle() -> None:
        while len(computed(folder)) < 3:
            pass
        process.kill()

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    with open_team(address=address) as theirs, pytest.raises(WorkError, match="scheduler was lost"):
        filled(tmp_path, theirs)
    killer.join()
    process.wait()
    filled(tmp_path, team)
    straight = filled(tmp_path, team, "straight")
    assert files(folder / "x.zarr") == files(straight / "x.zarr")


def test_what_is_shared_counts_as_work(team: Team) -> None:
    team.share(team.submit(clocked, sum, range(1000), name="sum"), "sum")
    assert team.spent("sum") > 0


def test_workers_do_not_import_the_program_that_started_them(team: Team) -> None:
    assert not team.do(knows_the_program, name="main")


def test_who_asks_for_workers_in_two_ways_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="not both"), open_team(2, "tcp://127.0.0.1:1"):
        pass


@pytest.mark.parametrize("threads", [0, 2])
def test_workers_with_several_threads_are_refused(threads: int) -> None:
    words = {"n_workers": 1, "threads_per_worker": threads} if threads else {"n_workers": 0}
    with LocalCluster(processes=False, dashboard_address="127.0.0.1:0", **words) as cluster:  # type: ignore[arg-type]
        why = "2 threads" if threads else "no workers"
        with pytest.raises(RequestError, match=why), open_team(address=cluster.scheduler_address):
            pass


def test_no_scheduler_is_a_wrong_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.team.opening._CONNECT_SECONDS", 1)
    with (
        pytest.raises(RequestError, match="no Dask scheduler answers"),
        open_team(address="tcp://127.0.0.1:9"),
    ):
        pass
