"""Remembering: a memory of an identity's clips, found again by its recipe, shown on a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from flows.cli.remember import remember as command
from flows.gallery import gallery, shapes
from flows.remember import remember as flow
from storage import clips
from storage.artifacts import Artifact, Made, find, produce
from storage.errors import ConsentError, RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import Recipe
from tasks.remember import RememberOptions, Source, features_of, frames_of, open_memory, recipe_of, remember
from tests.helpers.features_group import FRAMES, MISSING, SIZE, made_up
from tests.helpers.footage import film, keep_consent


def put(home: Home, number: int = 1, model: str = "builtin") -> Source:
    """A clip with features that were made up."""

    def clip_made(workspace: Path) -> Made:
        film(workspace / "clip.mp4", seconds=FRAMES / 25, size=SIZE, sound=False, seed=number)
        return Made()

    def fit_made(workspace: Path) -> Made:
        (workspace / "file").write_text("fit")
        return Made()

    def features_made(workspace: Path) -> Made:
        made_up(workspace / "features.zarr", clip=clip.id)
        return Made()

    clip = produce(home, Recipe("clip", "ingest", 1, {"n": number}), clip_made, identity="anna")
    fit = produce(
        home, Recipe("fit", "fit", 1, {"model": model}, {"clip": clip.id}), fit_made, identity="anna"
    )
    inputs = {"clip": clip.id, "fit": fit.id}
    return Source(
        clip, produce(home, Recipe("features", "features", 1, {}, inputs), features_made, identity="anna")
    )


@pytest.fixture
def source(home: Home) -> Source:
    keep_consent(Path(home.url), scope='["ingest", "train"]')
    return put(home)


def group_of(home: Home, source: Source) -> clips.ClipGroup:
    return clips.open_clip(home.uri(f"{source.features.uri}/features.zarr"))


def test_a_memory_holds_what_it_says(home: Home, source: Source) -> None:
    kept = open_memory(home, remember(home, "anna", [source], RememberOptions(slots=20, side=48)))
    assert kept.keys.shape == (20, 40, 3)
    assert kept.patches.shape == (20, 48, 48, 3)
    assert not set(kept.frame.tolist()) & set(MISSING)
    frames = frames_of(group_of(home, source), 48)
    assert np.allclose(kept.keys, frames.keys[kept.frame], atol=1e-4)
    assert kept.clips == (source.clip.id,)
    assert (kept.confidence > 0.5).all()
    assert kept.patches.reshape(20, -1).std(1).min() > 1, "pictures show something"


def test_pictures_are_those_of_their_frames(home: Home, source: Source) -> None:
    """The film's green channel says nothing of time, its red one rises by five a frame."""
    kept = open_memory(home, remember(home, "anna", [source], RememberOptions(slots=12, side=32)))
    frames = frames_of(group_of(home, source), 32)
    for slot in range(12):
        frame = int(kept.frame[slot])
        x = float(frames.places[frame, 0].numpy() @ np.array([16, 16, 1], np.float32))
        wanted = (2 * x + 5 * frame) % 256
        red = float(kept.patches[slot, 16, 16, 0])
        away = abs((red - wanted + 128) % 256 - 128)
        assert away < 20


def test_the_same_recipe_is_the_same_memory(home: Home, source: Source) -> None:
    first = remember(home, "anna", [source], RememberOptions(slots=10, side=32))
    second = remember(home, "anna", [source], RememberOptions(slots=10, side=32))
    assert (first.id, first.reused, second.reused) == (second.id, False, True)
    assert recipe_of([source], RememberOptions(slots=11)).id != first.id


def test_the_last_share_is_left_for_judging(home: Home, source: Source) -> None:
    kept = open_memory(home, remember(home, "anna", [source], RememberOptions(10, 32, share=0.5)))
    assert kept.frame.max() < FRAMES / 2


def test_clips_compete(home: Home, source: Source) -> None:
    other = put(home, 2)
    sources = features_of(home, Ledger(home.objects), "anna")
    assert {one.clip.id for one in sources} == {source.clip.id, other.clip.id}
    kept = open_memory(home, remember(home, "anna", sources, RememberOptions(slots=40, side=32)))
    assert set(kept.clip.tolist()) == {0, 1}


def test_another_model_is_refused(home: Home, source: Source) -> None:
    other = put(home, 3, model="ict")
    with pytest.raises(RequestError, match="fitted with the model ict"):
        remember(home, "anna", [other])


def test_the_flow_tells_and_shows(home: Home, source: Source, tmp_path: Path) -> None:
    page = tmp_path / "mouths.html"
    kept = flow("anna", slots=15, page=page)
    assert (kept.slots, kept.memory.reused) == (15, False)
    assert kept.distance_mm > kept.chance_mm
    text = page.read_text()
    assert text.count("data:image/jpeg") == 15
    assert "http" not in text
    assert "width=device-width" in text
    answer = CliRunner().invoke(command, ["anna", "--slots", "15", "--json"], catch_exceptions=False)
    (told,) = json.loads(answer.output)["memories"]
    assert (told["id"], told["reused"]) == (kept.memory.id, True)
    (run,) = [r for r in Ledger(home.objects).rows("runs").to_pylist() if r["made"]]
    assert run["flow"] == "remember"
    assert isinstance(find(Ledger(home.objects), kept.memory.id, "anna"), Artifact)


def test_the_page_orders_mouths_by_width_in_each_group(home: Home, source: Source) -> None:
    memory = open_memory(home, remember(home, "anna", [source], RememberOptions(slots=10, side=32)))
    opening, width = shapes(memory.keys)
    text = gallery("anna", memory)
    told = [f"{opening[i]:.1f} · {width[i]:.0f} mm" for i in range(10)]
    assert all(f">{one}<" in text for one in told)


def test_wrong_requests(home: Home, source: Source, tmp_path: Path) -> None:
    for page in (tmp_path, tmp_path / "missing" / "x.html"):
        with pytest.raises(RequestError, match="--html"):
            flow("anna", page=page)
    with pytest.raises(RequestError, match="--slots 1"):
        flow("anna", slots=1)
    keep_consent(Path(home.url), "bert", scope='["ingest", "train"]')
    with pytest.raises(RequestError, match="memdub extract bert"):
        flow("bert")
    keep_consent(Path(home.url), scope='["ingest"]')
    with pytest.raises(ConsentError):
        flow("anna")
