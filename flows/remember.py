"""The flow `remember`: features in, an explicit memory out, and a page that shows it.

Called by the command line, by flows that need a memory first, and by Prefect.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.engine import call
from storage import consent
from storage.artifacts import Artifact
from storage.errors import RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import run
from storage.text import check_text

__all__ = ["Kept", "remember"]


@dataclass(frozen=True)
class Kept:
    """A memory, what is told of it, and its page if one was asked for."""

    memory: Artifact
    slots: int
    frames: int
    distance_mm: float
    chance_mm: float
    page: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        told = {
            "slots": self.slots,
            "frames": self.frames,
            "distance_mm": self.distance_mm,
            "distance_random_mm": self.chance_mm,
        }
        page = {} if self.page is None else {"page": str(self.page)}
        return {"memories": [{**self.memory.as_dict(), **told, **page}]}

    def line(self) -> str:
        """One line for people."""
        found = "already there" if self.memory.reused else "finished"
        apart = f"the nearest two {self.distance_mm:.2f} mm apart (by chance {self.chance_mm:.2f})"
        return f"{self.memory.id}  {self.slots} mouths of {self.frames} frames, {found}, {apart}"


def remember(
    identity: str,
    *,
    slots: int = 300,
    page: Path | None = None,
    home: str | None = None,
) -> Kept:
    """Remember the mouths of all extracted clips of an identity."""
    # Heavy, and not needed to refuse a request.
    from tasks.remember import RememberOptions, features_of, open_memory
    from tasks.remember import remember as make

    place = Home(home)
    consent.require(place, check_slug(identity), "train")
    options = RememberOptions(slots=slots)
    if page is not None:
        _check_page(page)
    ledger = Ledger(place.objects)
    asked = {"identity": identity, "slots": slots}
    with run(ledger, "remember", identity=identity, arguments=asked):
        sources = features_of(place, ledger, identity)
        memory = call(make, place, identity, sources, options, name=f"remember {identity}")
        if page is not None:
            from flows.gallery import gallery

            page.write_text(gallery(identity, open_memory(place, memory)), encoding="utf-8")
    return _kept(ledger, memory, page)


def _check_page(page: Path) -> None:
    check_text(str(page), "--html")
    if page.is_dir() or not page.absolute().parent.is_dir():
        what = "is a folder" if page.is_dir() else "its folder does not exist"
        raise RequestError(what, where=f"--html {page}", do="name a file in a folder that exists")


def _kept(ledger: Ledger, memory: Artifact, page: Path | None) -> Kept:
    rows = ledger.rows("metrics").to_pylist()
    told = {row["metric"]: row["value"] for row in rows if row["artifact"] == memory.id}
    return Kept(
        memory,
        int(told.get("memory_slots", 0)),
        int(told.get("memory_frames", 0)),
        float(told.get("memory_distance_mm", 0.0)),
        float(told.get("memory_distance_random_mm", 0.0)),
        page,
    )
