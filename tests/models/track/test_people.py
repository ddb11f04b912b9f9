"""Faces in slots become people: whatever slot they are in, over gaps, beside one another."""

from __future__ import annotations

import numpy as np
import pytest

from models.track.people import Sighting, choose, jumps, people, trails

FRAMES = 80


@pytest.fixture
def two() -> Sighting:
    """The one at the left is larger; the one at the right speaks. They swap slots half-way."""
    rng = np.random.default_rng(0)
    centre = np.full((FRAMES, 4, 2), np.nan, np.float32)
    size, gap = np.full((2, FRAMES, 4), np.nan, np.float32)
    for t in range(FRAMES):
        left, right = (0, 1) if t < 40 else (1, 0)
        centre[t, left], size[t, left], gap[t, left] = (100 + t / 8, 100), 60, 0.01
        centre[t, right], size[t, right], gap[t, right] = (300, 110), 45, rng.uniform(0, 0.3)
    return Sighting(centre, size, gap)


def _shapes(found: list) -> np.ndarray:
    return np.zeros((len(found), 30), np.float32)


def test_a_face_keeps_its_person_when_it_changes_its_slot(two: Sighting) -> None:
    found = trails(two, np.zeros(FRAMES, np.int32), 25)
    assert [len(t.frames) for t in found] == [FRAMES, FRAMES]
    x = [np.array([two.centre[f, s, 0] for f, s in zip(t.frames, t.slots, strict=True)]) for t in found]
    assert all(np.ptp(values) < 20 for values in x)
    assert not jumps(two)[1:].any()


def test_two_in_one_frame_are_never_one_person(two: Sighting) -> None:
    found = trails(two, np.zeros(FRAMES, np.int32), 25)
    assert people(found, _shapes(found), 1.6) == 2


def test_choices(two: Sighting) -> None:
    found = trails(two, np.zeros(FRAMES, np.int32), 25)
    count = people(found, _shapes(found), 1.6)
    side = {t.person: "left" if t.slots[0] == 0 else "right" for t in found}
    assert side[choose(found, two, "auto", count)] == "right"
    assert side[choose(found, two, "largest", count)] == "left"
    assert side[choose(found, two, "left", count)] == "left"
    assert side[choose(found, two, "right", count)] == "right"
    assert choose(found, two, "1", count) == 1


def test_without_anyone_speaking_the_largest_is_meant(two: Sighting) -> None:
    still = two._replace(gap=np.where(np.isfinite(two.gap), np.float32(0.02), np.nan))
    found = trails(still, np.zeros(FRAMES, np.int32), 25)
    side = {t.person: t.slots[0] for t in found if people(found, _shapes(found), 1.6)}
    assert side[choose(found, still, "auto", 2)] == 0


def test_a_short_gap_is_one_trail_and_a_cut_begins_another() -> None:
    centre = np.full((FRAMES, 4, 2), np.nan, np.float32)
    centre[:, 0] = 100
    size = np.full((FRAMES, 4), np.nan, np.float32)
    size[:, 0] = 50
    size[30:40, 0] = np.nan
    seen = Sighting(centre, size, size)
    assert len(trails(seen, np.zeros(FRAMES, np.int32), 25)) == 1
    assert len(trails(seen, (np.arange(FRAMES) >= 60).astype(np.int32), 25)) == 2


def test_bones_join_shots_of_one_person_and_part_those_of_two() -> None:
    centre = np.full((90, 4, 2), np.nan, np.float32)
    size = np.full((90, 4), np.nan, np.float32)
    centre[:, 0], size[:, 0] = 100, 50
    shot = np.repeat([0, 1, 2], 30).astype(np.int32)
    found = trails(Sighting(centre, size, size), shot, 25)
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 60)).astype(np.float32) * 2
    shapes = np.stack([one, other, one + 0.3 * rng.standard_normal(60)]).astype(np.float32)
    assert people(found, shapes, 1.6) == 2
    assert [t.person for t in found] == [0, 1, 0]


def test_faces_that_come_go_or_leap_are_jumps(two: Sighting) -> None:
    centre, size = two.centre.copy(), two.size.copy()
    centre[20:, 0] += 40
    size[50:, 1] = np.nan
    centre[50:, 1] = np.nan
    found = jumps(Sighting(centre, size, two.gap))
    assert {20, 50} <= set(np.flatnonzero(found).tolist())
    assert not found[21:40].any()
