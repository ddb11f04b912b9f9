"""Strengths from preferences: against answers that are known, and another way to find them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from tasks.study import FURTHEST, Answer, Study, scores, strengths


def answers(won: int, lost: int, tied: int = 0, names: tuple[str, str] = ("a", "b")) -> list[Answer]:
    results = [1.0] * won + [0.0] * lost + [0.5] * tied
    return [Answer(f"rater {n % 5}", f"item {n % 7}", *names, one) for n, one in enumerate(results)]


def test_of_two_the_odds_are_the_shares() -> None:
    told = scores(Study(("a", "b"), tuple(answers(30, 10))))
    assert [one.system for one in told.systems] == ["a", "b"]
    assert told.systems[0].strength == pytest.approx(0.5 * np.log(3), abs=1e-9)
    assert told.systems[1].strength == pytest.approx(-0.5 * np.log(3), abs=1e-9)
    assert told.pairs[0].chance == pytest.approx(0.75)
    assert told.pairs[0].low < 0.75 < told.pairs[0].high
    assert (told.answers, told.raters, told.items) == (40, 5, 7)


def test_a_tie_is_half_a_win_for_both() -> None:
    tied = scores(Study(("a", "b"), tuple(answers(20, 0, 20)))).pairs[0]
    assert tied.chance == pytest.approx(0.75)
    assert (tied.wins, tied.losses, tied.ties) == (20, 0, 20)
    even = scores(Study(("a", "b"), tuple(answers(0, 0, 9))))
    assert [one.strength for one in even.systems] == [0.0, 0.0]


def test_who_was_shown_first_does_not_count() -> None:
    there = answers(30, 10)
    turned = [Answer(one.rater, one.item, one.second, one.first, 1 - one.won) for one in there]
    assert scores(Study(("a", "b"), tuple(there))) == scores(Study(("a", "b"), tuple(turned)))


def test_three_as_another_optimiser_finds_them() -> None:
    wins = np.array([[0, 11.5, 17], [6.5, 0, 9], [3, 8, 0]])

    def unlikely(strength: np.ndarray) -> float:
        return sum(
            wins[a, b] * np.log1p(np.exp(strength[b] - strength[a]))
            for a, b in itertools.permutations(range(3), 2)
        )

    other = minimize(unlikely, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x
    assert strengths(wins) == pytest.approx(other - other.mean(), abs=1e-5)


def test_known_strengths_come_back_from_many_answers() -> None:
    rng, true = np.random.default_rng(3), np.array([1.2, 0.2, -0.4, -1.0])
    names = ("best", "good", "fair", "poor")
    told = []
    for rater, item, (a, b) in itertools.product(range(12), range(20), itertools.combinations(range(4), 2)):
        won = float(rng.random() < 1 / (1 + np.exp(true[b] - true[a])))
        told.append(Answer(str(rater), str(item), names[a], names[b], won))
    found = scores(Study(names, tuple(told)), draws=400)
    assert tuple(one.system for one in found.systems) == names
    assert [one.strength for one in found.systems] == pytest.approx(true.tolist(), abs=0.2)
    assert all(one.low < value < one.high for one, value in zip(found.systems, true, strict=True))
    assert all(one.high - one.low < 0.8 for one in found.systems)


def test_intervals_cover_what_is_true_about_as_often_as_they_say() -> None:
    """A hundred studies of six raters and eight items; drawing both anew errs on the careful side."""
    rng, inside = np.random.default_rng(5), 0
    for _ in range(100):
        told = [
            Answer(str(rater), str(item), "a", "b", float(rng.random() < 0.7))
            for rater, item in itertools.product(range(6), range(8))
        ]
        pair = next(iter(scores(Study(("a", "b"), tuple(told)), draws=200).pairs))
        low, high = (pair.low, pair.high) if pair.a == "a" else (1 - pair.high, 1 - pair.low)
        inside += low <= 0.7 <= high
    assert inside >= 90


def test_raters_who_contradict_each_other_make_wide_intervals() -> None:
    """The same shares: once everybody is of two minds, once half of the people are of one each."""
    items, raters = range(10), range(10)
    alike = [Answer(str(r), str(i), "a", "b", float((r + i) % 2)) for r in raters for i in items]
    split = [Answer(str(r), str(i), "a", "b", float(r % 2)) for r in raters for i in items]
    narrow, wide = (scores(Study(("a", "b"), tuple(told))).pairs[0] for told in (alike, split))
    assert narrow.chance == wide.chance == pytest.approx(0.5)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_who_never_loses_has_an_open_end() -> None:
    told = scores(Study(("a", "b", "c"), tuple(answers(9, 0) + answers(5, 4, names=("b", "c")))))
    assert told.systems[0].system == "a"
    assert told.systems[0].high is None
    assert np.isfinite([one.strength for one in told.systems]).all()
    assert told.systems[0].strength > 0.5 * FURTHEST
    assert told.pairs[0].chance > 0.99


def test_the_same_seed_gives_the_same_intervals() -> None:
    study = Study(("a", "b"), tuple(answers(12, 9, 4)))
    assert scores(study, seed=4) == scores(study, seed=4)
    assert scores(study, seed=4).pairs != scores(study, seed=5).pairs


def test_one_rater_and_one_item_are_drawn_answer_by_answer() -> None:
    told = tuple(Answer("r", "i", "a", "b", float(n % 4 > 0)) for n in range(40))
    pair = scores(Study(("a", "b"), told)).pairs[0]
    assert pair.chance == pytest.approx(0.75)
    # The binomial's own: sqrt(.75 * .25 / 40) = .068.
    assert pair.high - pair.low == pytest.approx(4 * 0.068, rel=0.15)
