"""Who is better than whom, in short: what a page says first.

Private to `flows.evaluation_page`. Takes the evaluation as data, of which any number may be missing.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence

from flows.verdicts import SURE, Told, too_few, winner

__all__ = ["in_short"]

MOST_LINES = 3
# By two methods: the figures that a test can tell them apart in, each with the better of them, if any is.
_Met = dict[tuple[str, str], list[tuple[Told, str | None]]]
_KEY = "3:1 of 9: better in 3 of 9 tests, worse in 1; the others tell nobody apart. "
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
            met.setdefault((pair["a"], pair["b"]), []).append((figure, winner(figure, pair)))
    before = _FLATTERED if told.get("split") == "all" else ""
    if not tested:
        return f"{before}<p>No two methods were tested against each other; see the intervals below.</p>"
    if not met:
        return before + _nothing_told(told)
    many = len(met) > MOST_LINES
    lines = _crossed(list(told["methods"]), met) if many else _lines(met)
    small = _KEY if many else ""
    small += (
        f"Better: p below {SURE} in a paired test over the same seconds, corrected for the number of "
        "pairs. Figures are not independent of each other, and among twenty one may be so by chance."
        f"{_left_out(tested)}"
    )
    return f'{before}{lines}<p class="small">{small}</p>'


def _tested(told: Told) -> Iterator[tuple[Told, Told]]:
    """Figures that have a better and a worse, with their tests."""
    figures = {one["name"]: one for one in told["figures"]}
    for pair in told.get("pairs") or ():
        figure = figures.get(pair["figure"])
        if figure is not None and figure["better"] != "none" and pair["difference"] is not None:
            yield figure, pair


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
