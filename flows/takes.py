"""The takes of an evaluation as parts of its page: films with their curves, and the worst moments.

Private to `flows.evaluation_page`. Takes the evaluation as data, of which any number may be missing; of
files only those are linked that are there.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flows.pages import Curve
from flows.players import Film, drawn, players

__all__ = ["TRUTH", "heading", "said_in", "watched", "worst_of"]

Told = Mapping[str, Any]

TRUTH = "the truth"
_INK = "var(--ink)"
_LIPS = "how far lips are open, the eyes' distance being 1"


def heading(take: Told) -> str:
    """The clip, its length and why these seconds; of a driven one the sound first."""
    over = f"{take['clip']}, {take['seconds']:.1f} s"
    title = f"{take['sound']} over {over}" if take.get("sound") else over
    return f'<h3>{html.escape(title)}</h3><p class="why">{html.escape(take["why"])}</p>'


def said_in(take: Told) -> str:
    """What is said in it, for a sentence."""
    return str(take.get("sound") or "the clip's own sound")


def watched(take: Told, there: Collection[str], colours: Mapping[str, str], *, first: bool) -> str:
    """The films as one, and the curves below them; the first take of a page tells which keys there are."""
    truth = take.get("truth") or {}
    named = [(TRUTH, truth.get("film"), _INK)] if take.get("truth") else []
    named += [(name, one.get("film"), colours[name]) for name, one in take["methods"].items()]
    films = [Film(name, film, colour) for name, film, colour in named if film in there]
    missing = ", ".join(name for name, film, _ in named if film not in there)
    start, stop = take["frames"]
    parts = [players(films, float(take["rate"]), max(1, stop - start), first=first)] if films else []
    if missing:
        parts.append(f"<p>No film was kept of: {html.escape(missing)}.</p>")
    if films:
        parts.append(_lips(take, colours))
    return "".join(parts)


def _lips(take: Told, colours: Mapping[str, str]) -> str:
    known = take.get("curves") or {}
    rate = float(known.get("rate") or take["rate"])
    named = [("truth", TRUTH, _INK), *((name, name, colours[name]) for name in take["methods"])]
    lines = [Curve(words, known[key], rate, colour=colour) for key, words, colour in named if known.get(key)]
    if not any(value is not None for line in lines for value in line.values):
        return ""
    area = Curve("loudness", _above_floor(known.get("loudness") or []), rate, filled=True)
    return drawn(lines, area, _LIPS)


def _above_floor(values: Sequence[float | None]) -> list[float | None]:
    """Decibels count from silence on: an area is drawn from zero up."""
    low = min((value for value in values if value is not None), default=0.0)
    return [None if value is None else value - min(low, 0.0) for value in values]


def worst_of(take: Told, figures: Sequence[Told], there: Collection[str]) -> str:
    """The frames of each method with the worst values, as pictures that lead to their moments."""
    labels = {one["name"]: one for one in figures}
    cells = "".join(_case(one, labels, take) for one in take.get("worst") or () if one["picture"] in there)
    left = ": on the left the truth" if take.get("truth") else ""
    note = f"<p>The frames of each method with the worst values{left}. A picture leads to its moment.</p>"
    return f'{note}<div class="worst">{cells}</div>' if cells else ""


def _case(one: Told, labels: Mapping[str, Told], take: Told) -> str:
    figure = labels.get(one["figure"], {"label": one["figure"], "unit": ""})
    told = html.escape(f"{figure['label']} {one['value']:.3g} {figure['unit']}".strip())
    name, frame = html.escape(one["method"]), int(one["frame"])
    picture, at = html.escape(one["picture"]), f"{frame / float(take['rate']):.2f} s"
    return (
        f'<button type="button" data-frame="{frame}" data-take="{html.escape(str(take["name"]))}">'
        f'<img src="{picture}" loading="lazy" alt="{name} at {at}">'
        f"<b>{name}</b><span>{told}</span><span>at {at}, frame {frame}</span></button>"
    )
