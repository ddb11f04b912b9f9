"""Figures of an evaluation as people read them: who is better in what, how surely, and tables that sort.

Private to `flows.evaluation_page`. Takes the evaluation as data, of which any number may be missing.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from flows.pages import table
from flows.sorting import cell, sorted_table

__all__ = ["cards", "in_short", "meanings", "pairs_table", "published_table", "scores_table"]

SURE = 0.05
_WAYS = {
    "more": "more is better",
    "less": "less is better",
    "near 1": "best near 1",
    "none": "no better or worse",
}
Told = Mapping[str, Any]


def in_short(told: Told) -> str:
    """A line for each two methods: in how many figures either is better, and in how many nobody can tell."""
    figures = {one["name"]: one for one in told["figures"]}
    met: dict[tuple[str, str], list[tuple[Told, str | None]]] = {}
    for pair in told.get("pairs") or ():
        figure = figures.get(pair["figure"])
        if figure is not None and figure["better"] != "none":
            met.setdefault((pair["a"], pair["b"]), []).append((figure, _winner(told, figure, pair)))
    rows = "".join(f"<li>{_line(a, b, found)}</li>" for (a, b), found in met.items())
    if not rows:
        return (
            "<p>No two methods were tested against each other; the intervals below tell what can be told.</p>"
        )
    small = (
        f'<p class="small">Better: p below {SURE} in a paired test over blocks of the same seconds, '
        "corrected for the number of tests.</p>"
    )
    return f'<ul class="short">{rows}</ul>{small}'


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
    means = {name: one.get("mean") for name, one in _of(told, figure).items()}
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


def _of(told: Told, figure: Told) -> dict[str, Told]:
    """What each method has in a figure; empty where it has nothing."""
    return {name: one["figures"].get(figure["name"]) or {} for name, one in told["methods"].items()}


def cards(told: Told, colours: Mapping[str, str]) -> str:
    """A drawing for each figure: means as dots, intervals as bars, on one scale."""
    return f'<div class="cards">{"".join(_card(told, one, colours) for one in told["figures"])}</div>'


def _card(told: Told, figure: Told, colours: Mapping[str, str]) -> str:
    scores = _of(told, figure)
    found = (one.get(key) for one in scores.values() for key in ("mean", "low", "high"))
    ends = [value for value in found if value is not None]
    if not ends:
        return ""
    marks = [1.0] if figure["better"] == "near 1" else []
    low, high = min(ends + marks), max(ends + marks)
    spare = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - spare, high + spare
    rows = "".join(_row(name, one, colours[name], low, high, marks) for name, one in scores.items())
    small = " · ".join(filter(None, (figure["unit"], _WAYS[figure["better"]])))
    return (
        f'<div class="card" title="{html.escape(figure["about"])}"><h3>{html.escape(figure["label"])}'
        f"<small>{html.escape(small)}</small></h3>{rows}"
        f'<div class="ends"><span>{number(low)}</span><span>{number(high)}</span></div></div>'
    )


def _row(name: str, one: Told, colour: str, low: float, high: float, marks: Sequence[float]) -> str:
    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    drawn = "".join(f'<u style="left:{at(mark):.1f}%"></u>' for mark in marks)
    if one.get("low") is not None and one.get("high") is not None:
        drawn += f'<i style="left:{at(one["low"]):.1f}%;width:{at(one["high"]) - at(one["low"]):.1f}%"></i>'
    if one.get("mean") is not None:
        drawn += f'<b style="left:{at(one["mean"]):.1f}%"></b>'
    who = html.escape(name)
    return (
        f'<div class="one" style="--own:{colour}" title="{html.escape(_interval(one))}">'
        f'<span class="who" title="{who}"><span class="key" style="background:{colour}"></span>{who}</span>'
        f'<span class="rail">{drawn}</span><span class="num">{number(one.get("mean"))}</span></div>'
    )


def scores_table(told: Told) -> str:
    """A row a method, a column a figure; sorts by any. The best are set in bold."""
    tops = {one["name"]: leading(told, one) for one in told["figures"]}
    head = [("method", "ascending")] + [
        (_headed(one), "ascending" if one["better"] == "less" else "descending") for one in told["figures"]
    ]
    rows = []
    for name, method in told["methods"].items():
        scores = [(one["name"], method["figures"].get(one["name"]) or {}) for one in told["figures"]]
        cells = [_scored(score, top=name in tops[figure]) for figure, score in scores]
        rows.append([cell(html.escape(name), name), *cells])
    small = (
        '<p class="small">Means, with 95 % intervals by bootstrap over blocks, and how many values. '
        "In bold: the best, and those that no test tells apart from it.</p>"
    )
    return sorted_table(head, rows, "held") + small


def _headed(figure: Told) -> str:
    return figure["label"] + (f", {figure['unit']}" if figure["unit"] else "")


def _scored(score: Told, *, top: bool) -> str:
    mean, small = score.get("mean"), html.escape(_interval(score))
    return cell(f"{number(mean)}<small>{small}</small>", "" if mean is None else mean, "top" if top else "")


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
                cell(html.escape(_headed(figure)), figure["label"]),
                *sides,
                cell(gap, "" if pair["difference"] is None else pair["difference"]),
                cell(_chance(pair["p"]), "" if pair["p"] is None else pair["p"]),
                cell(verdict, verdict, "left top" if winner else "left"),
            ]
        )
    return sorted_table(head, rows, "tall" if len(rows) > 12 else "", left=(1, 2, 5))


def published_table(told: Told) -> str:
    """What papers report, kept apart from what was measured here: their data is other data."""
    labels = {one["name"]: one for one in told["figures"]}
    head = [(name, "ascending") for name in ("method", "figure", "value", "on", "source")] + [("", "")]
    rows = []
    for one in told["published"]:
        figure = labels.get(one["figure"])
        value = _published(one["value"])
        words = [html.escape(str(one[name])) for name in ("data", "source")]
        rows.append(
            [
                cell(html.escape(one["method"]), one["method"]),
                cell(html.escape(_headed(figure) if figure else one["figure"]), one["figure"], "left"),
                cell(value, one["value"]),
                *(cell(text, text, "left wide") for text in words),
                cell('<span class="tag">not the same data</span>', "", "left"),
            ]
        )
    note = (
        "<p>As their authors report them: <b>not the same data</b>, and not the same crops, detectors or "
        "seconds. They say what to expect of a method, and cannot be held against the figures above.</p>"
    )
    return note + sorted_table(head, rows, left=(1, 3, 4, 5))


def meanings(told: Told) -> str:
    """What each figure is."""
    rows = [[one["label"], one["unit"], _WAYS[one["better"]], one["about"]] for one in told["figures"]]
    inside = table(["figure", "unit", "", "what it is"], rows, words=True)
    return f"<details><summary>What each figure means</summary>{inside}</details>"


def _interval(score: Told) -> str:
    if score.get("low") is None or score.get("high") is None:
        return "no interval"
    return f"{number(score['low'])} to {number(score['high'])}, n = {score.get('count', 0)}"


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


def _published(value: object) -> str:
    """As it was printed: no digit is added or lost."""
    return html.escape(str(value))


def _chance(p: float | None) -> str:
    if p is None:
        return "\u2013"
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}"
