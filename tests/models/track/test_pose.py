"""Poses of made points come back, in OpenFace's signs; shapes turn back into their own frame."""

from __future__ import annotations

import numpy as np
import pytest

from models.puppet.camera import rotation
from models.track.calibration import calibration
from models.track.camera import Camera, angles, rotations
from models.track.person import bones, meet, settle
from models.track.pose import solve, turned, unposed

CAMERA = Camera(900, 320, 240)


@pytest.fixture
def poses() -> np.ndarray:
    rng = np.random.default_rng(1)
    turns = rng.uniform(-0.6, 0.6, (40, 3))
    return np.concatenate([turns, rng.uniform([-100, -80, 500], [100, 80, 1500], (40, 3))], axis=1)


def seen(shape: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Mesh points of a head: pixels, and depth in pixels about the head's middle."""
    placed = shape @ rotations(poses[:, :3]).transpose(0, 2, 1) + poses[:, None, 3:]
    depth = (placed[..., 2] - poses[:, 5:]) * CAMERA.focal / poses[:, 5:]
    return np.concatenate([CAMERA.project(placed), depth[..., None]], axis=2).astype(np.float32)


def test_rotations_are_those_of_the_puppets_camera_and_come_back(poses: np.ndarray) -> None:
    turns = poses[:, :3]
    assert np.allclose(rotations(turns), [rotation(t) for t in turns])
    assert np.allclose(angles(rotations(turns)), turns)


def test_signs_are_openfaces() -> None:
    nose = np.array([0.0, 0.0, -30.0])
    down, left, clockwise = (rotations(np.eye(3)[k : k + 1] * 0.3)[0] for k in range(3))
    assert (down @ nose)[1] > 0
    assert (left @ nose)[0] < 0
    assert (clockwise @ [1.0, 0, 0])[1] > 0


def test_small_turns_are_turns(poses: np.ndarray) -> None:
    r = turned(poses[:, :3])
    assert np.allclose(r @ r.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(turned(np.zeros((1, 3))), np.eye(3))
    assert np.allclose(turned(np.array([[0, 0, 0.2]]))[0], rotations(np.array([[0, 0, 0.2]]))[0])


def test_poses_come_back(poses: np.ndarray) -> None:
    shape = calibration().face[calibration().rigid].astype(np.float64)
    found = solve(seen(shape, poses), shape, CAMERA, steps=10)
    assert np.degrees(np.abs(found.rows[:, :3] - poses[:, :3])).max() < 0.5
    assert (np.abs(found.t - poses[:, 3:]).max(1) / poses[:, 5]).max() < 0.01
    assert found.error.max() < 0.5


def test_some_points_gone_astray_are_forgiven(poses: np.ndarray) -> None:
    shape = calibration().face[calibration().rigid].astype(np.float64)
    points = seen(shape, poses)
    points[:, ::12, :2] += 25
    found = solve(points, shape, CAMERA, steps=10)
    assert np.degrees(np.abs(found.rows[:, :3] - poses[:, :3])).mean() < 1.5


def test_a_face_turns_back_into_its_own_frame(poses: np.ndarray) -> None:
    face = calibration().face.astype(np.float64)
    points = seen(face, poses)
    own = unposed(points, solve(points, face, CAMERA, steps=10), CAMERA, face.mean(0))
    assert np.abs(own - face).max() < 2.0
    assert np.abs(own - face).mean() < 0.3


def test_the_mean_face_at_rest_acts_nothing_and_has_no_bones_of_its_own(poses: np.ndarray) -> None:
    points = seen(calibration().face.astype(np.float64), poses)
    assert np.abs(bones(points, CAMERA, calibration())).max() < 1.0
    person = meet(points, CAMERA, calibration())
    told = settle(points, np.zeros(len(points), np.float32), person, CAMERA, calibration())
    assert told.units.mean(0).max() < 0.5
    assert told.presence.shape == (40, 18)


def test_openfaces_rule_where_the_lens_is_unknown() -> None:
    assert Camera.of_picture(640, 480) == Camera(500, 320, 240)
    assert Camera.of_picture(640, 480, 800.0).focal == 800
