"""Bundles of canvases that stand still: rows in step, one hole a shot, and no face behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.canvas.still import Standing
from models.facial.training_picture import PICTURE_ARRAYS
from models.methods import Stage
from models.training import HELD_OUT, TRAIN, About, Bundle
from storage.home import Home
from storage.ledger import Ledger
from storage.media import VideoReader
from tasks._stills import plates_of, standing_of
from tasks.bundles import write_stage_bundle
from tasks.extract import video_of
from tasks.general import Course, write_general
from tasks.material import BLINK, Cut, Material, open_materials
from tasks.remember import features_of
from tests.helpers.material_home import FRAMES, material_home

SIDE = 48
STAGE = Stage("picture", True, PICTURE_ARRAYS, side=SIDE)
ABOUT = About("facial", "picture", "smoke", {})


def units(frames: int = FRAMES) -> np.ndarray:
    out = np.zeros((frames, 17), np.float32)
    out[:, BLINK] = np.linspace(0, 5, frames)
    return out


def written(home: Home, path: Path, cut: Cut | None = None) -> Bundle:
    features = [one.features for one in features_of(home, Ledger(home.objects), "anna")]
    materials = open_materials(home, features)
    return Bundle(write_stage_bundle(path, home, STAGE, ABOUT, materials, cut or Cut()))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    shot = np.zeros(FRAMES)
    shot[40:] = 1
    return material_home(tmp_path / "home", track__shot=shot, track__action_units=units())


def test_every_row_has_its_frame_its_face_and_its_blink(home: Home, tmp_path: Path) -> None:
    bundle = written(home, tmp_path / "b")
    runs = [(s.start, s.stop, s.split) for s in bundle.about.segments]
    assert runs == [(0, 40, TRAIN), (40, 120, TRAIN), (120, 150, HELD_OUT)]
    assert bundle["target"].shape == bundle["render"].shape == (FRAMES, SIDE, SIDE, 3)
    np.testing.assert_allclose(bundle["shut"], units()[:, BLINK], atol=1e-6)
    assert bundle["still"].tolist() == [0] * 40 + [1] * 110
    assert bundle["plate"].shape == (2, SIDE, SIDE, 3)
    shown = bundle["render"].max(-1) > 0
    assert shown.mean() > 0.05
    # What is hidden is the hole, and more than that around it.
    assert (bundle["hidden"][bundle["hole"] > 0] == 1).all()
    assert bundle["hidden"].sum() > (bundle["hole"] > 0).sum()
    # Eyes are a part of the face, and faces lie in the hole.
    assert not ((bundle["eyes"] > 0) & ~shown).any()
    assert not (shown & (bundle["hole"][bundle["still"]] == 0)).any()


def test_what_lies_behind_never_shows_a_face(home: Home, tmp_path: Path) -> None:
    bundle = written(home, tmp_path / "b")
    for number in (0, 1):
        mine = bundle["still"] == number
        always = (bundle["render"][mine].max(-1) > 0).all(0)
        assert always.sum() > 20
        assert (bundle["plate"][number][always] == 128).all()
        assert not (bundle["plate"][number] == 128).all()


class Watched:
    """A film that notes which frames are looked at."""

    def __init__(self, reader: VideoReader) -> None:
        self.reader, self.frames = reader, set[int]()

    def read(self, first: int, stop: int) -> Iterator[np.ndarray]:
        self.frames |= set(range(first, stop))
        return self.reader.read(first, stop)


def test_what_lies_behind_is_told_by_free_frames_alone(home: Home) -> None:
    features = [one.features for one in features_of(home, Ledger(home.objects), "anna")]
    one = open_materials(home, features)[0]
    identity = torch.from_numpy(one.fit("identity")[one.seen].mean(0))
    free = np.arange(FRAMES) >= 100
    with video_of(home, one.clip) as video:
        film = Watched(VideoReader(video))
        plates = plates_of(one, standing_of(one, identity, SIDE), film, free)  # type: ignore[arg-type]
        assert set(plates) == {1}
        assert film.frames
        assert min(film.frames) >= 100
    # Only shots that are walked over have canvases.
    assert set(standing_of(one, identity, SIDE, (100, 150)).shots) == {1}
    assert set(standing_of(one, identity, SIDE, (39, 150)).shots) == {0, 1}


def test_held_out_frames_say_nothing_of_what_lies_behind(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def noted(one: Material, standing: Standing, reader: VideoReader, free: np.ndarray) -> dict[int, Any]:
        asked.append(np.flatnonzero(free).tolist())
        return {}

    monkeypatch.setattr("tasks._stills.plates_of", noted)
    assert (written(home, tmp_path / "b")["plate"] == 128).all()
    assert asked == [list(range(120))]


def test_general_bundles_say_whose_rows_are(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home", track__action_units=units())
    material_home(tmp_path / "home", identity="ben", track__action_units=units())
    course = replace(Course("facial", "picture", "smoke"), held_out=0.5)
    bundle = Bundle(write_general(home, course, tmp_path / "general"))
    assert bundle["speaker"].tolist() == [0] * FRAMES + [1] * FRAMES
    assert {s.split for s in bundle.about.segments} == {TRAIN, HELD_OUT}
    assert len(bundle["plate"]) == 2
