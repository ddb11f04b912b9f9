"""A person's page: clips and what was found in them, the memory, what was trained, dubs, evaluations.

    write(home, "anna", shelf, evaluations={"evaluation-...": Page("evaluation-.../index.html", "memface")})

It lies in a folder of the person's own with all that it shows, and opens from a disk. Read from the ledger
and from what stages noted; nothing is computed but small pictures. Called by `flows.site`.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.dub_page import dub_page, speeches
from flows.inventory import Inventory
from flows.lineage_page import lineage_graph
from flows.pages import facts, page, section
from flows.portraits import at_their_best, duration, film_tile, reason_against, still, tile, when
from flows.shelf import Shelf
from flows.trained import trained
from storage import clips as groups
from storage.artifacts import stored_json
from storage.errors import MemdubError
from storage.home import Home
from storage.ledger import Ledger, lineage_of

__all__ = ["Dub", "Page", "write"]

Row = dict[str, Any]
# Pictures lie inside the pages: no page of mouths may grow without bound.
MOST_MOUTHS, FEW_MOUTHS = 480, 24
MOST_STILLS = 60
_FILM, _TOLD = "dub.mp4", "dub.json"


def write(home: Home, identity: str, shelf: Shelf, *, evaluations: Mapping[str, Page]) -> list[Dub]:
    """Write the page and those of the dubs; `evaluations` are pages that there are: id to address.

    Returns the dubs, the newest first.
    """
    known = _Known(home, identity, shelf)
    dubs = known.dubs()
    sections = [
        facts(known.told()),
        section("Clips", known.clips()),
        *known.mouths(),
        section("Dubs", known.dub_tiles(dubs)),
        *known.evaluations(evaluations),
        section("Trained", trained(known.of("checkpoint"), known.metrics)),
        *known.origin(),
    ]
    text = page(
        identity, known.lead(), sections, above={"everybody": "../index.html"}, use="site tables graph"
    )
    shelf.write(f"{identity}/index.html", text)
    return dubs


@dataclass(frozen=True)
class Page:
    """A page in the person's folder, and what to call it."""

    address: str
    title: str


@dataclass(frozen=True)
class Dub:
    """A dub as lists show it; addresses are relative to the person's folder."""

    row: Row
    speech: str
    seconds: float | None
    page: str
    film: str | None

    @property
    def method(self) -> str:
        return str(self.row["recipe"]["parameters"].get("method", ""))


