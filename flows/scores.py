"""Figures of an evaluation as people read them: drawings with intervals, and tables that sort.

Private to `flows.evaluation_page`. Takes the evaluation as data, of which any number may be missing.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from flows.pages import table
from flows.sorting import cell, sorted_table
from flows.takes import TRUTH
from flows.verdicts import Told, headed, leading, number, scores_of

__all__ = ["cards", "meanings", "published_table", "scores_table"]

_WAYS = {
    "more": "more is better",
    "less": "less is better",
    "near 1": "best near 1",
    "none": "no better or worse",
}


def cards(told: Told, colours: Mapping[str, str]) -> str:
    """A drawing for each figure: means as dots, intervals as bars, on one scale; the truth's own on top."""
    return f'<div class="cards">{"".join(_card(told, one, colours) for one in told["figures"])}</div>'


def _card(told: Told, figure: Told, colours: Mapping[str, str]) -> str:
    scores = scores_of(told, figure)
    if (true := _true(told, figure)).get("mean") is not None:
        scores = {TRUTH: true, **scores}
    found = (one.get(key) for one in scores.values() for key in ("mean", "low", "high"))
    ends = [value for value in found if value is not None]
    if not ends:
        return ""
    marks = [1.0] if figure["better"] == "near 1" else []
    low, high = min(ends + marks), max(ends + marks)
    spare = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - spare, high + spare
    owns = {TRUTH: "var(--ink)", **colours}
    rows = "".join(_row(name, one, owns[name], low, high, marks) for name, one in scores.items())
    small = " · ".join(filter(None, (figure["unit"], _way(figure, scores), _unbounded(scores))))
    return (
        f'<div class="card" title="{html.escape(figure["about"])}"><h3>{html.escape(figure["label"])}'
        f"<small>{html.escape(small)}</small></h3>{rows}"
        f'<div class="ends"><span>{number(low)}</span><span>{number(high)}</span></div></div>'
    )


def _way(figure: Told, scores: Told) -> str:
    return (
        "best near the truth" if figure["better"] == "none" and TRUTH in scores else _WAYS[figure["better"]]
    )


def _unbounded(scores: Told) -> str:
    """Nobody may take a dot for more than it is."""
    return "" if any(one.get("low") is not None for one in scores.values()) else "no intervals"


def _true(told: Told, figure: Told) -> Told:
    """What the person does in the true films, in figures that a film has by itself."""
    found: Told = (told.get("truth") or {}).get("figures", {}).get(figure["name"]) or {}
    return found


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
        (headed(one), "ascending" if one["better"] == "less" else "descending") for one in told["figures"]
    ]
    rows = []
    for name, method in told["methods"].items():
        scores = [(one["name"], method["figures"].get(one["name"]) or {}) for one in told["figures"]]
        cells = [_scored(score, top=name in tops[figure]) for figure, score in scores]
        rows.append([cell(html.escape(name), name), *cells])
    small = (
        '<p class="small">Means, with 95 % intervals by bootstrap over blocks, and how many values. '
        "In bold: the best, and those that no test tells apart from it; nobody where no test could tell.</p>"
    )
    return sorted_table(head, rows, "held") + small


def _scored(score: Told, *, top: bool) -> str:
    mean, small = score.get("mean"), html.escape(_interval(score))
    return cell(f"{number(mean)}<small>{small}</small>", "" if mean is None else mean, "top" if top else "")


def published_table(told: Told) -> str:
    """What papers report, kept apart from what was measured here: their data is other data."""
    head = [(name, "ascending") for name in ("method", "figure", "value", "on", "source")] + [("", "")]
    rows = []
    for one in told["published"]:
        value = _published(one["value"])
        words = [html.escape(str(one[name])) for name in ("data", "source")]
        rows.append(
            [
                cell(html.escape(one["method"]), one["method"]),
                cell(html.escape(one.get("label", one["figure"])), one["figure"], "left"),
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


def _published(value: object) -> str:
    """As it was printed: no digit is added or lost."""
    return html.escape(str(value))
