"""Teams of every kind: what they promise alike, what a cluster's file may say, one call a card."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from storage.errors import MediaError, RequestError, WorkError
from tasks.chunks import fill, open_draft
from tasks.team import Alone, Team, Workers, clocked, open_team, open_workers, read_cluster, report_step
from tasks.team.local import importable
from tests.helpers.stages import FRAMES, Counting, computed
from tests.tasks.test_chunks import files

LOCAL = """
cluster_class: distributed.LocalCluster
cluster_kwargs: {n_workers: 1, threads_per_worker: 1, dashboard_address: "127.0.0.1:0", host: 127.0.0.1}
"""


@pytest.fixture(scope="module")
def cards() -> Iterator[Team]:
    """Two machines with a graphics card each, and room for two tasks."""
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            resources={"GPU": 1},
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        open_team(address=cluster.scheduler_address) as team,
    ):
        yield team


def refuse(number: int) -> int:
    if number == 2:
        raise MediaError("no face", where="two")
    if number == 3:
        raise ZeroDivisionError("three")
    return number * 10


def double(number: int, other: tuple[float, int] = (0.0, 0)) -> int:
    return number * 2 + other[1]


def train(folder: str) -> tuple[int, float, float]:
    """Which worker, from when to when."""
    begun = time.monotonic()
    Path(folder, str(os.getpid())).touch()
    time.sleep(0.2)  # the work itself: overlaps would show
    return os.getpid(), begun, time.monotonic()


def stepping(topic: str) -> None:
    report_step(topic, 3)
    report_step(topic, 4)


def promises(team: Workers) -> None:
    """What holds of any kind of workers."""
    first = team.submit(clocked, double, 1, name="a-x")
    team.share(first, "a-x")
    second = team.submit(clocked, double, 10, first, name="b-x")
    assert list(team.results([second], "b-x")) == [22]
    assert team.do(double, 4, name="c-x") == 8
    assert team.spent("-x") > 0
    assert team.spent("-x") == 0, "what was told is told again"
    outcomes = dict(team.each(refuse, range(5), name=lambda number: f"each-{number}"))
    assert [outcomes[n] for n in (0, 1, 4)] == [0, 10, 40]
    assert isinstance(outcomes[2], MediaError)
    assert isinstance(outcomes[3], WorkError)
    assert "ZeroDivisionError" in outcomes[3].what
    with pytest.raises(WorkError, match="unexpected ZeroDivisionError"):
        team.do(refuse, 3, name="three")
    with pytest.raises(MediaError, match="no face"):
        team.do(refuse, 2, name="two")


def test_promises_of_dask_workers(cards: Team) -> None:
    assert cards.size == 2
    promises(cards)


def test_promises_of_nobody() -> None:
    with open_workers(0) as team:
        assert isinstance(team, Alone)
        assert team.size == 1
        promises(team)
        heard: list[int] = []
        with team.steps(heard.append) as topic:
            team.do(stepping, topic, name="s")
        team.do(stepping, topic, name="s")  # nobody listens any more
        assert heard == [3, 4]
        team.stop()
        with pytest.raises(WorkError, match="stopped"):
            team.do(double, 1, name="d")


def test_alone_makes_the_same_bytes_and_each_block_once(tmp_path: Path, cards: Team) -> None:
    made, steps = {}, []
    for name, team in (("alone", Alone()), ("dask", cards)):
        (tmp_path / name).mkdir()
        stage = Counting(tmp_path / name)
        draft = open_draft(tmp_path / name / "x.zarr", stage.specs(), {}, "recipe-1")
        fill(draft, stage, team, name="counting", step=steps.append)
        made[name] = files(tmp_path / name / "x.zarr")
        assert set(computed(tmp_path / name).values()) == {1}
    assert made["alone"] == made["dask"]
    assert sum(steps) == 2 * FRAMES


def test_two_trainings_are_never_at_once_on_one_card(tmp_path: Path, cards: Team) -> None:
    spans = list(
        cards.client.gather([cards.on_card(train, str(tmp_path), name=f"train-{n}") for n in range(6)])
    )
    assert len(list(tmp_path.iterdir())) == 2, "one card did nothing"
    for worker in {span[0] for span in spans}:
        own = sorted((begun, ended) for who, begun, ended in spans if who == worker)
        assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(own))


def test_a_card_that_nobody_offers_is_one_line() -> None:
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        open_team(address=cluster.scheduler_address) as team,
        pytest.raises(RequestError, match="graphics card"),
    ):
        team.on_card(double, 1, name="train")


def test_a_clusters_file_is_started_grows_with_the_work_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.team.opening._CONNECT_SECONDS", 1)
    spec = tmp_path / "cluster.yaml"
    spec.write_text(
        LOCAL.replace("n_workers: 1", "n_workers: 0") + "adapt_kwargs: {minimum: 0, maximum: 2}\n"
    )
    with open_team(cluster=spec) as team:
        address = team.client.scheduler.address
        assert dict(team.each(double, range(20), name=str)) == {n: 2 * n for n in range(20)}
        assert 1 <= team.size <= 2
    with pytest.raises(RequestError, match="no Dask scheduler"), open_team(address=address):
        pass


def test_the_environment_names_a_cluster_and_an_option_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text(LOCAL)
    monkeypatch.setenv("MEMDUB_CLUSTER", str(spec))
    with open_workers(0) as team:
        assert isinstance(team, Alone)
    spec.write_text("cluster_class: nowhere.Nothing")
    with pytest.raises(RequestError, match=r"nowhere\.Nothing"), open_team():
        pass
    with pytest.raises(RequestError, match="not both"), open_team(2, cluster=spec):
        pass


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[", "is not YAML"),
        ("- 1", "names no cluster_class"),
        ("cluster_kwargs: {}", "names no cluster_class"),
        ("cluster_class: a.B\nworkers: 3", "workers means nothing"),
        ("cluster_class: a.B\ncluster_kwargs: 3", "not a mapping"),
        ("cluster_class: a.B\nadapt_kwargs: {most: 3}", "most means nothing"),
        ("cluster_class: a.B\nwait_seconds: -1", "wait_seconds"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text(text)
    with pytest.raises(RequestError, match=line) as caught:
        read_cluster(spec)
    assert "\n" not in str(caught.value)
    assert "cluster.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cluster_class: dask_jobqueue_not_here.SLURMCluster", "no such cluster class"),
        ("cluster_class: LocalCluster", "no such cluster class"),
        (LOCAL.replace("n_workers: 1", "n_lurkers: 1"), "cannot be started"),
    ],
)
def test_a_cluster_that_cannot_start_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text(text)
    with pytest.raises(RequestError, match=line) as caught, open_team(cluster=spec):
        pass
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        read_cluster(tmp_path / "none.yaml")


def test_the_program_is_itself_again_when_workers_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    told = vars(sys.modules["__main__"])
    monkeypatch.setitem(told, "__file__", "program.py")
    before = dict(told)
    with importable():
        assert told["__spec__"] is None
        assert "__file__" not in told
    assert told == before