class _Known:
    """What there is of a person, and the parts of the page that show it."""

    def __init__(self, home: Home, identity: str, shelf: Shelf) -> None:
        self.home, self.identity, self.shelf = home, identity, shelf
        self.ledger = Ledger(home.objects)
        self.inventory = Inventory(home, self.ledger, identity)
        self.metrics: dict[str, dict[str, float]] = {}
        for row in self.ledger.tables["metrics"].read(partition=f"slug={identity}").to_pylist():
            self.metrics.setdefault(row["artifact"], {})[row["metric"]] = row["value"]

    def of(self, kind: str) -> list[Row]:
        """Artifacts of a kind, the newest first."""
        return [row for row in reversed(self.inventory.artifacts) if row["kind"] == kind]

    def lead(self) -> str:
        seconds = sum(row["duration_s"] for row in self.inventory.clips)
        count = len(self.inventory.clips)
        return f"{count} clip{'' if count == 1 else 's'}, {duration(seconds)} of footage."

    def told(self) -> dict[str, object]:
        against = {
            name: reason_against(self.home, self.identity, name) for name in ("ingest", "train", "dub")
        }
        agreed = [name for name, reason in against.items() if reason is None]
        reasons = sorted({reason for reason in against.values() if reason})
        return {
            "agreed to": ", ".join(agreed) or "nothing",
            **({"not": "; ".join(reasons)} if reasons else {}),
            "artifacts": len(self.inventory.artifacts),
            "size": f"{sum(row['bytes'] for row in self.inventory.artifacts) / 1e6:.1f} MB",
            "last made": when(self.inventory.artifacts[-1]["started"])
            if self.inventory.artifacts
            else "never",
        }

    def clips(self) -> str:
        rows = self.inventory.clips
        if not rows:
            return '<p class="empty">None: `memdub ingest` footage first.</p>'
        made = {row["id"]: row for row in self.of("clip")}
        refusal = reason_against(self.home, self.identity, "ingest")
        best = at_their_best(self.ledger, self.identity) if refusal is None else {}
        tiles = []
        for number, row in enumerate(rows):
            shown = refusal is None and number < MOST_STILLS and row["id"] in made
            picture = still(self.home, made[row["id"]], best.get(row["id"])) if shown else None
            lines, preflight = self._clip(row)
            more = ("what its preflight says", preflight)
            tiles.append(tile(row["source_name"], lines, picture=picture, more=more))
        why = f'<p class="empty">Nothing is shown: {html.escape(refusal)}.</p>' if refusal else ""
        return f'{why}<div class="tiles">{"".join(tiles)}</div>'

    def _clip(self, row: Row) -> tuple[list[str], list[str]]:
        """What a clip is, and what was said of it as it was extracted."""
        rate = row["rate_num"] / row["rate_den"]
        sound = "silent" if row["silent"] else f"sound at {row['sound_rate_hz'] / 1000:g} kHz"
        lines = [
            f"{duration(row['duration_s'])}, {row['width_px']} x {row['height_px']}",
            f"{rate:.4g} frames a second, {sound}",
        ]
        features = self.inventory.extracted.get(row["id"])
        if features is None:
            return [*lines, "not extracted yet"], []
        said = self._preflight(features)
        good = [name for name, _, verdict in (line.partition(": ") for line in said) if verdict == "good"]
        return [*lines, *([f"good for {', '.join(good)}"] if good else [])], said

    def _preflight(self, features: Row) -> list[str]:
        try:
            group = groups.open_clip(self.home.uri(f"{features['uri']}/features.zarr"))
        except MemdubError:
            return ["its features cannot be read"]
        return list(group.attrs.get("preflight", ()))

    def mouths(self) -> list[str]:
        """The newest memory: a few mouths here, more on a page of their own."""
        made = self.of("memory")
        if not made:
            return []
        refusal = reason_against(self.home, self.identity, "train")
        if refusal is not None:
            return [section("Memory", f'<p class="empty">Nothing is shown: {html.escape(refusal)}.</p>')]
        from flows.gallery import gallery, gallery_strip
        from storage.artifacts import of_row
        from tasks.remember import open_memory

        try:
            memory = open_memory(self.home, of_row(made[0]))
        except (MemdubError, OSError, KeyError) as error:
            return [
                section(
                    "Memory",
                    f'<p class="empty">{made[0]["id"]} cannot be read ({html.escape(str(error))}).</p>',
                )
            ]
        text = gallery(self.identity, memory, most=MOST_MOUTHS, above={self.identity: "index.html"})
        self.shelf.write(f"{self.identity}/memory.html", text)
        count = len(memory.keys)
        link = f'<p class="more"><a href="memory.html">The mouths of {made[0]["id"]}</a>: {count} in all</p>'
        return [section("Memory", gallery_strip(memory, FEW_MOUTHS), link)]

    def dubs(self) -> list[Dub]:
        """Each dub with a page of its own, and its film where that may be shown."""
        shown = reason_against(self.home, self.identity, "dub") is None
        names = speeches(self.ledger, self.identity)
        above = {"everybody": "../index.html", self.identity: "index.html"}
        found = []
        for row in self.of("dub"):
            told = stored_json(self.home, f"{row['uri']}/{_TOLD}") or {}
            film = f"films/{row['id']}.mp4"
            there = shown and self.shelf.copy(self.home, f"{row['uri']}/{_FILM}", f"{self.identity}/{film}")
            speech = names.get(row["id"], row["id"])
            one = Dub(row, speech, told.get("seconds"), f"{row['id']}.html", film if there else None)
            text = dub_page(self.ledger, row, told, speech, one.film, above)
            self.shelf.write(f"{self.identity}/{one.page}", text)
            found.append(one)
        return found

    def dub_tiles(self, dubs: Sequence[Dub]) -> str:
        if not dubs:
            return '<p class="empty">None yet.</p>'
        refusal = reason_against(self.home, self.identity, "dub")
        tiles = []
        for one in dubs:
            length = "" if one.seconds is None else duration(one.seconds)
            lines = [", ".join(filter(None, (one.method, length))), when(one.row["started"])]
            tiles.append(film_tile(one.speech, lines, film=one.film, link=one.page))
        why = f'<p class="empty">No film is shown: {html.escape(refusal)}.</p>' if refusal else ""
        return f'{why}<div class="tiles">{"".join(tiles)}</div>'

    def evaluations(self, pages: Mapping[str, Page]) -> list[str]:
        """Links to the pages of evaluations."""
        rows = [row for row in self.of("evaluation") if row["id"] in pages]
        if not rows:
            return []
        tiles = [
            tile(pages[row["id"]].title, [when(row["started"]), row["id"]], link=pages[row["id"]].address)
            for row in rows
        ]
        return [section("Evaluations", f'<div class="tiles">{"".join(tiles)}</div>')]

    def origin(self) -> list[str]:
        """The lineage of the newest of what is furthest down the chain."""
        for kind in ("evaluation", "dub", "checkpoint", "memory", "features", "clip"):
            if rows := self.of(kind):
                tree = lineage_of(self.ledger, rows[0]["id"])
                return [section(f"Where the newest {kind} came from", lineage_graph(tree))]
        return []
