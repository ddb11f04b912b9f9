"""What a user asks of `memdub extract`: told early when it cannot be, and counted as they would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

import models
from flows.extract import extract, plan
from flows.ingest import ingest
from storage.recipes import hash_file
from tasks.chain import ExtractOptions
from tasks.film import Script, film
from tests.flows.conftest import Shell, everything_in


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def two(root: Path) -> Path:
    """A home with two short clips of anna."""
    for seed in (1, 2):
        made = film(Script(seed=seed, size=128, text="Hello.", supersample=1), root / f"{seed}.mp4")
        ingest([made.video], "anna", home=str(root / "home")).raise_if_refused()
    return root / "home"


def test_a_limit_counts_what_is_to_be_done(two: Path, cluster: str, memdub: Shell) -> None:
    home = str(two)
    (first,) = extract(["anna"], home=home, dask_address=cluster, limit=1).outcomes
    assert first.frames_per_second is not None
    _, _, planned = plan(["anna"], home=home, limit=1)
    assert [one.features is not None for one in planned] == [True, False]
    second = extract(["anna"], home=home, dask_address=cluster, limit=1)
    assert [one.frames_per_second is None for one in second.outcomes] == [True, False]
    assert memdub("extract", "anna", "--dry-run", "--json") == 0
    assert all(not one["to_run"] for one in json.loads(memdub.out)["clips"])


def test_speed_is_told_only_of_what_was_computed_whole(two: Path, cluster: str) -> None:
    home = str(two)
    extract(["anna"], home=home, dask_address=cluster, limit=1).raise_if_refused()
    # Another offset: only the last stage is left to do.
    done = extract(["anna"], home=home, dask_address=cluster, limit=1, options=ExtractOptions(offset=3.0))
    (outcome,) = done.outcomes
    assert not outcome.features.reused
    assert outcome.frames_per_second is None
    assert ", finished, " in outcome.line()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--workers", "2", "--dask-address", "tcp://127.0.0.1:1"], "not both"),
        (["--dask-address", ""], "no address"),
    ],
)
def test_options_that_cannot_be_are_refused_whatever_is_done(
    two: Path, memdub: Shell, words: list[str], line: str
) -> None:
    assert memdub("extract", "anna", *words) == 2
    assert line in memdub.err
    assert memdub.err.count("\n") == 1


def test_a_model_that_is_none_is_refused_before_anything_is_computed(two: Path, memdub: Shell) -> None:
    wrong = two.parent / "face.npz"
    wrong.write_text("no model")
    before = everything_in(two / "stores")
    assert memdub("extract", "anna", "--model", f"ict:{wrong}") == 2
    assert "this is no ict model" in memdub.err
    assert "pickle" not in memdub.err
    assert memdub.err.count("\n") == 1
    assert everything_in(two / "stores") == before


def test_a_face_that_nobody_has_is_told_from_no_face(two: Path, cluster: str, memdub: Shell) -> None:
    words = ("extract", "anna", "--face", "9", "--dask-address", cluster, "--limit", "1")
    assert memdub(*words) == 2
    assert "nobody in it is meant by --face 9" in memdub.err
    assert not list((two / ".work").glob("track-*")), "somebody's pictures stay behind"


def test_recipes_know_the_parameter_files_they_depend_on(two: Path) -> None:
    _, _, (one, _) = plan(["anna"], home=str(two))
    root = Path(models.__path__[0])
    for stage, name in (("track", "track/calibration"), ("fit", "fit/builtin"), ("fit", "morphable/builtin")):
        told = getattr(one.chain, stage).parameters[f"models/{name}.safetensors"]
        assert told == hash_file(root / f"{name}.safetensors")
    assert "models/offset/table.py" in one.chain.features.parameters
