"""The puppet's face: what must hold for every expression and every person."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from models.puppet import ACTION_UNITS, CONTROLS, INDEX, MOUTH, Puppet, about_neck
from models.puppet.camera import project, rotation
from models.puppet.deformers import Deformer
from models.puppet.figure import EYES, LIP_RINGS, RIM, figure
from models.puppet.identity import traits, warp


def row(**values: float) -> np.ndarray:
    out = np.zeros(len(CONTROLS), np.float32)
    for name, value in values.items():
        out[INDEX[name]] = value
    return out


def random_row(rng: np.random.Generator) -> np.ndarray:
    out = rng.random(len(CONTROLS)).astype(np.float32) * (rng.random(len(CONTROLS)) < 0.5)
    out[INDEX["gaze_x"] :] = rng.uniform(-1, 1, 2)
    return out.astype(np.float32)


@lru_cache(maxsize=3)
def puppet(seed: int, size: int = 128) -> Puppet:
    return Puppet(seed, size)


@pytest.mark.parametrize("seed", range(8))
def test_lips_never_cross(seed: int) -> None:
    face = Deformer(warp(figure().mean, traits(seed)))
    rng = np.random.default_rng(seed)
    for _ in range(60):
        expression = random_row(rng)
        points = face(expression)
        # Untilt what the jaw and the smile may tilt: compare along the lips' own up and down.
        gap = points[LIP_RINGS[3, 1], 1] - points[LIP_RINGS[3, 0], 1]
        assert gap.min() > -0.35, expression


@pytest.mark.parametrize("jaw", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("seed", [0, 3])
def test_sealed_lips_are_sealed(seed: int, jaw: float) -> None:
    face = Deformer(warp(figure().mean, traits(seed)))
    points = face(row(jaw_open=jaw, lips_close=1))
    gap = np.linalg.norm(points[LIP_RINGS[3, 1]] - points[LIP_RINGS[3, 0]], axis=1)
    assert gap.max() < 0.25


def test_neutral_lips_are_closed_and_eyes_open() -> None:
    truth = puppet(0).truth(row(), puppet(0).rest_pose)
    assert truth.lip_gap < 0.005
    assert truth.eye_opening > 0.08


@pytest.mark.parametrize("control", ["jaw_open", "upper_raise", "lower_drop", "lips_round", "lips_funnel"])
def test_controls_that_open_the_mouth(control: str) -> None:
    p = puppet(1)
    gaps = [p.truth(row(**{control: v}), p.rest_pose).lip_gap for v in (0, 0.5, 1)]
    assert gaps[0] < gaps[1] < gaps[2]
    assert gaps[2] > 0.03


def test_every_control_moves_something() -> None:
    p = puppet(2)
    still = p.render(row(), p.rest_pose).astype(int)
    for name in CONTROLS:
        # The tongue shows only in an open mouth.
        base = row(jaw_open=0.7) if "tongue" in name else row()
        shown = p.render(base, p.rest_pose).astype(int) if "tongue" in name else still
        moved = base.copy()
        moved[INDEX[name]] = 1
        if name == "lips_close":
            base, moved = row(jaw_open=0.5), row(jaw_open=0.5, lips_close=1)
            shown = p.render(base, p.rest_pose).astype(int)
        assert np.abs(p.render(moved, p.rest_pose).astype(int) - shown).max() > 8, name


@pytest.mark.parametrize(("control", "side"), [("lid_right", 0), ("lid_left", 1)])
def test_lids_shut_the_eye_on_their_own_side(control: str, side: int) -> None:
    p = puppet(0)
    points = p.truth(row(**{control: 1}), p.rest_pose).landmarks
    opening = [np.linalg.norm(points[e.upper[4], :2] - points[e.lower[4], :2]) for e in EYES]
    assert opening[side] < 0.1 * opening[1 - side]
    assert points[EYES[0].upper[4], 0] < points[EYES[1].upper[4], 0]


def test_gaze_moves_the_irises_to_the_pictures_right_and_down() -> None:
    p = puppet(0)
    ahead, aside, down = (
        p.truth(r, p.rest_pose).landmarks[[468, 473], :2] for r in (row(), row(gaze_x=0.7), row(gaze_y=0.5))
    )
    assert ((aside - ahead)[:, 0] > 1).all()
    assert ((down - ahead)[:, 1] > 0.5).all()


def test_action_units_follow_the_controls() -> None:
    p = puppet(0)

    def units(r: np.ndarray) -> dict[str, float]:
        return dict(zip(ACTION_UNITS, p.truth(r, p.rest_pose).action_units.tolist(), strict=True))

    assert len(ACTION_UNITS) == 17
    assert all(v == 0 for v in units(row()).values())
    assert units(row(smile_left=1, smile_right=1))["AU12_r"] == 5
    assert units(row(lid_left=1, lid_right=1))["AU45_r"] == 5
    assert units(row(jaw_open=0.5))["AU26_r"] > 2
    assert units(row(jaw_open=0.5, lips_close=1))["AU25_r"] == 0
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = np.array(list(units(random_row(rng)).values()))
        assert values.min() >= 0
        assert values.max() <= 5


def test_people_differ() -> None:
    shapes = np.stack([warp(figure().mean, traits(seed))[:468] for seed in range(8)])
    shapes -= shapes.mean(1, keepdims=True)
    apart = np.linalg.norm(shapes[:, None] - shapes[None], axis=3).mean(2)
    assert apart[~np.eye(8, dtype=bool)].min() > 0.8  # millimetres, mean over the face
    looks = {(t.sex, t.skin, t.hair, t.style) for t in map(traits, range(8))}
    assert len(looks) == 8
    assert {traits(s).sex for s in range(8)} == {"female", "male"}


def test_any_seed_is_somebody() -> None:
    for seed in (8, 19, 123456):
        assert traits(seed) == traits(seed)
        assert traits(seed) != traits(seed + 8)
        assert np.isfinite(Deformer(warp(figure().mean, traits(seed)))(row(jaw_open=1))).all()


def test_truth_is_in_head_and_picture_coordinates() -> None:
    p = puppet(0)
    pose = about_neck(np.array([0.1, -0.2, 0.05]), p.rest_pose)
    truth = p.truth(row(jaw_open=0.5), pose)
    assert truth.landmarks.shape == (478, 3)
    assert truth.mouth.shape == (len(MOUTH), 3)
    seen = truth.mouth @ rotation(pose[:3]).T + pose[3:]
    pixels, _ = project(seen.astype(np.float32), p.size)
    np.testing.assert_allclose(pixels, truth.landmarks[MOUTH, :2], atol=1e-2)
    assert len(set(MOUTH.tolist())) == len(MOUTH) == 80


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        Puppet(0, 16)
    with pytest.raises(ValueError, match="controls"):
        puppet(0).render(np.zeros(5, np.float32), puppet(0).rest_pose)


def test_the_rim_and_mirror_are_consistent() -> None:
    mean, mirror, _ = figure()
    np.testing.assert_allclose(mean[mirror] * [-1, 1, 1], mean, atol=1e-4)
    assert set(mirror[RIM].tolist()) == set(RIM.tolist())
