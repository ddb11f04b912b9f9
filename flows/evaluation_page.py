"""An evaluation's page: all methods beside the truth, and every figure with how far it can be trusted.

    write(folder, told, {"1-truth.mp4": path, "1-memface.mp4": path, "1-worst-memface-12.jpg": bytes})

`told` is the evaluation as data; the folder then holds all that the page needs, and opens from a disk. Called
by whoever has made an evaluation, and by `flows.site`. Its parts are made by `flows.in_short`, `flows.takes`,
`flows.scores` and `flows.pairings`.
"""

from __future__ import annotations

import html
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from flows.in_short import in_short
from flows.pages import facts, page, section
from flows.pairings import pairs_table
from flows.players import own_colour
from flows.scores import cards, meanings, published_table, scores_table
from flows.takes import TRUTH, heading, said_in, watched, worst_of

__all__ = ["DATA", "TRUTH", "evaluation_page", "files_of", "title", "write"]

DATA = "evaluation.json"
_WRONG = "Where it goes wrong"
_USES = "players blocks curves tables scores"
_UNTOLD = (
    "Nobody was filmed saying this, so there is no truth to hold it against: sync, motion in silence, shake, "
    "blinks and pose are told, and nothing here says how right a mouth looks."
)

Told = Mapping[str, Any]


def write(
    folder: Path,
    told: Told,
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


def files_of(told: Told) -> list[str]:
    """The films and pictures that the page shows, by their names."""
    names: list[str | None] = []
    for take in told["takes"]:
        names += [one.get("film") for one in (take.get("truth") or {}, *take["methods"].values())]
        names += [one["picture"] for one in take.get("worst") or ()]
    return [name for name in names if name]


def title(told: Told) -> str:
    """The methods, and what drove them where it was other speech."""
    names = ", ".join(told["methods"])
    return f"{names}, driven by {_listed(_sounds(told))}" if told.get("truth") is None else names


def evaluation_page(told: Told, there: set[str], above: Mapping[str, str] | None = None) -> str:
    """The page; `there` names the files that lie beside it: nothing else is linked."""
    colours = {name: own_colour(number) for number, name in enumerate(told["methods"])}
    parts = [
        section("In short", in_short(told), _notes(told)),
        section("See and hear", *_takes(told, there, colours)),
        section("Every figure", cards(told, colours), scores_table(told)),
        *([section("Method against method", pairs_table(told))] if told.get("pairs") else []),
        *_worst(told, there),
        *([section("Published figures", published_table(told))] if told.get("published") else []),
        section("What was measured, and how", _ids(told), meanings(told), _as_data()),
    ]
    return page(f"{told['identity']}: {title(told)}", _lead(told), parts, above=above, use=_USES)


def _lead(told: Told) -> str:
    takes = told["takes"]
    if told.get("truth") is None:
        said = f"{_listed(_sounds(told))}, {told['seconds']:.1f} s in all"
        return f"Each method lets {told['identity']} say {said}. {_UNTOLD}"
    if len(takes) == 1:
        dubbed = (
            f"a clip of {told['identity']} with the clip's own sound, and is held against the film itself"
        )
        return f"Each method dubs {dubbed}: {takes[0]['why']}."
    dubbed = f"{len(takes)} clips of {told['identity']} with their own sound, and is held against the films"
    return f"Each method dubs {dubbed} themselves: {told['seconds']:.1f} s in all."


def _sounds(told: Told) -> list[str]:
    return list(dict.fromkeys(said_in(take) for take in told["takes"]))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _takes(told: Told, there: set[str], colours: Mapping[str, str]) -> list[str]:
    """A block of films for each take; of several each has its heading and its worst moments."""
    several, parts = len(told["takes"]) > 1, []
    for number, take in enumerate(told["takes"]):
        inside = watched(take, there, colours, first=not number)
        if several:
            cases = worst_of(take, told["figures"], there)
            inside = heading(take) + inside + (f"<h4>{_WRONG}</h4>{cases}" if cases else "")
        parts.append(f'<div class="take" data-name="{html.escape(str(take["name"]))}">{inside}</div>')
    return parts


def _worst(told: Told, there: set[str]) -> list[str]:
    """The worst moments of the only take."""
    cases = worst_of(told["takes"][0], told["figures"], there) if len(told["takes"]) == 1 else ""
    return [section(_WRONG, cases)] if cases else []


def _notes(told: Told) -> str:
    """What the verdict is to be read with; of several takes, with the clip that each is about."""
    rows = "".join(f"<li>{html.escape(line)}</li>" for line in told.get("notes") or ())
    return f'<ul class="notes">{rows}</ul>' if rows else ""


def _ids(told: Told) -> str:
    whole = {"evaluation": told["id"], "identity": told["identity"]}
    parts = [facts((whole if not at else {}) | _facts(take)) for at, take in enumerate(told["takes"])]
    return f"<details><summary>Clips and dubs</summary>{''.join(parts)}</details>"


def _facts(take: Told) -> dict[str, object]:
    scored = f"{take['seconds']:.2f} s at {float(take['rate']):g} frames a second: {take['why']}"
    dubs = {f"dub of {name}": one["dub"] for name, one in take["methods"].items() if one.get("dub")}
    return {"clip": take["clip"], "says": said_in(take), "scored": scored, **dubs}


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
