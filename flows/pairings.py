"""Method against method, test by test, as a table that sorts.

Private to `flows.evaluation_page`. Takes the evaluation as data, of which any number may be missing.
"""

from __future__ import annotations

import html

from flows.sorting import cell, sorted_table
from flows.verdicts import SURE, Told, signed, too_few, winner

__all__ = ["pairs_table"]

_MANY = 12  # more rows than these scroll by themselves
_UNKNOWN = "\u2013"


def pairs_table(told: Told) -> str:
    """All paired tests, by figure."""
    labels = {one["name"]: one for one in told["figures"]}
    head = [("figure", "ascending"), ("method", "ascending"), ("against", "ascending")]
    head += [("difference", "descending"), ("p", "ascending"), ("better", "ascending")]
    known = [(labels[pair["figure"]], pair) for pair in told["pairs"] if pair["figure"] in labels]
    rows = [_row(told, figure, pair) for figure, pair in known]
    return sorted_table(head, rows, "tall" if len(rows) > _MANY else "", left=(1, 2, 5))


def _row(told: Told, figure: Told, pair: Told) -> list[str]:
    verdict, sure = _verdict(figure, pair)
    gap = f"{signed(pair['difference'])}<small>{signed(pair['low'])} to {signed(pair['high'])}</small>"
    return [
        cell(_named(figure), figure["label"]),
        *(cell(html.escape(pair[side]), pair[side], "left") for side in ("a", "b")),
        cell(gap, "" if pair["difference"] is None else pair["difference"]),
        cell(_chance(pair["p"]), "" if pair["p"] is None else pair["p"]),
        cell(html.escape(verdict or _UNKNOWN), verdict, "left top" if sure else "left"),
    ]


def _verdict(figure: Told, pair: Told) -> tuple[str, bool]:
    """Words, and whether they name a method; none where no test could tell, which is said once, in short."""
    if too_few(pair) or pair["difference"] is None:
        return "", False
    if figure["better"] == "none":
        differ = pair["p"] is not None and pair["p"] < SURE
        return "differ" if differ else "not told apart", False
    better = winner(figure, pair)
    return better or "not told apart", better is not None


def _named(figure: Told) -> str:
    unit = f"<small>{html.escape(figure['unit'])}</small>" if figure["unit"] else ""
    return html.escape(figure["label"]) + unit


def _chance(p: float | None) -> str:
    if p is None:
        return _UNKNOWN
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}"
