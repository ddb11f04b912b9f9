"""FACIAL from footage to film, at the smallest preset: whose head it is, and what stays as it was filmed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flows.dub import Dubbed, dub
from storage.errors import RequestError
from storage.home import Home
from storage.media import VideoReader, probe
from tasks.dubbing.stage import DubOptions
from tasks.material import BLINK
from tests.helpers.material_home import FRAMES, material_home
from tests.helpers.painted import wav


def person(folder: Path) -> Home:
    """Somebody with features, of whom nothing was trained."""
    folder.mkdir()
    units = np.zeros((FRAMES, 17), np.float32)
    units[20::40, BLINK] = 5
    return material_home(folder / "home", track__action_units=units)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return person(tmp_path_factory.mktemp("facial") / "person")


def dubbed(home: Home, folder: Path, pose: str, workers: int = 1, lossless: bool = False) -> Dubbed:
    options = DubOptions("facial", "smoke", pose=pose, lossless=lossless)
    out = folder / f"{pose}-{workers}-{lossless}.mp4"
    return dub("anna", wav(folder / "a.wav", 1.3), out, options=options, home=home.url, workers=workers)


def frames(path: Path) -> np.ndarray:
    return np.stack(list(VideoReader(path).read()))


def test_a_film_as_long_as_the_speech_with_a_head_made_or_kept(home: Home, tmp_path: Path) -> None:
    made, kept = (dubbed(home, tmp_path, pose, lossless=True) for pose in ("generated", "template"))
    told = [json.loads(one.dub.row["recipe"])["parameters"]["pose"] for one in (made, kept)]
    assert told == ["generated", "template"]
    assert {role for role in json.loads(made.dub.row["recipe"])["inputs"] if "checkpoint" in role} == {
        "checkpoint expression",
        "checkpoint performer",
        "checkpoint picture",
    }
    video = probe(made.path).video
    assert video is not None
    assert video.slots == made.told["frames"] == 33
    one, other = frames(made.path), frames(kept.path)
    assert one.shape == other.shape
    changed = (one != other).any(-1)
    assert changed.any()
    # Whatever the head does, the picture's sides stay as they were filmed.
    same = ~changed.any(0)
    assert same[:, 0].all()
    assert same[:, -1].all()


def test_another_home_and_more_threads_give_the_same_film(home: Home, tmp_path: Path) -> None:
    alone = dubbed(home, tmp_path, "generated")
    other = person(tmp_path / "other")
    several = dubbed(other, tmp_path, "generated", workers=2)
    assert alone.dub.id == several.dub.id
    assert not several.dub.reused
    assert np.array_equal(frames(alone.path), frames(several.path))


def test_no_other_pose() -> None:
    with pytest.raises(RequestError, match="no such pose"):
        DubOptions("facial", pose="mine")
