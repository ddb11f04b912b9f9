"""The puppet's pictures: the same every time, and where the truth says they are."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from models.puppet import CONTROLS, INDEX, Puppet, about_neck
from models.puppet.camera import project, rotation


def row(**values: float) -> np.ndarray:
    out = np.zeros(len(CONTROLS), np.float32)
    for name, value in values.items():
        out[INDEX[name]] = value
    return out


@lru_cache(maxsize=2)
def puppet(seed: int, size: int) -> Puppet:
    return Puppet(seed, size)


@pytest.mark.parametrize("seed", [0, 4])
def test_same_arguments_same_bytes(seed: int) -> None:
    pose = about_neck(np.array([0.05, 0.3, -0.05]), Puppet(seed, 128).rest_pose)
    first, second = (Puppet(seed, 128).render(row(jaw_open=0.4), pose) for _ in range(2))
    assert first.shape == (128, 128, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


def test_frames_do_not_depend_on_the_frames_before() -> None:
    p = puppet(1, 128)
    rest = p.rest_pose
    alone = p.render(row(), rest)
    p.render(row(jaw_open=1, lid_left=1), about_neck(np.array([0.1, 0.4, 0.1]), rest))
    p.render(row(), rest + np.float32([0, 0, 0, 160, 0, 200]))
    np.testing.assert_array_equal(alone, p.render(row(), rest))


def test_light_and_background_are_separate_choices() -> None:
    base = puppet(1, 128).render(row(), puppet(1, 128).rest_pose).astype(int)
    for change in ({"light": 77}, {"background": 77}):
        other = Puppet(1, 128, **change)
        picture = other.render(row(), other.rest_pose).astype(int)
        assert np.abs(picture - base).mean() > 1
        corner = np.abs(picture - base)[:12, :12].mean()
        assert (corner > 3) == ("background" in change)


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.1, 0.35, 0.1), (-0.15, -0.4, -0.1)])
@pytest.mark.parametrize("size", [128, 320])
def test_a_marker_on_a_landmark_is_drawn_where_the_truth_says(angles: tuple[float, ...], size: int) -> None:
    p = puppet(2, size)
    pose = about_neck(np.array(angles), p.rest_pose)
    expression = row(jaw_open=0.3, smile_left=0.5)
    body, painter = p._body, p._painter
    points, _, _ = body.vertices(expression)
    camera, _, _ = painter.place(points, np.asarray(pose, np.float64))
    pixels, _ = project(camera, size)
    before = p.render(expression, pose).astype(int)
    sheet = painter.atlas.reshape(-1, painter.stride, 4)
    # The nose's tip, the nose's bridge, the chin, a cheek: visible at all these angles.
    for landmark in (4, 168, 199, 50 if angles[1] <= 0 else 280):
        true = p.truth(expression, pose).landmarks[landmark, :2]
        np.testing.assert_allclose(pixels[landmark], true, atol=0.05)
        column, line = body.uv[landmark].astype(int)
        spot = slice(line - 4, line + 5), slice(column - 4, column + 5)
        kept = sheet[spot].copy()
        sheet[spot][..., :3] = (0, 8, 0)
        change = np.abs(p.render(expression, pose).astype(int) - before).sum(2).astype(float)
        sheet[spot] = kept
        assert change.max() > 30
        y, x = np.mgrid[:size, :size] + 0.5
        centre = np.array([(change * x).sum(), (change * y).sum()]) / change.sum()
        assert np.linalg.norm(centre - true) < max(0.9, 0.006 * size)


def test_turning_signs() -> None:
    p = puppet(0, 128)

    def nose_against_cheeks(angles: tuple[float, float, float]) -> np.ndarray:
        points = p.truth(row(), about_neck(np.array(angles), p.rest_pose)).landmarks
        return points[4, :2] - (points[234, :2] + points[454, :2]) / 2

    ahead = nose_against_cheeks((0, 0, 0))
    assert nose_against_cheeks((0, 0.3, 0))[0] < ahead[0] - 2  # ry > 0: nose to the picture's left
    assert nose_against_cheeks((0.3, 0, 0))[1] > ahead[1] + 2  # rx > 0: nose down
    roll = p.truth(row(), about_neck(np.array([0, 0, 0.3]), p.rest_pose)).landmarks
    assert roll[263, 1] > roll[33, 1] + 2  # rz > 0: clockwise on the picture


@pytest.mark.real_footage
def test_frame_agrees_with_an_openface_recording(footage: Path) -> None:
    with (footage / "openface" / "webcam_320x240.openface.csv").open() as stream:
        rows = list(csv.reader(stream))
    at = {name.strip(): i for i, name in enumerate(rows[0])}
    data = np.array(rows[1:], float)
    data = data[data[:, at["success"]] == 1]
    seen = np.stack([data[:, [at[f"{axis}_{i}"] for i in range(68)]] for axis in "XYZ"], -1)
    angles = data[:, [at["pose_Rx"], at["pose_Ry"], at["pose_Rz"]]]
    place = data[:, [at["pose_Tx"], at["pose_Ty"], at["pose_Tz"]]]
    # With the right order and signs the head's own points stand still while the head turns.
    still = np.stack([(s - t) @ rotation(a) for s, t, a in zip(seen, place, angles, strict=True)])
    turned = np.stack([(s - t) @ rotation(a).T for s, t, a in zip(seen, place, angles, strict=True)])
    assert still.std(0).mean() < 0.5 * turned.std(0).mean()
    head = still.mean(0)
    mean = puppet(0, 128)._body.neutral
    for theirs, ours in ((30, 4), (8, 152), (36, 33), (45, 263), (48, 61), (54, 291)):
        assert np.linalg.norm(head[theirs] - mean[ours]) < 16


def test_the_mouth_opens_to_a_dark_inside() -> None:
    p = puppet(3, 256)
    points = p.truth(row(jaw_open=0.9), p.rest_pose).landmarks
    x, y = ((points[13, :2] + points[14, :2]) / 2).astype(int)
    closed = p.render(row(), p.rest_pose)[y - 2 : y + 3, x - 2 : x + 3].mean()
    opened = p.render(row(jaw_open=0.9), p.rest_pose)[y - 2 : y + 3, x - 2 : x + 3].mean()
    assert opened < 0.75 * closed
