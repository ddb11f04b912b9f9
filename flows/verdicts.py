"""Who is better in what, as far as tests tell: in short, test by test, and for each figure.

Private to `flows.evaluation_page` and `flows.scores`. Takes the evaluation as data, of which any number may
be missing.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from flows.sorting import cell, sorted_table

__all__ = ["Told", "headed", "in_short", "leading", "number", "pairs_table", "scores_of", "signed"]

SURE = 0.05
MOST_LINES = 3
Told = Mapping[str, Any]
# By two methods: the figures that they were tested in, each with the better of them, if any is.
_Met = dict[tuple[str, str], list[tuple[Told, str | None]]]


def in_short(told: Told) -> str:
    """For each two methods: in how many figures either is better, and in how many nobody can tell."""
    figures = {one["name"]: one for one in told["figures"]}
    met: _Met = {}
    for pair in told.get("pairs") or ():
        figure = figures.get(pair["figure"])
        if figure is not None and figure["better"] != "none":
            met.setdefault((pair["a"], pair["b"]), []).append((figure, _winner(told, figure, pair)))
    if not met:
        return "<p>No two methods were tested against each other; see the intervals below.</p>"
    small = (
        f'<p class="small">Better: p below {SURE} in a paired test over blocks of the same seconds, '
        "corrected for the number of tests.</p>"
    )
    if len(met) > MOST_LINES:
        return _crossed(list(told["methods"]), met) + small
    rows = "".join(f"<li>{_line(a, b, found)}</li>" for (a, b), found in met.items())
    return f'<ul class="short">{rows}</ul>{small}'


def _crossed(methods: Sequence[str], met: _Met) -> str:
    """The same as a table, where lines would be too many: a row against a column."""
    head = [("", ""), *((f"against {name}", "descending") for name in methods)]
    rows = []
    for name in methods:
        cells = [cell("", "") if other == name else _against(name, other, met) for other in methods]
        rows.append([cell(html.escape(name), name), *cells])
    return sorted_table(head, rows, "held", left=range(1, len(head)))


def _against(name: str, other: str, met: _Met) -> str:
    found = met.get((name, other)) or met.get((other, name)) or []
    better, worse, same = (sum(winner == who for _, winner in found) for who in (name, other, None))
    words = f"better in {better}, worse in {worse}<small>{same} not told apart</small>" if found else ""
    return cell(words, better - worse if found else "", "left")


def _line(a: str, b: str, found: Sequence[tuple[Told, str | None]]) -> str:
    def of(who: str | None) -> list[str]:
        return [html.escape(figure["label"]) for figure, winner in found if winner == who]

    def better(who: str, than: str) -> str:
        names = of(who)
        listed = f" ({', '.join(names)})" if names else ""
        return f"<b>{html.escape(who)}</b> is better than {html.escape(than)} in {len(names)}{listed}"

    same = of(None)
    told = f"{better(a, b)}; {better(b, a)}; of {len(found)} figures {len(same)} cannot be told apart"
    return f"{told} ({', '.join(same)})." if same else f"{told}."


def _winner(told: Told, figure: Told, pair: Told) -> str | None:
    """Who is better in this figure, if that is sure."""
    if pair["p"] is None or pair["p"] >= SURE or pair["difference"] is None:
        return None
    if figure["better"] == "near 1":
        off = {name: _off(told, name, figure["name"]) for name in (pair["a"], pair["b"])}
        return min(off, key=lambda name: off[name])
    ahead = (pair["difference"] > 0) == (figure["better"] == "more")
    return str(pair["a"] if ahead else pair["b"])


def _off(told: Told, method: str, figure: str) -> float:
    mean = (told["methods"][method]["figures"].get(figure) or {}).get("mean")
    return math.inf if mean is None else abs(mean - 1)


def leading(told: Told, figure: Told) -> set[str]:
    """The best method in a figure, with those that are not told apart from it by a test."""
    means = {name: one.get("mean") for name, one in scores_of(told, figure).items()}
    known = {name: float(mean) for name, mean in means.items() if mean is not None}
    if figure["better"] == "none" or len(known) < 2:
        return set()
    worth = {"more": lambda v: v, "less": lambda v: -v, "near 1": lambda v: -abs(v - 1)}[figure["better"]]
    best = max(known, key=lambda name: worth(known[name]))
    tied = set()
    for pair in told.get("pairs") or ():
        both = {pair["a"], pair["b"]}
        if pair["figure"] == figure["name"] and best in both and _winner(told, figure, pair) is None:
            tied |= both & set(known)
    return {best} | tied


def pairs_table(told: Told) -> str:
    """All paired tests, the surest first as they sort."""
    labels = {one["name"]: one for one in told["figures"]}
    head = [("figure", "ascending"), ("method", "ascending"), ("against", "ascending")]
    head += [("difference", "descending"), ("p", "ascending"), ("better", "ascending")]
    rows = []
    for pair in told["pairs"]:
        figure = labels.get(pair["figure"])
        if figure is None:
            continue
        winner = None if figure["better"] == "none" else _winner(told, figure, pair)
        unsure = "differ" if figure["better"] == "none" and (pair["p"] or 1) < SURE else "not told apart"
        gap = f"{signed(pair['difference'])}<small>{signed(pair['low'])} to {signed(pair['high'])}</small>"
        sides = [cell(html.escape(pair[side]), pair[side], "left") for side in ("a", "b")]
        verdict = html.escape(winner or unsure)
        rows.append(
            [
                cell(_named(figure), figure["label"]),
                *sides,
                cell(gap, "" if pair["difference"] is None else pair["difference"]),
                cell(_chance(pair["p"]), "" if pair["p"] is None else pair["p"]),
                cell(verdict, verdict, "left top" if winner else "left"),
            ]
        )
    return sorted_table(head, rows, "tall" if len(rows) > 12 else "", left=(1, 2, 5))


def _named(figure: Told) -> str:
    unit = f"<small>{html.escape(figure['unit'])}</small>" if figure["unit"] else ""
    return html.escape(figure["label"]) + unit


def _chance(p: float | None) -> str:
    if p is None:
        return "\u2013"
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


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
