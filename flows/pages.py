"""What pages are made of: a look, curves, tables, pictures. Plain strings of HTML; no network.

Called by flows that write something to look at. Pages that move bring a script of `flows/web` with them,
which lies inside the page, as its style does: a page opens from a disk, alone.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.lineage_page import STYLE

__all__ = [
    "COLOURS",
    "Curve",
    "beside",
    "curves",
    "data",
    "facts",
    "lines",
    "page",
    "picture",
    "section",
    "table",
    "video",
    "web",
]

COLOURS = ("#c22f5d", "#2f7dd1", "#1d9a8a", "#c78a1c", "#8e63c7", "#6f8a1f", "#a8552a", "#4f5fd0")
_STYLE = """
main { max-width: 1080px; margin: 0 auto; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.05rem; margin: 2.2rem 0 .7rem; }
video, img { max-width: 100%; border-radius: 10px; display: block; background: #000; }
figure { margin: 0; flex: 1 1 300px; min-width: 0; }
figcaption { color: var(--soft); margin: .35rem 0 0; font-size: 13px; }
.more { margin-top: .8rem; }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 1.4rem; }
.beside > dl { flex: 1 1 300px; align-content: start; }
.beside video { width: 100%; }
.beside .small { flex: 0 1 320px; }
.wide img { min-width: 760px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, .words th, .words td { text-align: left; vertical-align: top; }
.words td:not(:last-child) { white-space: nowrap; } .words td:last-child { min-width: 17rem; }
th { color: var(--soft); font-weight: 500; }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; }
.curve { display: grid; grid-template: 11rem 1.4rem / auto 1fr; column-gap: .5rem; margin-bottom: 1.4rem; }
.curve svg { width: 100%; height: 100%; grid-column: 2; border-bottom: 1px solid var(--line); }
.curve path { stroke-width: 1.7px; vector-effect: non-scaling-stroke; }
.scale { display: flex; flex-direction: column; justify-content: space-between; text-align: right; }
.scale, .times { color: var(--soft); font-size: 12px; line-height: 1; font-variant-numeric: tabular-nums; }
.times { grid-column: 2; position: relative; padding-top: .4rem; }
.times span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.times span:first-child { transform: none; } .times .last { transform: translateX(-100%); }
.keys { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin-bottom: .6rem; font-size: 14px; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; flex: none; }
a { color: var(--link); } a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 4px; }
nav { font-size: 14px; margin-bottom: 1.2rem; display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
@media (max-width: 640px) { body { margin: 1rem; } }
"""
# Of the drawing that curves are stretched from, and the room for half a line at its edges.
_WIDE, _HIGH, _EDGE = 1000, 160, 2


@dataclass(frozen=True)
class Curve:
    """Values at even times from zero on; None where there is nothing to show."""

    name: str
    values: Sequence[float | None]
    rate: float
    filled: bool = False  # as an area behind the others, on a scale of its own
    colour: str | None = None  # where another than the next of COLOURS is wanted


def page(
    title: str, lead: str, sections: Sequence[str], *, above: Mapping[str, str] | None = None, use: str = ""
) -> str:
    """A whole page; `lead` is plain text, `above` leads back: words and addresses.

    `use` names what it needs of `flows/web`, with spaces between: of each a style, a script, or both.
    """
    style = "".join(web(f"{name}.css") for name in use.split())
    script = "".join(f"<script>{code}</script>" for name in use.split() if (code := web(f"{name}.js")))
    links = "".join(
        f'<a href="{html.escape(address)}">{html.escape(words)}</a>'
        for words, address in (above or {}).items()
    )
    nav = f"<nav>{links}</nav>" if links else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{STYLE}{_STYLE}{style}</style>"
        f"<main>{nav}<h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>{''.join(sections)}</main>"
        f"{script}</html>\n"
    )


@functools.cache
def web(name: str) -> str:
    """A style or script of `flows/web`; nothing where there is none of that name."""
    path = Path(__file__).with_name("web") / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def data(content: object, name: str) -> str:
    """Values for a script of the page; no text in them can end the element that holds them."""
    told = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" class="{name}">{told}</script>'


def section(title: str, *parts: str) -> str:
    """A heading and what stands below it."""
    return f"<section><h2>{html.escape(title)}</h2>{''.join(parts)}</section>"


def video(address: str, caption: str, poster_s: float = 0.5, *, small: bool = False) -> str:
    """A player with its caption; `address` is relative to the page."""
    source, kind = html.escape(f"{address}#t={poster_s:g}"), ' class="small"' if small else ""
    player = f'<video src="{source}" controls playsinline preload="metadata"></video>'
    return f"<figure{kind}>{player}{_caption(caption)}"


def picture(data: bytes, caption: str, kind: str = "jpeg") -> str:
    """A picture inside the page itself; on a narrow page it is scrolled, and not shrunk."""
    inside = base64.b64encode(data).decode()
    told = html.escape(caption)
    image = f'<img alt="{told}" src="data:image/{kind};base64,{inside}">'
    return f'<figure><div class="scroll wide">{image}</div>{_caption(caption)}'


def beside(*parts: str) -> str:
    """Next to each other where there is room."""
    return f'<div class="beside">{"".join(parts)}</div>'


def _caption(text: str) -> str:
    return f"<figcaption>{html.escape(text)}</figcaption></figure>"


def facts(told: Mapping[str, object]) -> str:
    """Names and values."""
    rows = "".join(
        f"<dt>{html.escape(key)}</dt><dd><code>{html.escape(str(value))}</code></dd>"
        for key, value in told.items()
    )
    return f"<dl>{rows}</dl>"


def lines(told: Sequence[str]) -> str:
    """Text as a terminal shows it."""
    return f'<pre class="scroll"><code>{html.escape(chr(10).join(told))}</code></pre>'


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, words: bool = False) -> str:
    """Numbers with three decimals, the rest as it is; `words`: the last column is text that may be long."""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_told(value))}</td>" for value in row) + "</tr>" for row in rows
    )
    kind = ' class="words"' if words else ""
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _told(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def curves(shown: Sequence[Curve], unit: str) -> str:
    """Curves over one another on one clock, with a key; lines share a scale, areas have their own.

    Words and numbers stand outside the picture: it is stretched to the page, and they stay readable.
    """
    seconds = max(len(curve.values) / curve.rate for curve in shown)
    known = [v for curve in shown if not curve.filled for v in curve.values if v is not None]
    low, high = _ends(min(known), max(known)) if known else (0.0, 1.0)
    parts, key = [], []
    for number, curve in enumerate(shown):
        if curve.filled:
            colour = "var(--line)"
            parts.append(f'<path d="{_area(curve, seconds)}" style="fill:{colour};stroke:none;opacity:.55"/>')
        else:
            colour = curve.colour or COLOURS[number % len(COLOURS)]
            paths = _paths(curve, seconds, low, high)
            parts += [f'<path d="{path}" style="stroke:{colour}"/>' for path in paths]
        name = html.escape(curve.name)
        key.append(f'<span><span class="key" style="background:{colour}"></span>{name}</span>')
    names = html.escape(", ".join(curve.name for curve in shown))
    picture = (
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none" role="img" aria-label="{names}">'
        f"{''.join(parts)}</svg>"
    )
    scale = f'<div class="scale"><span>{high:.3g}</span><span>{low:.3g}</span></div>'
    told = f'<p class="keys">{"".join(key)}<span>{html.escape(unit)}</span></p>'
    return f'{told}<div class="curve">{scale}{picture}{_times(seconds)}</div>'


def _ends(low: float, high: float) -> tuple[float, float]:
    """Round numbers around these: two digits, and zero where it is near."""
    low = 0.0 if 0 <= low < 0.25 * high else low
    step = 10.0 ** (math.floor(math.log10(max(high - low, 1e-9))) - 1)
    return math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step


def _across(at: float, seconds: float) -> float:
    return _WIDE * at / max(seconds, 1e-9)


def _up(value: float, low: float, high: float) -> float:
    return _EDGE + (_HIGH - 2 * _EDGE) * (1 - (value - low) / max(high - low, 1e-9))


def _paths(curve: Curve, seconds: float, low: float, high: float) -> list[str]:
    """A path for every stretch without a gap."""
    paths: list[str] = []
    going = False
    for index, value in enumerate(curve.values):
        if value is None:
            going = False
            continue
        place = f"{_across(index / curve.rate, seconds):.1f} {_up(value, low, high):.1f}"
        if going:
            paths[-1] += f"L{place}"
        else:
            paths.append(f"M{place}")
        going = True
    return paths


def _area(curve: Curve, seconds: float) -> str:
    values = [value or 0.0 for value in curve.values]
    top, floor = max(values, default=1.0) or 1.0, _HIGH - _EDGE
    places = [
        f"L{_across(i / curve.rate, seconds):.1f} {floor - (floor - _EDGE) * v / top:.1f}"
        for i, v in enumerate(values)
    ]
    last = _across(len(values) / curve.rate, seconds)
    return f"M0 {floor}{''.join(places)}L{last:.1f} {floor}Z"


def _times(seconds: float) -> str:
    step = next((s for s in (1, 2, 5, 10, 30, 60, 300) if seconds / s <= 12), 600)
    marks = (
        f'<span class="{"last" if at > 0.96 * seconds else "mark"}" '
        f'style="left:{100 * at / max(seconds, 1e-9):.1f}%">{at} s</span>'
        for at in range(0, int(seconds) + 1, step)
    )
    return f'<div class="times">{"".join(marks)}</div>'
