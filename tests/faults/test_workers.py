"""Workers and schedulers that die under an extraction: what becomes of their clips."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from flows.extract import extract
from flows.failures import standing
from flows.ingest import ingest
from flows.retry import retry
from flows.status import CLIP_STAGES, survey
from storage.errors import WorkError
from storage.home import Home
from storage.ledger import Ledger
from tasks.chunks import BLOCK, fill, open_draft
from tasks.film import Script, film
from tasks.team import open_team
from tests.helpers.bad_decoder import environment
from tests.helpers.footage import keep_consent
from tests.helpers.hungry import Hungry
from tests.helpers.scheduler import own_scheduler
from tests.helpers.stages import FRAMES, Counting, computed

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two clips of anna."""
    folder = tmp_path_factory.mktemp("taken")
    keep_consent(folder / "home")
    films = [
        film(Script(seed=seed, size=128, text="Good day.", supersample=1), folder / f"{seed}.mp4").video
        for seed in (1, 2)
    ]
    ingest(films, "anna", home=str(folder / "home")).raise_if_refused()
    return folder / "home"


@pytest.fixture(scope="module")
def extracted(taken: Path, cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What comes of it where nobody dies."""
    home = Path(shutil.copytree(taken, tmp_path_factory.mktemp("extracted") / "home"))
    extract(["anna"], home=str(home), dask_address=cluster.scheduler_address).raise_if_refused()
    return stored(home)


@pytest.fixture
def home(taken: Path, extracted: dict[str, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(taken, tmp_path / "home"))


def stored(home: Path) -> dict[str, str]:
    return {row["id"]: row["content_hash"] for row in artifacts(home)}


def artifacts(home: Path) -> list[dict[str, Any]]:
    return Ledger(Home(home).objects).rows("artifacts").to_pylist()


def clips(home: Path) -> list[str]:
    return [row["id"] for row in Ledger(Home(home).objects).live_clips("anna")]


def counted(home: Path) -> tuple[int, int, int]:
    """Clips that are done, stages that failed, and stages that look as if they were to come."""
    stages = [one for one in survey(Home(home)).stages if one.name in CLIP_STAGES]
    (last,) = [one for one in stages if one.name == "features"]
    return last.done, sum(one.failed for one in stages), sum(one.pending for one in stages)


def test_a_clip_whose_workers_die_is_failed_and_retried_and_the_other_is_done_once(
    home: Path,
    cluster: LocalCluster,
    extracted: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost, other = clips(home)
    # Work that waits at a worker that dies is suspected too: the other clip is finished first.
    extract(["anna"], home=str(home), dask_address=cluster.scheduler_address, clips=[other])
    before = {row["id"]: row["started"] for row in artifacts(home)}
    with monkeypatch.context() as deadly:
        for name, value in {**environment(tmp_path / "deadly"), "KILLS_WHO_READS": lost}.items():
            deadly.setenv(name, value)
        done = extract(["anna"], home=str(home), workers=1)
    assert [one.row["id"] for one in done.outcomes] == [other]
    (error,) = done.refused
    assert "a worker died again and again; give it more memory" in str(error)
    assert "\n" not in str(error)
    (failure,) = standing(Ledger(Home(home).objects))
    assert (failure["stage"], failure["subject"], failure["error"]) == ("extract", lost, "WorkError")
    assert counted(home) == (1, 1, 0), "it must not look as if it were to come"

    result = retry(home=str(home), dask_address=cluster.scheduler_address)
    assert result.failed == []
    assert stored(home) == extracted
    after = {row["id"]: row["started"] for row in artifacts(home)}
    assert {name: after[name] for name in before} == before, "what was finished was done again"
    assert standing(Ledger(Home(home).objects)) == []


def test_a_worker_out_of_memory_says_so_and_lives_on(cluster: LocalCluster, tmp_path: Path) -> None:
    with open_team(address=cluster.scheduler_address) as team:
        before = team.client.run(os.getpid)
        hungry = Hungry(tmp_path, starving=1024)
        draft = open_draft(tmp_path / "x.zarr", hungry.specs(), {}, "recipe-1")
        with pytest.raises(WorkError, match="the memory of its worker was not enough; use fewer workers"):
            fill(draft, hungry, team, name="counting")
        assert team.client.run(os.getpid) == before
        assert 1024 not in computed(tmp_path)
        plenty = Counting(tmp_path)
        fill(open_draft(tmp_path / "x.zarr", plenty.specs(), {}, "recipe-1"), plenty, team, name="counting")
    assert set(computed(tmp_path)) == set(range(0, FRAMES, BLOCK))


def test_a_scheduler_that_dies_fails_its_clips_and_nothing_is_half_made(
    home: Path, cluster: LocalCluster, extracted: dict[str, str], tmp_path: Path
) -> None:
    process, address = own_scheduler(tmp_path)

    def begun(done: int, _: int) -> None:
        if done:
            process.kill()

    done = extract(["anna"], home=str(home), dask_address=address, watch=lambda *_: nullcontext(begun))
    process.wait()
    assert len(done.refused) >= 1
    assert {error.what for error in done.refused} == {"the Dask scheduler was lost"}
    assert counted(home) == (0, 2, 0)
    again = extract(["anna"], home=str(home), dask_address=cluster.scheduler_address)
    assert again.refused == []
    assert stored(home) == extracted
    assert standing(Ledger(Home(home).objects)) == []
