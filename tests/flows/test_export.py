"""`memdub export`: by whatever a person calls a clip, to places that exist, remembered by the lineage."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.io import loadmat

from flows.cli.export import export as command
from flows.export import export
from storage.artifacts import Artifact, Made, produce
from storage.errors import ConsentError, MemdubError, RequestError
from storage.home import Home
from storage.ledger import Ledger, lineage_of
from storage.recipes import Recipe, hash_file
from tests.helpers.features_group import FRAMES, SIZE, made_up
from tests.helpers.footage import keep_consent


def made(home: Home, recipe: Recipe, *, clip: bool = False) -> Artifact:
    def make(workspace: Path) -> Made:
        if recipe.kind == "features":
            made_up(workspace / "features.zarr", clip=recipe.inputs["clip"])
        else:
            (workspace / "file").write_text(recipe.kind)
        row = {"id": recipe.id, "identity": "anna", "width_px": SIZE[0], "height_px": SIZE[1]}
        return Made(clips=[row] if clip else ())

    return produce(home, recipe, make, identity="anna")


@pytest.fixture
def features(root: Path) -> Artifact:
    """A home with a clip, its fit and its features; the fit is by name only."""
    home = Home(root / "home")
    clip = made(home, Recipe("clip", "ingest", 1, {"n": 1}), clip=True)
    fit = made(home, Recipe("fit", "fit", 1, {"model": "builtin"}, {"clip": clip.id}))
    return made(home, Recipe("features", "features", 1, {}, {"clip": clip.id, "fit": fit.id}))


def clip_of(features: Artifact) -> str:
    return str(json.loads(features.row["recipe"])["inputs"]["clip"])


def test_by_any_name(features: Artifact, root: Path) -> None:
    clip = clip_of(features)
    for number, name in enumerate([clip, clip[:12], clip.removeprefix("clip-")[:9], features.id]):
        done = export(name, "openface", root / f"{number}.csv", home=str(root / "home"))
        assert (done.clip, done.features) == (clip, features.id)
        assert len(pd.read_csv(done.path)) == FRAMES


def test_deng_names_the_model(features: Artifact, root: Path) -> None:
    done = export(clip_of(features), "deng", root / "fit.mat", home=str(root / "home"))
    assert loadmat(done.path)["model"].item() == "builtin"


def test_the_file_knows_where_it_came_from(features: Artifact, root: Path) -> None:
    done = export(features.id, "openface", root / "a.csv", home=str(root / "home"))
    ledger = Ledger(Home(root / "home").objects)
    tree = lineage_of(ledger, f"sha256:{hash_file(done.path)}")
    (parent,) = tree.children
    assert parent.id == features.id
    (this,) = (row for row in ledger.rows("runs").to_pylist() if row["flow"] == "export")
    assert this["reused"] == [features.id]


@pytest.mark.parametrize(
    ("name", "dest", "said"),
    [
        ("clip-none", "x.csv", "no artifact"),
        ("", "x.csv", "begin so"),
        ("fit-", "x.csv", "neither a clip"),
        ("clip-", "missing/x.csv", "folder does not exist"),
        ("clip-", ".", "is a folder"),
    ],
)
def test_wrong_requests(features: Artifact, root: Path, name: str, dest: str, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        export(name, "openface", root / dest, home=str(root / "home"))
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)


def test_a_clip_that_was_not_extracted(root: Path) -> None:
    clip = made(Home(root / "home"), Recipe("clip", "ingest", 1, {"n": 2}), clip=True)
    with pytest.raises(RequestError, match="memdub extract"):
        export(clip.id, "deng", root / "x.mat", home=str(root / "home"))


def test_without_consent_nothing_leaves(features: Artifact, root: Path) -> None:
    keep_consent(root / "home", expires="2020-06-01")
    with pytest.raises(ConsentError):
        export(features.id, "openface", root / "x.csv", home=str(root / "home"))
    assert not (root / "x.csv").exists()


def test_the_command(features: Artifact, root: Path) -> None:
    words = [clip_of(features), str(root / "b.csv"), "--to", "openface", "--layout", "2d", "--json"]
    answer = CliRunner().invoke(command, words, catch_exceptions=False)
    (told,) = json.loads(answer.output)["exports"]
    assert told["features"] == features.id
    assert len(pd.read_csv(told["path"]).columns) == 141
    with pytest.raises(MemdubError):
        CliRunner().invoke(command, words, catch_exceptions=False)
