"""`memdub export`: by whatever a person calls a clip, to places that exist, remembered by the lineage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.io import loadmat

from flows.cli.export import export as command
from flows.export import export
from storage.artifacts import Artifact, Made, produce
from storage.errors import ConsentError, CorruptArtifact, MemdubError, RequestError
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
    assert this["made"] == [done.content] == [f"sha256:{hash_file(done.path)}"]
    assert json.loads(this["arguments"])["dest"] == str(root / "a.csv")


def test_a_folder_and_its_files_know_where_they_came_from(features: Artifact, root: Path) -> None:
    done = export(features.id, "deng", root / "frames", home=str(root / "home"))
    ledger = Ledger(Home(root / "home").objects)
    files = [f"sha256:{hash_file(path)}" for path in done.path.iterdir()]
    assert len(files) == FRAMES
    for name in (done.content, files[0], files[-1]):
        (parent,) = lineage_of(ledger, name).children
        assert parent.id == features.id
    (this,) = (row for row in ledger.rows("runs").to_pylist() if row["flow"] == "export")
    assert this["made"] == [done.content]


def test_broken_features_are_not_exported(features: Artifact, root: Path) -> None:
    place = root / "home" / features.uri / "features.zarr"
    for shard in (place / "track/pose/c/0/0", place / "track/sharpness/c/0"):
        whole = shard.read_bytes()
        for broken in (whole[:-1] + bytes([whole[-1] ^ 1]), None):
            shard.write_bytes(broken) if broken else shard.unlink()
            with pytest.raises(
                CorruptArtifact, match=f"{features.id}: .*{shard.name} .*; remove .*memdub extract anna"
            ):
                export(features.id, "openface", root / "x.csv", home=str(root / "home"))
        shard.write_bytes(whole)
    assert not (root / "x.csv").exists()


@pytest.mark.parametrize("option", [{"layout": "full"}, {"spaced": True}])
def test_options_of_another_format_are_refused(
    features: Artifact, root: Path, option: dict[str, Any]
) -> None:
    with pytest.raises(RequestError, match=f"--{next(iter(option))}: means nothing to deng"):
        export(features.id, "deng", root / "x.mat", home=str(root / "home"), **option)
    assert not (root / "x.mat").exists()


@pytest.mark.parametrize(
    ("name", "dest", "said"),
    [
        ("clip-none", "x.csv", "no artifact"),
        ("", "x.csv", "no name was given"),
        ("clip-", "/proc/x.csv", "cannot be written"),
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
    words = [features.id, str(root / "c.mat"), "--to", "deng"]
    assert features.id in CliRunner().invoke(command, words, catch_exceptions=False).output
