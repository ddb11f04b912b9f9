"""The demonstration: a puppet speaks, is ingested, and every file says where it came from.

Called by the command line. Later stages join here, each with something to look at on the page.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.ingest import Watch, no_progress
from flows.lineage_page import STYLE, lineage_svg
from flows.puppet import Filmed, puppet
from storage.home import Home
from storage.ledger import Ledger, lineage_of
from storage.ledger.query import Node
from tasks.film import Script

__all__ = ["Demonstration", "demo"]

IDENTITY = "maria"
SCRIPT = Script(
    seed=0,
    text=(
        "Good morning, and welcome to the old boat house by the river. "
        "My brother Paul bought five blue buckets, a brush, and far too much white paint. "
        "Maybe you wonder who I am. I do not exist, and that is why you may watch my every word."
    ),
)

PAGE_STYLE = """
video { width: min(512px, 100%); border-radius: 10px; display: block; margin: 0 0 1.5rem; background: #000; }
h2 { font-size: 1rem; margin: 1.6rem 0 .6rem; }
code { font: 13px ui-monospace, monospace; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
"""


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration made."""

    filmed: Filmed
    tree: Node
    page: Path

    def as_dict(self) -> dict[str, Any]:
        return {**self.filmed.as_dict(), "lineage": self.tree.as_dict(), "page": str(self.page)}


def demo(
    *, home: str | None = None, watch: Watch = no_progress, tell: Callable[[str], None] | None = None
) -> Demonstration:
    """Film, ingest, trace, and write a page about it."""
    place = Home(home)
    filmed = puppet(IDENTITY, SCRIPT, home=home, watch=watch, tell=tell)
    ledger = Ledger(place.objects)
    tree = lineage_of(ledger, filmed.clip.id)
    page = place.path("out/demo/index.html")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(_page(place, ledger, filmed, tree, page.parent), encoding="utf-8")
    return Demonstration(filmed, tree, page)


def _page(home: Home, ledger: Ledger, filmed: Filmed, tree: Node, beside: Path) -> str:
    video = os.path.relpath(home.path(filmed.clip.uri) / "clip.mp4", beside)
    clip = next(row for row in ledger.rows("clips").to_pylist() if row["id"] == filmed.clip.id)
    facts = {
        "clip": clip["id"],
        "frames": f"{clip['frames']} at {clip['rate_num'] / clip['rate_den']:g} a second",
        "size": f"{clip['width_px']} x {clip['height_px']}",
        "lasts": f"{clip['duration_s']:.1f} s",
        "truth of every frame": os.path.relpath(filmed.truth, beside),
    }
    rows = "".join(
        f"<dt>{key}</dt><dd><code>{html.escape(str(value))}</code></dd>" for key, value in facts.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>memdub demo</title>'
        f"<style>{STYLE}{PAGE_STYLE}</style>"
        "<h1>memdub: a puppet, ingested</h1>"
        "<p>Nobody is shown: this person, the voice and every movement are made by memdub.</p>"
        f'<video src="{html.escape(video)}#t=0.8" controls loop></video><dl>{rows}</dl>'
        f'<h2>Where the clip came from</h2><div class="scroll">{lineage_svg(tree)}</div></html>\n'
    )
