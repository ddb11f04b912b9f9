"""The guard of a refresh: nobody takes away so much footage on purpose without saying so.

Called by `flows.refresh`, and by `flows.planning`, which tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from flows.intake import Intake
from storage.errors import RequestError
from storage.home import Home

__all__ = ["Shrinks", "check_shrink"]

# A refresh that retires a larger share of the live clips has met a disk that is not there.
MOST_RETIRED = 0.2


class Shrinks(RequestError):
    """A refresh would retire more clips than anybody takes away on purpose; nothing was changed."""


def check_shrink(home: Home, intakes: Sequence[Intake]) -> None:
    """Raises Shrinks where too many clips would be retired."""
    lost = {intake.identity: len(intake.unheld(intake.former())) for intake in intakes}
    live = sum(len(intake.live) for intake in intakes)
    if sum(lost.values()) <= MOST_RETIRED * live:
        return
    whose = ", ".join(f"{count} of {name}" for name, count in lost.items() if count)
    what = f"{sum(lost.values())} of {live} clips would be retired, as their files are gone or changed"
    do = "see that the disk is there; if they are meant to go, add --allow-shrink"
    raise Shrinks(f"{what} ({whose})", where=home.uri("raw"), do=do)
