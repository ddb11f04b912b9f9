"""Extraction of chosen clips, as flows do it that need features of them.

Called by `flows.retry` and `flows.backfill`, which tell what became of each, and by `flows.train` and
`flows.readiness`, which need what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from flows.engine import as_error
from flows.inventory import Inventory
from flows.watching import Watch
from storage.artifacts import Artifact
from storage.errors import HomeError, LeaseLost
from storage.home import Home
from storage.ledger import Ledger

if TYPE_CHECKING:
    from tasks.chain import ExtractOptions

__all__ = ["extract_clips", "extract_missing"]


def extract_clips(
    home: Home, options: ExtractOptions, clips: Mapping[str, str], **how: Any
) -> tuple[dict[str, Artifact], dict[str, str]]:
    """Features by clip, and for the others why not. `clips` are the identities by clip."""
    from flows.extract import extract

    whose = list(dict.fromkeys(clips.values()))
    try:
        done = extract(whose, options=options, clips=clips.keys(), home=home.url, **how)
    except (HomeError, LeaseLost):
        raise
    except Exception as error:  # other groups are done all the same
        return {}, dict.fromkeys(clips, as_error(error).what)
    made = {one.row["id"]: one.features for one in done.outcomes}
    rows = Ledger(home.objects).rows("failures").to_pylist()
    rows.sort(key=lambda row: row["failed_at"])
    said = {row["subject"]: row["reason"] for row in rows if row["stage"] == "extract"}
    return made, {clip: said.get(clip, "nothing is known") for clip in clips if clip not in made}


def extract_missing(
    home: Home, identity: str, clips: Collection[str], watch: Watch, tell: Callable[[str], None]
) -> None:
    """Features of these clips, made as this person's others were; raises where there are none at all then."""
    from flows.extract import extract

    tell(f"{identity} has clips without features: extracting them first")
    inventory = Inventory(home, Ledger(home.objects), identity)
    # As a refresh does: what was extracted with other options than the default ones stays as it is.
    options = inventory.extract_options()
    done = extract([identity], options=options, clips=clips, home=home.url, watch=watch, tell=tell)
    if not done.outcomes and not inventory.extracted:
        done.raise_if_refused()
