"""Films of the same seconds that play as one, and the curves that go with them, as parts of a page.

    <div class="take" data-name="1">{players(films, 25, 100)}{drawn(lines, area, unit)}</div>

One slider moves all of them; one is heard. A page may have any number of such blocks, each in a "take" of its
own: one plays at a time. Called by pages that hold films against each other; the page has to use "players
blocks curves" of `flows/web`. Without a script each film still plays, by its own buttons.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from flows.pages import Curve, curves, data

__all__ = ["Film", "drawn", "own_colour", "players"]

_ICONS = {
    "start": "M5 5h2.5v14H5zM19 5v14l-10-7z",
    "back": "M16 5v14l-10-7zM17.5 5H20v14h-2.5z",
    "run": "M7 4.5v15l12-7.5z",
    "pause": "M6.5 5h4v14h-4zM13.5 5h4v14h-4z",
    "on": "M8 5v14l10-7zM4 5h2.5v14H4z",
}
_SPEEDS = ((1, "1&times;"), (0.5, "½&times;"), (0.25, "¼&times;"))
_SPANS = ((2, "2 s"), (5, "5 s"), (15, "15 s"), (0, "all of it"))
_HINT = (
    "<kbd>space</kbd> plays and stops, <kbd>←</kbd> <kbd>→</kbd> move by a frame, with <kbd>shift</kbd> by a "
    "second, <kbd>home</kbd> <kbd>end</kbd> to the ends; <kbd>1</kbd> to <kbd>{last}</kbd> choose who is "
    "heard, <kbd>0</kbd> nobody."
)
_MOST_IN_A_ROW = 5
_COLOURS = 8  # as many as flows/web/players.css has, for light and dark pages


@dataclass(frozen=True)
class Film:
    """A film: its name, its file relative to the page, the colour that it has everywhere on the page."""

    name: str
    address: str
    colour: str


def own_colour(number: int) -> str:
    """The colour of the film of this number, from zero: the first six differ for the colour-blind too."""
    return f"var(--own-{number % _COLOURS + 1})"


def players(films: Sequence[Film], rate: float, frames: int, *, first: bool = True) -> str:
    """The films side by side over one bar of controls; the first film is heard.

    The first block of a page says which keys there are; the others are loaded as they come into view.
    """
    shown = "".join(_film(film, number, "auto" if first else "metadata") for number, film in enumerate(films))
    hint = f'<p class="hint">{_HINT.format(last=len(films))}</p>' if first else ""
    rows = -(-len(films) // _MOST_IN_A_ROW)
    return (
        f'<div class="players" data-rate="{rate:.9g}" data-frames="{frames}">'
        f'<div class="films" style="--columns:{-(-len(films) // rows)};--rows:{rows}">{shown}</div>'
        f"{_bar(frames)}</div>{hint}"
    )


def drawn(lines: Sequence[Curve], area: Curve, unit: str) -> str:
    """Curves of these films: near the moment that they show, and as a whole. All are of one rate."""
    names = "".join(_name(line) for line in lines)
    spans = "".join(
        f'<option value="{value}"{" selected" if value == 5 else ""}>{words}</option>'
        for value, words in _SPANS
    )
    told = {
        "rate": lines[0].rate,
        "lines": [{"name": line.name, "values": _rounded(line.values)} for line in lines],
        "area": _rounded(area.values),
    }
    return (
        f'<div class="lips"><div class="names" role="group" aria-label="curves">{names}'
        f"<label>shown: <select>{spans}</select></label></div>"
        f'<canvas class="near" role="img" aria-label="{html.escape(_about(lines, area))}"></canvas>'
        f'<div class="whole">{curves([area, *lines], unit)}'
        '<div class="seen"></div><div class="cursor"></div></div>'
        f'<p class="hint">Lines: {html.escape(unit)}. Grey: {html.escape(area.name)}. Drag the upper one or '
        f"click into the lower one to move the films.</p>{data(told, 'drawn')}</div>"
    )


def _film(film: Film, number: int, preload: str) -> str:
    name, address = html.escape(film.name), html.escape(quote(film.address))
    return (
        f'<figure class="film" style="--own:{film.colour}">'
        f'<video src="{address}" aria-label="{name}" controls playsinline muted preload="{preload}"></video>'
        f'<button type="button" class="hear" aria-pressed="{"false" if number else "true"}" '
        f'aria-label="hear {name}"><span class="key" style="background:{film.colour}"></span>'
        f'<span class="name">{name}</span><span class="state"></span></button></figure>'
    )


def _bar(frames: int) -> str:
    speeds = "".join(f'<option value="{value}">{words}</option>' for value, words in _SPEEDS)
    play = f"{_icon('run', 'run')}{_icon('pause', 'pause')}"
    return (
        '<div class="bar" role="group" aria-label="all films">'
        f"{_button('start', 'to the start', _icon('start'))}{_button('back', 'a frame back', _icon('back'))}"
        f"{_button('play', 'play', play)}{_button('on', 'a frame on', _icon('on'))}"
        f'<input type="range" min="0" max="{max(frames - 1, 0)}" step="1" value="0" aria-label="moment">'
        f'<output aria-live="off">0:00.00</output><select aria-label="speed">{speeds}</select></div>'
    )


def _button(does: str, words: str, inside: str) -> str:
    return f'<button type="button" data-do="{does}" aria-label="{words}" title="{words}">{inside}</button>'


def _icon(name: str, kind: str = "") -> str:
    path = f'<path d="{_ICONS[name]}"></path>'
    return f'<svg viewBox="0 0 24 24" class="{kind}" aria-hidden="true">{path}</svg>'


def _name(line: Curve) -> str:
    swatch = f'<span class="key" style="background:{line.colour}"></span>'
    inside = f"{swatch}{html.escape(line.name)}<output></output>"
    return f'<button type="button" aria-pressed="true">{inside}</button>'


def _about(lines: Sequence[Curve], area: Curve) -> str:
    return f"{', '.join(line.name for line in lines)} over {area.name}, around the moment that the films show"


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    """Four digits: a page of minutes stays small, and no drawing shows more."""
    return [None if v is None or not math.isfinite(v) else float(f"{v:.4g}") for v in values]
