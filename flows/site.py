"""The gallery: pages over the whole ledger, for whoever wants to look instead of to ask.

    OUT/index.html                    everybody, every dub, every evaluation
    OUT/<identity>/index.html         a person
    OUT/<identity>/<dub>.html         a dub
    OUT/<identity>/<evaluation>/      an evaluation

A folder that opens from a disk, or from any web server, and needs nothing else. Called by the command line.
"""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.evaluation_page import DATA, files_of, title
from flows.evaluation_page import write as write_evaluation
from flows.identity_page import Dub, Page
from flows.identity_page import write as write_identity
from flows.inventory import Inventory
from flows.pages import page, section
from flows.portraits import at_their_best, duration, reason_against, still, tile, when
from flows.shelf import Shelf
from flows.sorting import cell, sorted_table
from storage.artifacts import stored_json
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger

__all__ = ["Site", "build"]

Row = dict[str, Any]


@dataclass
class Site:
    """What was built."""

    index: Path
    identities: list[str] = field(default_factory=list)
    dubs: int = 0
    evaluations: int = 0

    def as_dict(self) -> dict[str, Any]:
        counts = {"identities": self.identities, "dubs": self.dubs, "evaluations": self.evaluations}
        return {"gallery": {"index": str(self.index), **counts}}

    def line(self) -> str:
        """One line for people."""
        who = len(self.identities)
        return f"{self.index}  {who} identities, {self.dubs} dubs, {self.evaluations} evaluations"


@dataclass
class _Person:
    name: str
    clips: list[Row]
    clip: Row | None
    dubs: list[Dub]
    evaluations: list[tuple[Row, Page]]


def build(home: Home, out: Path | None = None, *, tell: Callable[[str], None] = lambda line: None) -> Site:
    """Write the pages of all that the home has; what an earlier gallery had beyond that goes."""
    shelf = Shelf(_folder(home, out))
    ledger = Ledger(home.objects)
    names = sorted({name for name in ledger.rows("artifacts", ["identity"])["identity"].to_pylist() if name})
    people = []
    for name in names:
        tell(f"pages of {name}")
        people.append(_person(home, ledger, name, shelf))
    site = Site(shelf.root / "index.html", names)
    site.dubs = sum(len(one.dubs) for one in people)
    site.evaluations = sum(len(one.evaluations) for one in people)
    shelf.write("index.html", _index(home, people))
    shelf.sweep()
    return site


def _folder(home: Home, out: Path | None) -> Path:
    if out is not None:
        return out
    if not home.is_local:
        raise RequestError("a home in a bucket has no folder for it", where="OUT", do="name a folder")
    return home.path("out/gallery")


def _person(home: Home, ledger: Ledger, name: str, shelf: Shelf) -> _Person:
    inventory = Inventory(home, ledger, name)
    rows = [row for row in reversed(inventory.artifacts) if row["kind"] == "evaluation"]
    written = [(row, _evaluation(home, row, shelf)) for row in rows]
    there = [(row, found) for row, found in written if found is not None]
    dubs = write_identity(home, name, shelf, evaluations={row["id"]: found for row, found in there})
    first = inventory.clips[0]["id"] if inventory.clips else None
    clip = next((row for row in inventory.artifacts if row["id"] == first), None)
    return _Person(name, inventory.clips, clip, dubs, there)


def _evaluation(home: Home, row: Row, shelf: Shelf) -> Page | None:
    """The page of an evaluation; None where it cannot be told.

    Its films and pictures show a person's dubs: where they may not be shown, there is no page.
    """
    if reason_against(home, row["identity"], "dub") is not None:
        return None
    if (told := stored_json(home, f"{row['uri']}/{DATA}")) is None:
        return None
    above = {"everybody": "../../index.html", row["identity"]: "../index.html"}
    folder = shelf.root / row["identity"] / row["id"]
    shutil.rmtree(folder, ignore_errors=True)
    write_evaluation(folder, {**told, "id": row["id"]}, _files(home, row, told), above)
    shelf.keep(folder)
    return Page(f"{row['id']}/index.html", title(told))


def _files(home: Home, row: Row, told: Mapping[str, Any]) -> dict[str, bytes | Path]:
    """What the page of an evaluation shows, of what lies beside its figures."""
    found = {name: home.objects.read(f"{row['uri']}/{name}") for name in files_of(told)}
    return {name: one[0] for name, one in found.items() if one is not None}


def _index(home: Home, people: list[_Person]) -> str:
    if not people:
        empty = '<p class="empty">Nobody is here yet: `memdub demo`, or `memdub ingest`.</p>'
        return page("memdub", f"The home {home.url}.", [empty], use="site")
    parts = [section("People", f'<div class="tiles">{"".join(_tile(home, one) for one in people)}</div>')]
    dubs = [(one, dub) for one in people for dub in one.dubs]
    if dubs:
        parts.append(
            section("Dubs", _dubs(sorted(dubs, key=lambda pair: pair[1].row["started"], reverse=True)))
        )
    if any(one.evaluations for one in people):
        parts.append(section("Evaluations", _evaluations(people)))
    lead = (
        f"The home {home.url}: {len(people)} {'person' if len(people) == 1 else 'people'}, "
        f"{_count(len(dubs), 'dub')}."
    )
    return page("memdub", lead, parts, use="site tables")


def _tile(home: Home, one: _Person) -> str:
    refusal = reason_against(home, one.name, "ingest")
    picture = None
    if one.clip is not None and refusal is None:
        best = at_their_best(Ledger(home.objects), one.name)
        picture = still(home, one.clip, best.get(one.clip["id"]))
    seconds = duration(sum(row["duration_s"] for row in one.clips))
    lines = [f"{_count(len(one.clips), 'clip')}, {seconds}", _count(len(one.dubs), "dub")]
    lines += [_count(len(one.evaluations), "evaluation")] if one.evaluations else []
    return tile(
        one.name, [*lines, *([refusal] if refusal else [])], picture=picture, link=f"{one.name}/index.html"
    )


def _dubs(dubs: list[tuple[_Person, Dub]]) -> str:
    head = [("who", "ascending"), ("says", "ascending"), ("method", "ascending"), ("length", "descending")]
    head += [("made", "descending"), ("took", "ascending")]
    rows = [
        [
            cell(_link(f"{one.name}/index.html", one.name), one.name),
            cell(_link(f"{one.name}/{dub.page}", dub.speech), dub.speech, "left wide"),
            cell(html.escape(dub.method), dub.method, "left"),
            cell("" if dub.seconds is None else duration(dub.seconds), dub.seconds or ""),
            cell(when(dub.row["started"]), dub.row["started"].isoformat()),
            cell(duration(dub.row["seconds"]), dub.row["seconds"]),
        ]
        for one, dub in dubs
    ]
    return sorted_table(head, rows, "tall" if len(rows) > 12 else "", left=(1, 2))


def _evaluations(people: list[_Person]) -> str:
    rows = [
        [
            cell(_link(f"{one.name}/index.html", one.name), one.name),
            cell(_link(f"{one.name}/{found.address}", found.title), found.title, "left wide"),
            cell(html.escape(row["id"]), row["id"], "left"),
            cell(when(row["started"]), row["started"].isoformat()),
        ]
        for one in people
        for row, found in one.evaluations
    ]
    head = [(name, "ascending") for name in ("who", "methods", "evaluation")] + [("made", "descending")]
    return sorted_table(head, rows, left=(1, 2))


def _link(address: str, words: str) -> str:
    return f'<a href="{html.escape(address)}">{html.escape(words)}</a>'


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
