"""Smoothing moves nothing in time, cuts are no flashes and no motion, crops keep still, blinks are events."""

from __future__ import annotations

import numpy as np

from models.track.eyes import EYE_POINTS, blinks, closures, openings
from models.track.placement import Anchor, anchors, place
from models.track.regions import Region, overlap, region_of, region_of_detection, to_picture
from models.track.shots import THUMBNAIL, change, cuts, numbered, plain
from models.track.smoothing import low_pass, runs, smoothed
from models.track.subset68 import DLIB_IN_MESH, subset68

ONE_SHOT = np.zeros(40, np.int32)
THERE = np.ones(40, bool)


def test_an_impulse_stays_where_it_is() -> None:
    values = np.zeros((40, 2, 3), np.float32)
    values[20] = 1
    out = smoothed(values, THERE, ONE_SHOT)
    assert np.allclose(out[15:26], out[15:26][::-1])
    assert out[20].min() > 0.45


def test_straight_motion_is_not_changed_up_to_its_ends() -> None:
    line = np.linspace(0, 5, 40, dtype=np.float32)[:, None]
    assert np.allclose(smoothed(line, THERE, ONE_SHOT), line, atol=1e-5)
    assert np.allclose(low_pass(line.astype(float), 6.0), line, atol=1e-6)


def test_nothing_crosses_a_cut_or_a_gap() -> None:
    values = np.where(np.arange(40) < 20, 0, 100).astype(np.float32)[:, None]  # a leap, were it one run
    shot = (np.arange(40) >= 20).astype(np.int32)
    assert np.allclose(smoothed(values, THERE, shot), values)
    there = THERE.copy()
    there[20:23] = False
    out = smoothed(values, there, ONE_SHOT)
    assert np.isnan(out[20:23]).all()
    assert np.array_equal(out[:20], values[:20])
    assert np.allclose(out[23:], values[23:])
    assert [(r.start, r.stop) for r in runs(there, ONE_SHOT)] == [(0, 20), (23, 40)]


def test_noise_gets_less() -> None:
    noise = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    assert smoothed(noise, THERE, ONE_SHOT).std() < 0.75 * noise.std()


