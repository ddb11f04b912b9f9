"""Who is shown to a network: mouths of every opening, sharp, from the front, and always the same."""

from __future__ import annotations

import numpy as np
import pytest

from models.canvas.referees import chosen


def material(count: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    opening = draw.gamma(1.5, 3.0, count)
    return opening, draw.uniform(0.9, 1.1, count), 0.05 * draw.standard_normal((count, 3))


def test_openings_are_spread_and_in_order() -> None:
    opening, sharp, turn = material()
    rows = chosen(opening, sharp, turn, 5)
    found = opening[rows]
    wide = np.quantile(opening, 0.97) - np.quantile(opening, 0.05)
    assert len(set(rows.tolist())) == 5
    assert (np.diff(found) > 0.12 * wide).all()
    assert found[0] < np.quantile(opening, 0.2)
    assert found[-1] > np.quantile(opening, 0.9)
    assert np.array_equal(rows, chosen(opening, sharp, turn, 5))


def test_blurred_and_turned_rows_are_passed_over() -> None:
    opening, sharp, turn = material()
    first = chosen(opening, sharp, turn, 5)
    sharp[first[:2]] *= 0.1
    turn[first[2:], 1] = 0.8
    assert not set(first.tolist()) & set(chosen(opening, sharp, turn, 5).tolist())


def test_one_alone_is_nearly_shut() -> None:
    opening, sharp, turn = material()
    (row,) = chosen(opening, sharp, turn, 1)
    assert opening[row] < np.median(opening)


def test_rows_without_numbers_are_never_shown() -> None:
    opening, sharp, turn = material(30)
    opening[:10], turn[10:20, 0], sharp[20:25] = np.nan, np.nan, np.nan
    assert chosen(opening, sharp, turn, 5).min() >= 25
    sharp[:] = np.nan
    assert chosen(opening, sharp, turn, 5).min() >= 20
    with pytest.raises(ValueError, match="nobody to be shown"):
        chosen(np.full(4, np.nan), np.ones(4), np.zeros((4, 3)), 2)


def test_few_frames_come_again() -> None:
    rows = chosen([1.0, 5.0], [1.0, 1.0], np.zeros((2, 3)), 5)
    assert sorted(set(rows.tolist())) == [0, 1]
    assert len(rows) == 5
