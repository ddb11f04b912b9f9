"""Who is better in a figure, as far as tests tell; and how numbers are written.

Private to `flows.evaluation_page` and what makes its parts. Takes the evaluation as data, of which any number
may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["SURE", "Told", "headed", "leading", "number", "scores_of", "signed", "too_few", "winner"]

SURE = 0.05
Told = Mapping[str, Any]


def too_few(pair: Told) -> bool:
    """Whether no outcome at all could have been sure: there are too few windows."""
    least = pair.get("least")
    return least is not None and least >= SURE


def winner(figure: Told, pair: Told) -> str | None:
    """Who is better in this figure, if that is sure."""
    if pair["p"] is None or pair["p"] >= SURE or pair["difference"] is None:
        return None
    # Near 1, the difference is of how far off both are: less is better there, too.
    ahead = (pair["difference"] > 0) == (figure["better"] == "more")
    return str(pair["a"] if ahead else pair["b"])


def leading(told: Told, figure: Told) -> set[str]:
    """The best in a figure, with those that are not told apart from it; nobody where no test can tell."""
    means = {name: one.get("mean") for name, one in scores_of(told, figure).items()}
    known = {name: float(mean) for name, mean in means.items() if mean is not None}
    if figure["better"] == "none" or len(known) < 2:
        return set()
    worth = {"more": lambda v: v, "less": lambda v: -v, "near 1": _near}[figure["better"]]
    pairs = [one for one in told.get("pairs") or () if one["figure"] == figure["name"] and not too_few(one)]
    # Means may say otherwise than tests, which are of frames that both have.
    beaten = {
        name for one in pairs if (won := winner(figure, one)) for name in (one["a"], one["b"]) if name != won
    }
    best = max(known.keys() - beaten or known, key=lambda name: worth(known[name]))
    mine = [one for one in pairs if best in (one["a"], one["b"])]
    same = [{one["a"], one["b"]} & set(known) for one in mine if winner(figure, one) is None]
    return {best}.union(*same) if mine else set()


def _near(value: float) -> float:
    """Half as much is as far off as twice as much."""
    return -abs(math.log(value)) if value > 0 else -math.inf


def scores_of(told: Told, figure: Told) -> dict[str, Told]:
    """What each method has in a figure; empty where it has nothing."""
    return {name: one["figures"].get(figure["name"]) or {} for name, one in told["methods"].items()}


def headed(figure: Told) -> str:
    return figure["label"] + (f", {figure['unit']}" if figure["unit"] else "")


def number(value: float | None) -> str:
    """Three digits or so: no figure here is known better."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}".replace("-", "\u2212")


def signed(value: float | None) -> str:
    """A difference: with its sign."""
    return number(value) if value is None or value <= 0 else f"+{number(value)}"
