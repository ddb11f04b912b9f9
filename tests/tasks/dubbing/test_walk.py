"""A template that is too short is continued, and nobody sees how."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.dubbing.walk import Looks, Stretch, settling, speaking, stillness, stretches, turning_points, walk

RATE = 25.0


def looks(frames: int = 200, seed: int = 0, **changes: np.ndarray) -> Looks:
    """A head that nods and sways, and rests for a moment now and then, as people do."""
    t, draw = np.arange(frames) / RATE, np.random.default_rng(seed)
    t = t - np.sin(4 * t + seed) / 4
    waves = [sum(draw.normal() * np.sin(draw.uniform(1, 6) * t + k) for k in range(4)) for _ in range(6)]
    place = np.stack(waves, 1).astype(np.float32)
    made = Looks(
        place[:, :3] * 0.06,
        place[:, 3:] * 6,
        np.full(frames, 0.5, np.float32),
        np.zeros(frames, np.int32),
        np.ones(frames, bool),
    )
    return made._replace(**changes)


def steps(made: Looks, order: np.ndarray) -> np.ndarray:
    place = np.concatenate([made.rotation, made.translation / 100], 1)[order]
    return np.linalg.norm(np.diff(place, axis=0), axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_has_no_jump_larger_than_the_templates_own(seed: int) -> None:
    made = looks(seed=seed)
    order = walk(made, Stretch(0, 200), 1500, RATE)
    assert len(order) == 1500
    assert order.min() >= 0
    assert order.max() < 200
    assert np.abs(np.diff(order)).max() <= 1
    assert steps(made, order).max() <= steps(made, np.arange(200)).max() + 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_it_turns_where_the_head_is_nearly_still(seed: int) -> None:
    made = looks(seed=seed)
    order = walk(made, Stretch(0, 200), 1500, RATE)
    turns = order[1:-1][np.diff(order)[1:] * np.diff(order)[:-1] < 0]
    assert len(turns) >= 5
    own = steps(made, np.arange(200))
    at_turns = np.maximum(own[np.minimum(turns, 198)], own[np.maximum(turns - 1, 0)])
    # Turning back changes the speed by twice what it is.
    assert 2 * at_turns.max() < np.median(own)


def test_a_long_template_is_walked_straight() -> None:
    assert walk(looks(), Stretch(10, 190), 120, RATE).tolist() == list(range(10, 130))


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_tiny_templates_go_on_too(length: int) -> None:
    order = walk(looks(), Stretch(50, 50 + length), 100, RATE)
    assert len(order) == 100
    assert order.min() >= 50
    assert order.max() < 50 + length
    assert np.abs(np.diff(order)).max() <= 1


def test_turning_points_are_in_their_ends() -> None:
    made = looks()
    early, late = turning_points(stillness(made, RATE), Stretch(0, 200), RATE)
    assert early.max() < 50
    assert late.min() >= 150
    assert len(early) <= 3
    assert len(late) <= 3


def test_stretches_end_at_cuts_and_lost_faces() -> None:
    seen, shot = np.ones(200, bool), np.zeros(200, np.int32)
    seen[40:50], shot[120:] = False, 1
    found = stretches(looks(seen=seen, shot=shot), np.ones(200, bool))
    assert [tuple(one) for one in found] == [(0, 40), (50, 120), (120, 200)]


def test_lost_faces_and_side_views_fade_to_the_original() -> None:
    made = looks()
    seen, turned = np.ones(200, bool), made.rotation.copy()
    seen[80:90] = False
    turned[150:160, 1] = np.radians(60)
    made = made._replace(seen=seen, rotation=turned)
    run, share = speaking(made, np.arange(200), RATE, np.radians(45))
    assert (share[80:90] == 0).all()
    assert (share[150:160] == 0).all()
    assert share[20] == share[120] == 1
    assert np.abs(np.diff(share)).max() <= 0.26, "it comes or goes at once"
    assert run[79] != run[80] != run[90]
    assert run[100] == run[199], "a side view is no jump of the picture"


def test_at_a_cut_the_new_mouth_is_there_at_once() -> None:
    shot = np.zeros(200, np.int32)
    shot[100:] = 1
    run, share = speaking(looks(shot=shot), np.arange(200), RATE, np.radians(45))
    assert (share == 1).all()
    assert run[99] != run[100]


def test_a_head_is_where_it_was_filmed_before_the_original_comes_through() -> None:
    """Else two heads would be seen; and it takes its time to get there."""
    share = np.ones(200, np.float32)
    share[100:104], share[104:110], share[110:114] = (0.8, 0.5, 0.2, 0.1), 0, (0.1, 0.2, 0.5, 0.8)
    run = np.zeros(200, np.int32)
    run[104:110], run[110:] = 1, 2
    moves = settling(share, run, 25.0)
    assert (moves[share < 1] == 0).all()
    assert moves[60] == moves[150] == 1
    assert np.abs(np.diff(moves)).max() < 0.1
    # Where only the picture is cut, nothing has to give way.
    cut = np.arange(200) // 100
    assert (settling(np.ones(200, np.float32), cut.astype(np.int32), 25.0) == 1).all()
