"""What a refresh would make of one person's files and clips: the same decisions, with nothing carried out.

Called by `flows.refresh` for its dry run, which reads new footage, and by `flows.planning`, which opens none
and guesses how long it is from its size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.intake import LEFT, Decision, Intake, Taking, whole_in
from flows.inventory import Inventory
from storage import consent
from storage.errors import ConsentError, MediaError, MemdubError
from storage.home import Home
from storage.ledger import Ledger
from tasks.sources import local_copy

__all__ = ["Foreseen", "after", "foresee"]


@dataclass
class Foreseen:
    """A person's clips as they would be."""

    retired: set[str] = field(default_factory=set)
    back: set[str] = field(default_factory=set)
    new: dict[str, float] = field(default_factory=dict)  # seconds of clips to be made, by the file's path

    def clips(self, intake: Intake) -> list[Mapping[str, Any]]:
        """Rows of the clips that there are already and that will be live."""
        live = (intake.live | self.back) - self.retired
        return [row for row in intake.clips if row["id"] in live]


def foresee(home: Home, ledger: Ledger, intake: Intake) -> Foreseen:
    """File by file, as `flows.taking` goes; notes in the intake what would become of each."""
    found, person = Foreseen(), intake.person
    for taking in intake.takings:
        path, former = taking.seen.path, taking.former()
        decision, seconds = _decide(home, ledger, intake, taking, found.new)
        if decision.error is not None:
            _refuse(home, intake, taking, decision.error)
            continue
        clip = decision.clip or path
        if decision.became == "new":
            found.new[path] = seconds
            intake.clips.append({"id": path, "source_sha256": taking.sha256, "retired_at": None})
        alike = {row["id"] for row in intake.clips if row["source_sha256"] == taking.sha256}
        found.back |= alike - set(found.new)
        found.retired |= intake.unheld(former) - {clip}
        intake.known[path] = {"path": path, "state": "done", "sha256": taking.sha256, "clip": clip}
        intake.note(path, "changed" if former and decision.became == "new" else decision.became)
        person.taken += decision.became == "new"
        person.returned += decision.became == "back"
    found.retired |= intake.unheld([one.known for one in intake.gone if one.known is not None])
    for one in intake.gone:
        intake.note(one.path, "gone")
    person.retired, person.clips = len(found.retired), len(found.clips(intake)) + len(found.new)
    person.waiting = sum(one.became in LEFT for one in intake.files)
    person.quarantined = sum(row["state"] == "quarantined" for row in intake.known.values())
    return found


def after(
    inventory: Inventory, intake: Intake, found: Foreseen, refused: Collection[str], limit: float
) -> Inventory:
    """The person's part of the ledger once clips are taken, retired, and so many more extracted."""
    then = inventory.foreseen(found.clips(intake))
    todo = {row["id"]: row["duration_s"] for row in then.unextracted() if row["id"] not in refused}
    first = list((todo | found.new).items())[: None if limit == float("inf") else max(int(limit), 0)]
    return inventory.foreseen(found.clips(intake), dict(first))


def _decide(
    home: Home, ledger: Ledger, intake: Intake, taking: Taking, new: Collection[str]
) -> tuple[Decision, float]:
    """What `flows.taking` would decide, and for a new clip its seconds."""
    from tasks.footage import IngestOptions, inspect, refuse_unfilmed

    is_whole = whole_in(home, ledger, intake.identity)
    decision = intake.decide(taking, lambda name: name in new or is_whole(name))
    if decision.became != "new":
        return decision, 0.0
    try:
        with local_copy(home, taking.seen) as file:
            video = inspect(file, home.settings, IngestOptions()).video
            held = consent.require(home, intake.identity, "ingest")
            refuse_unfilmed(ledger, held, taking.sha256, file)
    except (MediaError, ConsentError) as error:
        return Decision("bad", error=error), 0.0
    return decision, 0.0 if video is None else video.duration_s


def _refuse(home: Home, intake: Intake, taking: Taking, error: MemdubError) -> None:
    path = taking.seen.path
    reason = intake.still_comes(home, taking, error)
    if reason is not None:
        intake.note(path, "copying", reason=reason)
        return
    former = taking.former()
    clip = former[0]["clip"] if former else None
    intake.note(path, "quarantined", clip, error.what)
    said = {"state": "quarantined", "sha256": taking.sha256, "clip": clip, "reason": error.what}
    intake.known[path] = {"path": path, **said}
