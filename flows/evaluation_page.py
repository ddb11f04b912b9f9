"""An evaluation's page: all methods beside the truth, and every figure with how far it can be trusted.

    write(folder, told, {"truth.mp4": path, "memface.mp4": path, "worst-memface-12.jpg": bytes})

`told` is the evaluation as data; the folder then holds all that the page needs, and opens from a disk. Called
by whoever has made an evaluation, and by `flows.site`. Its tables are made by `flows.scores` and
`flows.verdicts`.
"""

from __future__ import annotations

import html
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from flows.pages import COLOURS, Curve, facts, page, section
from flows.players import Film, drawn, players
from flows.scores import cards, meanings, published_table, scores_table
from flows.verdicts import in_short, pairs_table

__all__ = ["TRUTH", "evaluation_page", "write"]

TRUTH = "the truth"
DATA = "evaluation.json"
_USES = "players curves tables scores"
_LIPS = "how far lips are open, the eyes' distance being 1"


def write(
    folder: Path,
    told: Mapping[str, Any],
    files: Mapping[str, bytes | Path],
    above: Mapping[str, str] | None = None,
) -> Path:
    """Write the page with its files and its figures as JSON; returns the page, which is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    told = _finite(told)
    for name, content in files.items():
        _put(folder, name, content)
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / DATA).write_text(text, encoding="utf-8")
    path = folder / "index.html"
    there = {one.name for one in folder.iterdir()}
    path.write_text(evaluation_page(told, there, above), encoding="utf-8")
    return path


def evaluation_page(told: Mapping[str, Any], there: set[str], above: Mapping[str, str] | None = None) -> str:
    """The page; `there` names the files that lie beside it: nothing else is linked."""
    colours = _colours(told["methods"])
    names = ", ".join(told["methods"])
    parts = [
        section("In short", in_short(told)),
        *_films(told, there, colours),
        section("Every figure", cards(told, colours), scores_table(told)),
        *([section("Method against method", pairs_table(told))] if told.get("pairs") else []),
        *_worst(told, there),
        *([section("Published figures", published_table(told))] if told.get("published") else []),
        section("What was measured, and how", _notes(told), facts(_facts(told)), meanings(told), _as_data()),
    ]
    split = told["split"].replace("_", " ")
    lead = f"{names} against the truth: {told['why']}. {told['seconds']:.1f} s, {split}."
    return page(f"{told['identity']}: {names}", lead, parts, above=above, use=_USES)


def _colours(methods: Sequence[str]) -> dict[str, str]:
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(methods)}


def _films(told: Mapping[str, Any], there: set[str], colours: Mapping[str, str]) -> list[str]:
    """The players, and the curves below them."""
    named = [(TRUTH, told["truth"].get("film"), "var(--ink)")]
    named += [(name, one.get("film"), colours[name]) for name, one in told["methods"].items()]
    films = [Film(name, film, colour) for name, film, colour in named if film in there]
    missing = ", ".join(name for name, film, _ in named if film not in there)
    rate, frames = float(told["rate"]), max(1, round(told["seconds"] * told["rate"]))
    parts = [players(films, rate, frames)] if films else []
    if missing:
        parts.append(f"<p>No film was kept of: {html.escape(missing)}.</p>")
    if films and (lips := _lips(told, colours)):
        parts.append(lips)
    return [section("See and hear", *parts)]


def _lips(told: Mapping[str, Any], colours: Mapping[str, str]) -> str:
    known = told.get("curves") or {}
    rate = float(known.get("rate") or told["rate"])
    named = [("truth", TRUTH, "var(--ink)"), *((name, name, colours[name]) for name in colours)]
    lines = [Curve(words, known[key], rate, colour=colour) for key, words, colour in named if known.get(key)]
    if not any(value is not None for line in lines for value in line.values):
        return ""
    area = Curve("loudness", _above_floor(known.get("loudness") or []), rate, filled=True)
    return drawn(lines, area, _LIPS)


def _above_floor(values: Sequence[float | None]) -> list[float | None]:
    """Decibels count from silence on: an area is drawn from zero up."""
    low = min((value for value in values if value is not None), default=0.0)
    return [None if value is None else value - min(low, 0.0) for value in values]


def _worst(told: Mapping[str, Any], there: set[str]) -> list[str]:
    labels = {one["name"]: one for one in told["figures"]}
    cells = "".join(_case(one, labels) for one in told.get("worst") or () if one["picture"] in there)
    if not cells:
        return []
    note = "<p>The frames of each method with the worst values. A picture leads to its moment.</p>"
    return [section("Where it goes wrong", note, f'<div class="worst">{cells}</div>')]


def _case(one: Mapping[str, Any], labels: Mapping[str, Mapping[str, Any]]) -> str:
    figure = labels.get(one["figure"], {"label": one["figure"], "unit": ""})
    told = html.escape(f"{figure['label']} {one['value']:.3g} {figure['unit']}".strip())
    name, frame = html.escape(one["method"]), int(one["frame"])
    picture = html.escape(one["picture"])
    return (
        f'<button type="button" data-frame="{frame}"><img src="{picture}" '
        f'alt="{name} at frame {frame}"><b>{name}</b><span>{told}</span><span>frame {frame}</span></button>'
    )


def _notes(told: Mapping[str, Any]) -> str:
    rows = "".join(f"<li>{html.escape(line)}</li>" for line in told.get("notes") or ())
    return f'<ul class="notes">{rows}</ul>' if rows else ""


def _facts(told: Mapping[str, Any]) -> dict[str, object]:
    dubs = {f"dub of {name}": one.get("dub") for name, one in told["methods"].items() if one.get("dub")}
    return {
        "evaluation": told["id"],
        "identity": told["identity"],
        "clip": told["clip"],
        "scored": f"{told['seconds']:.2f} s at {float(told['rate']):g} frames a second: {told['why']}",
        **dubs,
    }


def _as_data() -> str:
    return f'<p class="more"><a href="{DATA}">All of this as JSON</a></p>'


def _put(folder: Path, name: str, content: bytes | Path) -> None:
    if PurePath(name).name != name or name in ("", ".", "..", "index.html", DATA):
        raise ValueError(f"not a name of a file beside the page: {name!r}")
    target = folder / name
    if isinstance(content, bytes):
        target.write_bytes(content)
    else:
        shutil.copyfile(content, target)


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is not known is null."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
