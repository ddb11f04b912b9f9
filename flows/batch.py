"""What became of a batch: what was made, what was refused, and how that is said as one error.

Shared by the flows that take many files or clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storage.errors import MemdubError, PartlyFailed, RequestError

__all__ = ["error_of", "first_few", "refusals", "status_of"]


def refusals(refused: Sequence[MemdubError]) -> list[dict[str, Any]]:
    """The refusals as JSON tells them."""
    return [
        {"error": type(e).__name__, "what": e.what, "where": e.where, "do": e.do, "line": str(e)}
        for e in refused
    ]


def status_of(made: int, refused: Sequence[MemdubError]) -> str:
    """How the run ended, as its row in the ledger says it; a refused request leaves none."""
    if not refused:
        return "done"
    if made:
        return "partly"
    return "refused" if all(isinstance(e, RequestError) for e in refused) else "failed"


def error_of(made: int, refused: Sequence[MemdubError], *, things: str, done: str) -> MemdubError | None:
    """One bad item asked for by itself is a wrong request; among good ones it is a failed part."""
    if not refused:
        return None
    if not made:
        worst = [e for e in refused if not isinstance(e, RequestError)] or refused
        rest = f" (and {len(refused) - 1} more refused)" if len(refused) > 1 else ""
        return type(worst[0])(worst[0].what + rest, where=worst[0].where, do=worst[0].do)
    what = f"{len(refused)} of {made + len(refused)} {things} refused: {first_few(refused)}"
    return PartlyFailed(what, do=f"the others are {done}")


def first_few(failed: Sequence[MemdubError]) -> str:
    """The first three by name, and how many more there are."""
    lines = "; ".join(f"{e.where}: {e.what}" for e in failed[:3])
    return lines + (f"; and {len(failed) - 3} more" if len(failed) > 3 else "")
