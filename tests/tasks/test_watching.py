"""A stranger's look at a video agrees with what is true of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from models.puppet.camera import rotation
from models.track.calibration import calibration
from models.track.camera import Camera
from tasks.film import Script, film
from tasks.judging.manners import pose_speed, pose_spread
from tasks.watching import best_shift, correlation, mouth_sheet, turns, watch
from tests.tasks.tracked_films import SIZE, act, write


def test_lips_that_are_seen_follow_those_that_are_true(tmp_path: Path) -> None:
    script = Script(seed=4, size=192, text="Peter bought five blue balls and a map of Peru.", supersample=1)
    made = film(script, tmp_path / "a.mp4")
    truth = pq.read_table(made.truth)["lip_gap"].to_numpy()
    seen = watch(made.video)
    assert len(seen.gaps) == len(truth)
    assert seen.rate == 25
    assert correlation(seen.gaps, truth) > 0.93
    assert best_shift(seen.gaps, truth) == 0
    sheet = cv2.imdecode(np.frombuffer(mouth_sheet([(made.video, seen)] * 2, 5), np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (240, 600, 3)
    # Lips are redder than the skin around them.
    tile = sheet[:120, :120].astype(float)
    redness = tile[..., 2] / (tile[..., 1] + 1)
    assert redness[50:70, 40:80].mean() > redness[:20, 40:80].mean()


@pytest.mark.parametrize("shift", [-4, 0, 3])
def test_a_shift_is_found(shift: int) -> None:
    curve = np.convolve(np.random.default_rng(0).standard_normal(200), np.ones(4), "same")
    assert best_shift(np.roll(curve, shift), curve) == shift


def test_what_stands_still_is_like_nothing() -> None:
    assert np.isnan(correlation(np.zeros(9), np.arange(9.0)))
    assert np.isnan(correlation(np.full(9, np.nan), np.arange(9.0)))
    gone = np.r_[np.arange(8.0), np.nan]
    assert correlation(gone, 2 * np.arange(9.0)) == pytest.approx(1)


def test_a_head_is_told_as_far_and_as_fast_as_it_turns(tmp_path: Path) -> None:
    """Of a puppet that also speaks: neither is its jaw taken for a nod, nor noise for haste."""
    acted = act(2, 70)
    true = np.degrees(acted.pose[:, :3])
    seen = watch(write(tmp_path / "a.mp4", acted.pictures))
    for axis, least in ((0, 0.8), (1, 0.97), (2, 0.9)):
        assert correlation(seen.turn[:, axis], true[:, axis]) > least
    spread, true_spread = (pose_spread(turn).mean() for turn in (seen.turn, true))
    speed, true_speed = (np.nanmean(pose_speed(turn, 25)) for turn in (seen.turn, true))
    assert spread == pytest.approx(true_spread, rel=0.1)
    assert speed == pytest.approx(true_speed, rel=0.15)
    # Eyes, nose, mouth: where they are, the picture's left first.
    marks = acted.landmarks[:, [33, 263, 4, 61, 291], :2]
    off = np.linalg.norm(seen.marks - marks, axis=-1) / SIZE
    assert np.median(off[:, 2:], axis=0).max() < 0.03
    assert (seen.marks[:, 0, 0] > marks[:, 0, 0]).all(), "the middle of an eye lies beside its outer corner"
    assert (seen.marks[:, 1, 0] < marks[:, 1, 0]).all()


def test_points_that_turn_are_told_in_degrees() -> None:
    shape = calibration().face[calibration().rigid].astype(np.float64)
    angles = np.radians([[0, 0, 0], [5, 0, 0], [0, -20, 0], [0, 0, 10], [-4, 12, 3], [0, 0, 0]])
    camera = Camera.of_picture(640, 480)
    placed = np.stack([shape @ rotation(one).T + np.array([10, -20, 800]) for one in angles])
    depth = (placed[..., 2:] - 800) * camera.focal / 800
    points = np.concatenate([camera.project(placed), depth], -1).astype(np.float32)
    points[5] = np.nan
    eyes = np.where(np.arange(6) < 5, 50.0, np.nan)
    # Each alone: a stretch is smoothed.
    found = np.concatenate([turns(points[[k]], eyes[[k]], (640, 480), 25.0) for k in range(6)])
    np.testing.assert_allclose(found[:5], np.degrees(angles[:5]), atol=0.1)
    assert np.isnan(found[5]).all()
    # A head that turns evenly is as fast as it is, up to its ends; and one that is gone begins anew.
    swept = np.radians([[0, 0.8 * k, 0] for k in range(40)])
    placed = np.stack([shape @ rotation(one).T + np.array([0, 0, 800]) for one in swept])
    depth = (placed[..., 2:] - 800) * camera.focal / 800
    points = np.concatenate([camera.project(placed), depth], -1).astype(np.float32)
    eyes = np.full(40, 50.0)
    eyes[20] = np.nan
    speed = pose_speed(turns(points, eyes, (640, 480), 25.0), 25)
    np.testing.assert_allclose(np.delete(speed, [0, 20, 21]), 0.8 * 25, rtol=0.02)
    assert np.isnan(speed[[0, 20, 21]]).all()
