"""What is said of an evaluation: means with bounds, who differs from whom, and where each is worst.

    takes = [Take(figures_of(...), 25.0), Take(figures_of(...), 30.0)]       # one of a method, or several
    summaries(takes)
    pairs({"memface": takes, "nearest": others})                             # others of the same clips

Figures come as frames (`tasks.judging.films`) and leave as what JSON, the ledger and pages hold. No window
reaches over the end of a take. Called by `tasks.judged`.

Shape legend: n frames that were judged, of all takes together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.judging.figures import FIGURES, named, possible
from tasks.judging.intervals import Paired, holm, paired, summary, windows_of
from tasks.judging.nearness import off

__all__ = ["Take", "about", "number", "pairs", "summaries", "worst_frames"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Frames = Mapping[str, F64]
Takes = Sequence[tuple[Frames, float]]

_WORST, _APART_S = 3, 0.5


class Take(NamedTuple):
    """One clip's figures, frame by frame; a plain tuple does as well."""

    frames: Frames
    rate: float


class _Cells(NamedTuple):
    """Where each frame (n,) belongs."""

    windows: I64
    clips: I64


def number(value: float) -> float | None:
    """What cannot be told is null, in JSON and in Parquet."""
    return float(value) if math.isfinite(value) else None


def summaries(takes: Takes) -> dict[str, dict[str, float | int | None]]:
    """Mean, low, high, count by figure, of all takes together; of a figure that only some have, of those."""
    names = dict.fromkeys(name for frames, _ in takes for name in frames)
    return {name: _summary([take for take in takes if name in take[0]], name) for name in names}


def _summary(takes: Takes, name: str) -> dict[str, float | int | None]:
    mean, *bounds, count = summary(_joined(takes, name), *_cells(takes, name))
    low, high = (number(possible(name, bound)) for bound in bounds)
    return {"mean": number(mean), "low": low, "high": high, "count": count}


def _joined(takes: Takes, name: str) -> F64:
    return np.concatenate([frames[name] for frames, _ in takes])


def _cells(takes: Takes, name: str) -> _Cells:
    lengths = [len(frames[name]) for frames, _ in takes]
    windows = [windows_of(length, rate) for length, (_, rate) in zip(lengths, takes, strict=True)]
    return _Cells(np.concatenate(windows), np.repeat(np.arange(len(takes)), lengths))


def about(names: Iterable[str]) -> list[dict[str, str]]:
    """What these figures are called, in the order of all lists."""
    known = set(names)
    return [one._asdict() for one in FIGURES if one.name in known]


def pairs(methods: Mapping[str, Takes]) -> list[dict[str, Any]]:
    """Every two methods by every figure that has a better and a worse; p of a figure's tests together (Holm).

    Each method has the same takes, in the same order. Of figures that should be near 1 the difference is that
    of how far off both are (`tasks.judging.nearness`): below 0 the first is nearer. `least` is the smallest p
    that these windows could give after Holm, had every test found what it can at most: above .05 no film of
    this length tells.
    """
    told: list[dict[str, Any]] = [
        {"figure": one.name, "a": a, "b": b, **found._asdict()}
        for one in FIGURES
        for (a, own), (b, other) in itertools.combinations(methods.items(), 2)
        if (found := _compared(own, other, one.name)) is not None
    ]
    for _, tests in itertools.groupby(told, lambda one: one["figure"]):
        own = list(tests)
        for name in ("p", "least"):
            for one, raised in zip(own, holm([one[name] for one in own]), strict=True):
                one[name] = raised
    return [{name: number(v) if isinstance(v, float) else v for name, v in one.items()} for one in told]


def _compared(own: Takes, other: Takes, name: str) -> Paired | None:
    """By the takes of which both have the figure, if there is a better and a worse."""
    both = [(a, b) for a, b in zip(own, other, strict=True) if name in a[0] and name in b[0]]
    if not both or named(name).better == "none":
        return None
    a, b = ([_worth(name, *pair[k]) for pair in both] for k in (0, 1))
    return paired(_joined(a, name), _joined(b, name), *_cells(a, name))


def _worth(name: str, frames: Frames, rate: float) -> Take:
    """One figure, as more or less of it is better."""
    values = frames[name]
    return Take({name: off(name, values) if named(name).better == "near 1" else values}, rate)


def worst_frames(values: F64, rate: float, count: int = _WORST) -> Sequence[int]:
    """The frames of the largest values, not beside each other."""
    left = np.nan_to_num(values, nan=-np.inf)
    found: list[int] = []
    while len(found) < count and np.isfinite(left.max(initial=-np.inf)):
        at = int(left.argmax())
        found.append(at)
        near = round(_APART_S * rate)
        left[max(at - near, 0) : at + near + 1] = -np.inf
    return found
