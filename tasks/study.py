"""What people prefer, as strengths: answers to "which of these two?" scored by Bradley and Terry's model.

    study = Study(("nearest", "memface"), (Answer("ann", "clip 1", "memface", "nearest", 1.0), ...))
    told = scores(study)

In the model, A is preferred to B with the odds exp(a - b). Strengths a, b are those of the greatest
likelihood, and sum to zero; a tie counts as half a win for both (Bradley & Terry 1952). Intervals are by
bootstrap: raters and items are both drawn anew (Owen 2007), since the answers of one rater, or to one item,
are not independent. Called by `flows.study`. Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FURTHEST", "Answer", "Pair", "Scores", "Strength", "Study", "scores", "strengths"]

F64 = NDArray[np.float64]
# Who never lost has no finite strength: it is told as this, and its interval as open.
FURTHEST = 10.0
_ROUNDS, _STEP = 80, 1.0


class Answer(NamedTuple):
    """One choice. `won`: 1 where the first was preferred, 0 where the second was, .5 for neither."""

    rater: str
    item: str
    first: str
    second: str
    won: float


@dataclass(frozen=True)
class Study:
    """Who was compared, and what people said."""

    systems: tuple[str, ...]
    answers: tuple[Answer, ...]


class Strength(NamedTuple):
    """A system's log odds against the mean of all. An end of the interval is None where it is open."""

    system: str
    strength: float
    low: float | None
    high: float | None
    wins: int
    losses: int
    ties: int


class Pair(NamedTuple):
    """How often `a` would be preferred to `b`, by the model; and how often it was."""

    a: str
    b: str
    chance: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int


class Scores(NamedTuple):
    """Systems, the strongest first, and all pairs of them in that order."""

    systems: tuple[Strength, ...]
    pairs: tuple[Pair, ...]
    answers: int
    raters: int
    items: int
    level: float


def strengths(wins: F64) -> F64:
    """(..., n, n) wins of the row over the column -> (..., n) strengths, by Newton's method.

    The likelihood is concave. Where it has no greatest value, strengths end at FURTHEST.
    """
    games = wins + np.swapaxes(wins, -1, -2)
    count = wins.shape[-1]
    told = np.zeros(wins.shape[:-1])
    # Strengths are told up to a constant: without the second term nothing would hold it.
    held = np.full((count, count), 1.0 / count) + 1e-9 * np.eye(count)
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(told[..., None, :] - told[..., :, None]))
        slope = (wins - games * chance).sum(-1)
        bend = games * chance * (1 - chance)
        curved = np.einsum("...ij,jk->...jk", bend, np.eye(count)) - bend + held
        step = np.linalg.solve(curved, slope[..., None])[..., 0]
        told = np.clip(told + np.clip(step, -_STEP, _STEP), -FURTHEST, FURTHEST)
    centred: F64 = told - told.mean(-1, keepdims=True)
    return centred


def scores(study: Study, draws: int = 2000, seed: int = 0, level: float = 0.95) -> Scores:
    """Strengths and pairs with their intervals, the same for the same seed."""
    tallied = _Tally(study)
    told = strengths(tallied.wins(np.ones(len(study.answers))))
    drawn = strengths(tallied.wins(_redrawn(study.answers, draws, seed)))
    ends = (50 * (1 - level), 50 * (1 + level))
    order = [int(at) for at in np.argsort(-told, kind="stable")]
    return Scores(
        tuple(_strength(study, at, told, drawn, ends) for at in order),
        tuple(_pair(study, a, b, told, drawn, ends) for n, a in enumerate(order) for b in order[n + 1 :]),
        len(study.answers),
        len({one.rater for one in study.answers}),
        len({one.item for one in study.answers}),
        level,
    )


class _Tally:
    """Sums answers into wins, whatever each counts."""

    def __init__(self, study: Study) -> None:
        at = {name: number for number, name in enumerate(study.systems)}
        self.count = len(at)
        # (answers, n * n): what each answer adds to whose wins over whom.
        self.adds = np.zeros((len(study.answers), self.count**2))
        for number, one in enumerate(study.answers):
            first, second = at[one.first], at[one.second]
            self.adds[number, first * self.count + second] = one.won
            self.adds[number, second * self.count + first] = 1 - one.won

    def wins(self, weights: F64) -> F64:
        """(..., answers) -> (..., n, n)."""
        told: F64 = weights @ self.adds
        return told.reshape(*weights.shape[:-1], self.count, self.count)


def _redrawn(answers: Sequence[Answer], draws: int, seed: int) -> F64:
    """(draws, answers) how often each answer counts: its rater's draws times its item's."""
    rng = np.random.default_rng(seed)
    weights = np.ones((draws, len(answers)))
    alone = True
    for names in ([one.rater for one in answers], [one.item for one in answers]):
        known, which = np.unique(names, return_inverse=True)
        if len(known) > 1:
            counts = rng.multinomial(len(known), np.full(len(known), 1 / len(known)), draws)
            weights *= counts[:, which]
            alone = False
    if alone:  # one rater and one item: there is nothing else to draw from
        weights = rng.multinomial(len(answers), np.full(len(answers), 1 / len(answers)), draws).astype(float)
    return weights


def _strength(study: Study, at: int, told: F64, drawn: F64, ends: tuple[float, float]) -> Strength:
    name = study.systems[at]
    low, high = np.percentile(drawn[:, at], ends)
    # Where a draw has no greatest likelihood, somebody in it stands at the end of the scale.
    edge = 0.5 * FURTHEST
    return Strength(
        name,
        float(told[at]),
        None if low <= -edge else float(low),
        None if high >= edge else float(high),
        *_counted(study.answers, name, None),
    )


def _pair(study: Study, a: int, b: int, told: F64, drawn: F64, ends: tuple[float, float]) -> Pair:
    one, other = study.systems[a], study.systems[b]
    chance = 1 / (1 + np.exp(told[b] - told[a]))
    low, high = np.percentile(1 / (1 + np.exp(drawn[:, b] - drawn[:, a])), ends)
    return Pair(one, other, float(chance), float(low), float(high), *_counted(study.answers, one, other))


def _counted(answers: Sequence[Answer], one: str, other: str | None) -> tuple[int, int, int]:
    """Wins, losses and ties of one against the other, or against all."""
    found = [a.won for a in answers if a.first == one and other in (None, a.second)]
    found += [1 - a.won for a in answers if a.second == one and other in (None, a.first)]
    return sum(w == 1 for w in found), sum(w == 0 for w in found), sum(w == 0.5 for w in found)