def _picture(seed: int) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(20, 230, (8, 8), np.uint8)
    return rough.repeat(THUMBNAIL // 8, 0).repeat(THUMBNAIL // 8, 1)


def test_another_picture_is_a_change_and_motion_or_light_is_none() -> None:
    one, other = _picture(0), _picture(1)
    moved = np.roll(one, 1, axis=1)
    brighter = np.clip(one * 1.05 + 10, 0, 255).astype(np.uint8)
    assert change(plain(one), plain(one)) == 0
    assert change(plain(one), plain(other)) > 0.4
    assert change(plain(one), plain(moved)) < 0.1
    assert change(plain(one), plain(brighter)) < 0.1


def test_cuts_are_great_changes_with_faces_elsewhere_and_flashes_are_none() -> None:
    changes, jumped = np.full(60, 0.03, np.float32), np.zeros(60, bool)
    changes[20], jumped[20] = 0.3, True
    changes[30] = 0.3  # somebody walks through
    changes[[40, 42]] = 0.7  # a light goes on and off
    changes[50] = 0.8  # the same face at the same place before another wall
    assert np.flatnonzero(cuts(changes, jumped)).tolist() == [20, 50]
    assert numbered(cuts(changes, jumped)).max() == 2


def test_regions_follow_the_face_and_map_back() -> None:
    rng = np.random.default_rng(0)
    patch = rng.uniform(0.2, 0.8, (478, 3)).astype(np.float32)
    region = Region(300, 200, 120, 0.2)
    points = to_picture(patch, region)
    back = points[:, :2] - (300, 200)
    c, s = np.cos(0.2), np.sin(0.2)
    assert np.allclose(back @ np.array([[c, -s], [s, c]]) / 120 + 0.5, patch[:, :2], atol=1e-5)
    found = region_of(points)
    assert np.hypot(found.x - points[:, 0].mean(), found.y - points[:, 1].mean()) < 10
    assert overlap(found, found) > 0.999
    assert overlap(found, found._replace(x=found.x + 2 * found.side)) == 0
    assert region_of_detection((10, 20, 40, 40), ((20, 30), (40, 30))) == Region(30, 40, 60, 0)


def test_a_still_head_has_a_still_crop_and_a_walking_one_a_smooth_one() -> None:
    rng = np.random.default_rng(0)
    scale = np.full(200, 1.2, np.float32)
    still = (rng.standard_normal((200, 2)) * 0.4 + 100).astype(np.float32)
    middles, side = place(Anchor(still, scale), 25)
    assert np.ptp(middles, axis=0).max() == 0
    walk = still + np.linspace(0, 150, 200)[:, None].astype(np.float32)
    middles, side = place(Anchor(walk, scale), 25)
    assert np.abs(np.diff(middles, 2, axis=0)).max() * 256 / side < 0.1
    assert np.abs(middles - walk).max() < 0.1 * side
    assert abs(side - 1.2 * 168 / 0.62) <= 1


def test_the_crop_does_not_nod_when_the_mouth_opens() -> None:
    from models.track.calibration import calibration

    face = calibration().face[None].repeat(2, 0)
    face[1, face[1, :, 1] > 30, 1] += 15
    told = anchors(face)
    assert np.array_equal(told.centre[0], told.centre[1])


def _eyes(opening: np.ndarray) -> np.ndarray:
    points = np.zeros((len(opening), 2, 8, 3), np.float32)
    points[:, :, 1, 0] = 30
    points[:, :, 2:5, 1] = 30 * opening[:, None, None]
    return points.reshape(len(opening), 16, 3)


def test_a_blink_is_an_event_and_a_slow_narrowing_is_none() -> None:
    opening = 0.3 + 0.06 * np.sin(np.arange(200) / 30)  # lids follow a head that turns
    true = [(40, 44), (90, 95), (150, 154)]
    for start, stop in true:
        opening[start:stop] = 0.11
    there, shot = np.ones(200, bool), np.zeros(200, np.int32)
    shut = closures(openings(_eyes(opening)), there, shot, 25)
    found = blinks(shut, 25)
    assert len(found) == 3
    assert all(abs(a - c) <= 1 and abs(b - d) <= 1 for (a, b), (c, d) in zip(found, true, strict=True))
    assert shut[np.setdiff1d(np.arange(200), np.r_[36:48, 86:99, 146:158])].max() < 0.4
    opening[60:80] = 0.1
    assert len(blinks(closures(openings(_eyes(opening)), there, shot, 25), 25)) == 3, "that long is no blink"


def test_openings_do_not_change_when_the_head_turns() -> None:
    from models.track.camera import rotations

    eyes = _eyes(np.full(5, 0.3))
    turned = np.einsum("tij,tpj->tpi", rotations(np.linspace(0, 0.5, 5)[:, None] * [1, 1, 1]), eyes)
    assert np.allclose(openings(turned.astype(np.float32)), 0.3, atol=1e-5)


def test_the_68_are_dlibs() -> None:
    from models.puppet.figure import figure

    assert len(DLIB_IN_MESH) == len(set(DLIB_IN_MESH.tolist())) == 68
    points = subset68(figure().mean[None])[0]
    jaw, brows, eyes, mouth = points[:17], points[17:27], points[36:48], points[48:68]
    assert (np.diff(jaw[:, 0]) > 0).sum() >= 13
    assert jaw[:, 1].argmax() == 8, "the chin is point 8"
    assert brows[:, 1].max() < eyes[:, 1].max() < mouth[:, 1].min()
    assert points[30, 1] == points[27:31, 1].max(), "the nose runs downwards"
    assert mouth[0, 0] < mouth[6, 0]
    assert len(EYE_POINTS) == 16
