"""A lineage tree as one HTML page with a picture in it: no network, light and dark.

Its branches fold where scripts run, and stand open where they do not. Called by the command line and by
reports.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from storage.ledger.query import Node

__all__ = ["lineage_graph", "lineage_page", "lineage_svg"]

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 250, 64, 56, 18, 12
_WIDEST = 39  # small letters that a card has room for

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1c2430; --soft: #5b6675; --line: #b9c2cf; --paper: #fbfcfe; --card: #fff; --link: #1d5fb0;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf4; --soft: #9aa7b8; --line: #48566a; --paper: #12171f; --card: #1b222d;
    --link: #7db4f2; }
}
body { margin: 2rem; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.2rem; margin: 0 0 .2rem; }
p { margin: 0 0 1.2rem; color: var(--soft); }
.scroll { overflow-x: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); font-size: 11px; }
svg rect.card { fill: var(--card); stroke: var(--line); }
svg path { fill: none; stroke: var(--line); stroke-width: 1.5; }
svg .sign { display: none; }
"""

# One hue a kind; what is not here is grey.
COLOURS = {
    "raw file": "#8a94a3",
    "puppet": "#8e63c7",
    "clip": "#2f7dd1",
    "track": "#1d9a8a",
    "audio": "#1d9a8a",
    "fit": "#1d9a8a",
    "memory": "#c78a1c",
    "checkpoint": "#c7591c",
    "dub": "#c22f5d",
    "evaluation": "#5d6fc2",
}


@dataclass(frozen=True)
class _Box:
    node: Node
    column: int
    row: float
    parent: _Box | None

    @property
    def corner(self) -> tuple[float, float]:
        return MARGIN + self.column * (WIDTH + GAP_X), MARGIN + self.row * (HEIGHT + GAP_Y)


def lineage_page(tree: Node, *, down: bool = False) -> str:
    """The whole page."""
    title = html.escape(f"{'Made from' if down else 'Lineage of'} {_title(tree)}")
    direction = (
        "Left: the source. Right: what was made from it." if down else "Left: the result. Right: its sources."
    )
    from flows.pages import web  # which has its colours from here

    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="data:,"><style>{STYLE}{web("graph.css")}</style>'
        f"<h1>{title}</h1><p>{direction}</p>{lineage_graph(tree)}"
        f"<script>{web('graph.js')}</script></html>\n"
    )


def lineage_graph(tree: Node) -> str:
    """The picture in a frame that scrolls, over what is told of a card; wants `graph` of `flows/web`."""
    tools = (
        '<div class="tools"><button type="button" data-fold="open">unfold all</button>'
        '<button type="button" data-fold="shut">fold all</button>'
        "<span>A click folds; scroll or drag to move; hovering tells more.</span></div>"
    )
    return (
        f'<div class="graph">{tools}<div class="scroll">{lineage_svg(tree)}</div>'
        '<div class="told" role="status"></div></div>'
    )


def lineage_svg(tree: Node) -> str:
    """The picture alone, to be set into other pages that define its colours."""
    boxes = list(_place(tree, 0, [0.0], None))
    numbers = {id(box): number for number, box in enumerate(boxes)}
    width = MARGIN * 2 + (max(box.column for box in boxes) + 1) * (WIDTH + GAP_X) - GAP_X
    height = MARGIN * 2 + (max(box.row for box in boxes) + 1) * (HEIGHT + GAP_Y) - GAP_Y
    parts = [_edge(box, numbers[id(box)]) for box in boxes if box.parent]
    parts += [_card(box, numbers) for box in boxes]
    sizes = f"{WIDTH} {HEIGHT} {GAP_X} {GAP_Y} {MARGIN}"
    return (
        f'<svg width="{width}" height="{height:.0f}" data-sizes="{sizes}" role="group" aria-label="lineage">'
        f"{''.join(parts)}</svg>"
    )


def _place(node: Node, column: int, free: list[float], parent: _Box | None) -> Iterator[_Box]:
    """A node stands beside the first of its sources; each leaf takes a row of its own."""
    box = _Box(node, column, free[0], parent)
    yield box
    for i, child in enumerate(node.children):
        free[0] += 1 if i else 0
        yield from _place(child, column + 1, free, box)


def _edge(box: _Box, number: int) -> str:
    assert box.parent is not None
    (x0, y0), (x1, y1) = box.parent.corner, box.corner
    x0, y0, y1 = x0 + WIDTH, y0 + HEIGHT / 2, y1 + HEIGHT / 2
    bend = GAP_X / 2
    return f'<path data-to="{number}" d="M{x0} {y0}C{x0 + bend} {y0} {x1 - bend} {y1} {x1} {y1}"/>'


def _card(box: _Box, numbers: Mapping[int, int]) -> str:
    x, y = box.corner
    colour = COLOURS.get(box.node.kind, "#8a94a3")
    lines = [_title(box.node), *(_short(line, _WIDEST) for line in _details(box.node))]
    texts = "".join(
        f'<text x="{x + 16}" y="{y + 20 + 17 * i}" class="{"soft" if i else ""}">{html.escape(line)}</text>'
        for i, line in enumerate(lines[:3])
    )
    row = (f"{key}: {value}" for key, value in box.node.row.items() if value is not None)
    whole = box.node.row.get("name") if box.node.kind == "raw file" else None
    hint = html.escape("\n".join([whole or box.node.id, *_details(box.node), *row]))
    parent = "" if box.parent is None else numbers[id(box.parent)]
    return (
        f'<g data-node="{numbers[id(box)]}" data-parent="{parent}" data-column="{box.column}" '
        f'data-row="{box.row:g}"><title>{hint}</title>'
        f'<rect class="card" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<rect x="{x}" y="{y + 8}" width="4" height="{HEIGHT - 16}" rx="2" fill="{colour}"/>{texts}'
        f"{_sign(x + WIDTH, y + HEIGHT / 2) if box.node.children else ''}</g>"
    )


def _sign(x: float, y: float) -> str:
    """Where a folded card says how many are behind it; a script shows it."""
    return (
        f'<g class="sign"><rect x="{x - 14}" y="{y - 9}" width="28" height="18" rx="9"/>'
        f'<text x="{x}" y="{y + 4}"></text></g>'
    )


def _title(node: Node) -> str:
    if node.kind == "raw file":
        return _short(node.row.get("name") or "a file", 34)
    return _short(node.id, 34)


def _details(node: Node) -> list[str]:
    role = f"{node.role}: " if node.role else ""
    if node.kind == "raw file":
        return [f"{role}raw file", _short(node.id, 30)]
    if node.kind == "missing":
        return [f"{role}no longer in the ledger"]
    row = node.row
    made = f"{row['stage']} v{row['stage_version']}, {row['started']:%Y-%m-%d %H:%M}"
    above = " (sources as above)" if node.repeated else ""
    return [f"{role}{node.kind} of {row['identity'] or 'nobody'}{above}", made]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
