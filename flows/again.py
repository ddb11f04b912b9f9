"""Extraction of chosen clips, and what became of each. Shared by `flows.retry` and `flows.backfill`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from storage.artifacts import Artifact
from storage.errors import HomeError, LeaseLost, MemdubError, WorkError
from storage.home import Home
from storage.ledger import Ledger

if TYPE_CHECKING:
    from tasks.chain import ExtractOptions

__all__ = ["as_error", "extract_clips"]


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


def as_error(error: Exception) -> MemdubError:
    """One of ours, whatever it was."""
    return (
        error if isinstance(error, MemdubError) else WorkError(f"unexpected {type(error).__name__}: {error}")
    )
