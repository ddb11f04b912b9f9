"""Bundles of performances: 30 rows a second of any clip's rate, in step, scored by what is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.facial.columns import BLINK, EXPRESSION, PLACE, POSE, from_columns
from models.methods import Stage
from models.morphable.builtin import builtin
from models.training import HELD_OUT, TRAIN, About, Bundle
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from tasks.bundles import write_stage_bundle
from tasks.ears import hears
from tasks.material import Cut, Material, open_materials
from tasks.remember import features_of
from tests.helpers.material_home import SIZE, material_home

STAGE = Stage("performer", True, ("symbols30", "performed", "trust"), "facial_performer")
ABOUT = About("facial", "performer", "smoke", {})


def _units(frames: int) -> np.ndarray:
    out = np.zeros((frames, 17))
    out[:, 16] = np.linspace(0, 5, frames)
    return out


def _home(root: Path, frames: int = 150, rate: int = 25, **changes: np.ndarray) -> Home:
    changes = {"track__action_units": _units(frames), **changes}
    return material_home(root, frames=frames, rate=rate, **changes)


def _materials(home: Home) -> list[Material]:
    return open_materials(home, [one.features for one in features_of(home, Ledger(home.objects), "anna")])


def _bundle(tmp_path: Path, home: Home) -> Bundle:
    path = write_stage_bundle(tmp_path / "b", home, STAGE, ABOUT, _materials(home), Cut())
    return Bundle(path)


@pytest.mark.parametrize("rate", [25, 50])
def test_rows_are_30_a_second_whatever_the_clips_rate(tmp_path: Path, rate: int) -> None:
    home = _home(tmp_path / "home", frames=6 * rate, rate=rate)
    one, made = _materials(home)[0], _bundle(tmp_path, home)
    rows = made["performed"]
    assert rows.shape == (180, 71)
    assert made["symbols30"].shape == (180, 29)
    times, own = (np.arange(180) + 0.5) / 30, (np.arange(6 * rate) + 0.5) / rate
    jaw = builtin().names.index("jaw_open")
    wanted = np.interp(times, own, one.fit("expression")[:, jaw])
    np.testing.assert_allclose(rows[:, EXPRESSION][:, jaw], wanted, atol=1e-5)
    np.testing.assert_allclose(rows[:, BLINK], np.interp(times, own, _units(6 * rate)[:, 16]), atol=1e-4)
    for axis in range(3):
        turned = np.interp(times, own, np.degrees(one.fit("rotation")[:, axis]))
        np.testing.assert_allclose(rows[:, axis], turned, atol=1e-4)
    assert [(s.start, s.stop, s.split) for s in made.about.segments] == [
        (0, 144, TRAIN),
        (144, 180, HELD_OUT),
    ]


def test_rows_lead_back_to_the_clips_own_fit(tmp_path: Path) -> None:
    home = _home(tmp_path / "home", frames=180, rate=30)
    one, made = _materials(home)[0], _bundle(tmp_path, home)
    camera = torch.from_numpy(one.fit("camera"))
    turned, moved = from_columns(torch.from_numpy(made["performed"].copy()), camera, SIZE[1], SIZE[0])
    np.testing.assert_allclose(turned, one.fit("rotation"), atol=1e-5)
    np.testing.assert_allclose(moved, one.fit("translation"), atol=2e-2)
    assert np.abs(made["performed"][:, PLACE]).max() < 20


def test_scores_come_from_what_is_trained_on(tmp_path: Path) -> None:
    away = np.zeros((150, 3))
    away[:, 1] = np.linspace(-0.1, 0.1, 150)
    away[125:, 1] += 1.0  # held out
    made = _bundle(tmp_path, _home(tmp_path / "home", fit__rotation=away))
    trained, trust = made["performed"][:144], made["trust"][:144]
    mean = np.average(trained[:, POSE], axis=0, weights=trust)
    np.testing.assert_allclose(made["clip_mean"][0, POSE], mean, atol=1e-4)
    spread = np.sqrt(np.average((trained[:, 1] - mean[1]) ** 2, weights=trust))
    np.testing.assert_allclose(made["clip_std"][0, :2], [1e-3, spread], rtol=1e-3)
    assert made["clip"].tolist() == [0] * 180


def test_angles_go_the_shorter_way_round(tmp_path: Path) -> None:
    turn = np.zeros((150, 3))
    turn[:, 2] = np.where(np.arange(150) % 2, np.radians(179), np.radians(-179))
    rows = _bundle(tmp_path, _home(tmp_path / "home", fit__rotation=turn))["performed"]
    assert np.abs(np.abs(rows[:, 2]) - 180).max() < 1.01


def test_runs_end_where_a_face_is_missing(tmp_path: Path) -> None:
    there = np.ones(150)
    there[50:60] = 0
    made = _bundle(tmp_path, _home(tmp_path / "home", track__confidence=there))
    assert [(s.start, s.stop) for s in made.about.segments] == [(0, 59), (73, 144), (144, 180)]
    assert not made["trust"][59:73].any()


def test_features_without_blinks_are_refused(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    with pytest.raises(RequestError, match="nothing of blinks"):
        write_stage_bundle(tmp_path / "b", home, STAGE, ABOUT, _materials(home), Cut())


def test_the_performer_hears() -> None:
    assert hears(STAGE)
