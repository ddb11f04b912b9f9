"""What is said of an evaluation: means with bounds, who differs from whom, and where each is worst.

Figures come as frames (`tasks.judging.films`) and leave as what JSON, the ledger and pages hold. Called by
`tasks.evaluating`.

Shape legend: n frames that were judged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.judging.figures import FIGURES, named
from tasks.judging.intervals import holm, paired, summary, windows_of

__all__ = ["about", "number", "pairs", "summaries", "worst_frames"]

F64 = NDArray[np.float64]
Frames = Mapping[str, F64]

_WORST, _APART_S = 3, 0.5


def number(value: float) -> float | None:
    """What cannot be told is null, in JSON and in Parquet."""
    return float(value) if math.isfinite(value) else None


def summaries(frames: Frames, rate: float) -> dict[str, dict[str, float | int | None]]:
    """Mean, low, high, count by figure."""
    return {name: _summary(values, rate) for name, values in frames.items()}


def _summary(values: F64, rate: float) -> dict[str, float | int | None]:
    mean, low, high, count = summary(values, windows_of(len(values), rate))
    return {"mean": number(mean), "low": number(low), "high": number(high), "count": count}


def about(names: Iterable[str]) -> list[dict[str, str]]:
    """What these figures are called, in the order of all lists."""
    known = set(names)
    return [one._asdict() for one in FIGURES if one.name in known]


def pairs(methods: Mapping[str, Frames], rate: float) -> list[dict[str, Any]]:
    """Every two methods by every figure that has a better and a worse; p of all tests together (Holm)."""
    told: list[dict[str, Any]] = []
    for (a, own), (b, other) in itertools.combinations(methods.items(), 2):
        for name in own.keys() & other.keys():
            if named(name).better in ("more", "less"):
                found = paired(own[name], other[name], windows_of(len(own[name]), rate))
                told.append({"figure": name, "a": a, "b": b, **found._asdict()})
    order = [one.name for one in FIGURES]
    told.sort(key=lambda one: order.index(one["figure"]))
    for one, p in zip(told, holm([one["p"] for one in told]), strict=True):
        one["p"] = p
    return [{name: number(v) if isinstance(v, float) else v for name, v in one.items()} for one in told]


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
