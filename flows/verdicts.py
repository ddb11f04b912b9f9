"""Who is better in what, as far as tests tell: in short, and for each figure.

Private to `flows.evaluation_page`, `flows.pairings` and `flows.scores`. Takes the evaluation as data, of
which any number may be missing.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = [
    "SURE",
    "Told",
    "headed",
    "in_short",
    "leading",
    "number",
    "scores_of",
    "signed",
    "too_few",
    "winner",
]

SURE = 0.05
MOST_LINES = 3
Told = Mapping[str, Any]
# By two methods: the figures that a test can tell them apart in, each with the better of them, if any is.
_Met = dict[tuple[str, str], list[tuple[Told, str | None]]]
_FLATTERED = (
    "<p><b>Training saw these seconds too.</b> Figures flatter whoever was trained on them: this says how "
    "well a method remembers, and not how well it does on speech that is new to it.</p>"
)


def in_short(told: Told) -> str:
    """For each two methods: in how many figures either is better, and in how many nobody can tell."""
    tested = list(_tested(told))
    met: _Met = {}
    for figure, pair in tested:
        if not too_few(pair):
            met.setdefault((pair["a"], pair["b"]), []).append((figure, winner(told, figure, pair)))
    before = _FLATTERED if told.get("split") == "all" else ""
    if not tested:
        return f"{before}<p>No two methods were tested against each other; see the intervals below.</p>"
    if not met:
        return before + _nothing_told(told)
    lines = _crossed(list(told["methods"]), met) if len(met) > MOST_LINES else _lines(met)
    small = (
        f"Better: p below {SURE} in a paired test over blocks of the same seconds, corrected for the number "
        f"of tests. Figures are not independent of each other.{_left_out(tested)}"
    )
    return f'{before}{lines}<p class="small">{small}</p>'


def _tested(told: Told) -> Iterator[tuple[Told, Told]]:
    """Figures that have a better and a worse, with their tests."""
    figures = {one["name"]: one for one in told["figures"]}
    for pair in told.get("pairs") or ():
        figure = figures.get(pair["figure"])
        if figure is not None and figure["better"] != "none":
            yield figure, pair


def too_few(pair: Told) -> bool:
    """Whether no outcome at all could have been sure: there are too few windows."""
    least = pair.get("least")
    return least is not None and least >= SURE


def _nothing_told(told: Told) -> str:
    return (
        f"<p><b>Nobody can be called better.</b> {told['seconds']:.1f} s are too few for any test to tell "
        "these methods apart, however far apart their figures are. More clips, longer ones, or fewer methods "
        "at once may tell.</p>"
    )


def _left_out(tested: Sequence[tuple[Told, Told]]) -> str:
    names = dict.fromkeys(html.escape(figure["label"]) for figure, pair in tested if too_few(pair))
    few = "The scored seconds are too few for any test to tell in, and are not counted here"
    return f" {few}: {', '.join(names)}." if names else ""


def _lines(met: _Met) -> str:
    rows = "".join(f"<li>{_line(a, b, found)}</li>" for (a, b), found in met.items())
    return f'<ul class="short">{rows}</ul>'


def _line(a: str, b: str, found: Sequence[tuple[Told, str | None]]) -> str:
    def of(who: str | None) -> list[str]:
        return [html.escape(figure["label"]) for figure, better in found if better == who]

    def better(who: str, than: str) -> str:
        names = of(who)
        listed = f" ({', '.join(names)})" if names else ""
        return f"<b>{html.escape(who)}</b> is better than {html.escape(than)} in {len(names)}{listed}"

    same = of(None)
    told = f"{better(a, b)}; {better(b, a)}; of {len(found)} figures {len(same)} cannot be told apart"
    return f"{told} ({', '.join(same)})." if same else f"{told}."


def _crossed(methods: Sequence[str], met: _Met) -> str:
    """The same as a table, where lines would be too many: a row against a column, the best on top."""
    sums = {name: _sum(name, met) for name in methods}
    order = sorted(methods, key=lambda name: sums[name][1] - sums[name][0])
    corner = '<th scope="col">better:worse<br>than</th><th scope="col"><span>in all</span></th>'
    heads = "".join(f'<th scope="col"><span>{html.escape(name)}</span></th>' for name in order)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{_counted(*sums[name])}'
        + "".join("<td></td>" if other == name else _against(name, other, met) for other in order)
        + "</tr>"
        for name in order
    )
    table = f'<table class="crossed"><thead><tr>{corner}{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return (
        f'{_ahead(order, sums)}<div class="scroll" tabindex="0" role="group" aria-label="table">{table}</div>'
    )


def _ahead(order: Sequence[str], sums: Mapping[str, tuple[int, int, int]]) -> str:
    """Who is better most often, if one alone is."""
    (more, less, tests), second = sums[order[0]], sums[order[1]]
    if more - less == second[0] - second[1]:
        return "<p>No method is better more often than all others.</p>"
    told = f"in {more} of its {tests} tests against the others, and worse in {less}"
    return f"<p>Most often better: <b>{html.escape(order[0])}</b>, {told}.</p>"


def _sum(name: str, met: _Met) -> tuple[int, int, int]:
    found = [better for both, figures in met.items() if name in both for _, better in figures]
    more = sum(better == name for better in found)
    return more, sum(better is not None for better in found) - more, len(found)


def _against(name: str, other: str, met: _Met) -> str:
    return _counted(*_sum(name, {both: one for both, one in met.items() if {name, other} == set(both)}))


def _counted(more: int, less: int, tests: int) -> str:
    if not tests:
        return "<td></td>"
    kind = ' class="up"' if more > less else ' class="down"' if less > more else ""
    words = f"better in {more}, worse in {less}, {tests - more - less} not told apart"
    return f'<td{kind} title="{words}"><b>{more}:{less}</b><small>of {tests}</small></td>'


def winner(told: Told, figure: Told, pair: Told) -> str | None:
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
    """The best in a figure, with those that are not told apart from it; nobody where no test can tell."""
    means = {name: one.get("mean") for name, one in scores_of(told, figure).items()}
    known = {name: float(mean) for name, mean in means.items() if mean is not None}
    if figure["better"] == "none" or len(known) < 2:
        return set()
    worth = {"more": lambda v: v, "less": lambda v: -v, "near 1": lambda v: -abs(v - 1)}[figure["better"]]
    best = max(known, key=lambda name: worth(known[name]))
    pairs = [one for one in told.get("pairs") or () if one["figure"] == figure["name"] and not too_few(one)]
    mine = [one for one in pairs if best in (one["a"], one["b"])]
    same = [{one["a"], one["b"]} & set(known) for one in mine if winner(told, figure, one) is None]
    return {best}.union(*same) if mine else set()


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
