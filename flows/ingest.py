"""The flow `ingest`: footage in, clips out; what is refused is said and does not stop the rest.

Called by the command line and, as `flows.deployable.ingest`, by Prefect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from flows.engine import call
from storage import consent
from storage.artifacts import Artifact
from storage.errors import MediaError, MemdubError, PartlyFailed
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import Run, record_failure, run
from tasks.ingest import IngestOptions, Progress, find_footage, ingest_file

__all__ = ["Ingested", "Watch", "ingest", "no_progress"]

# Opens progress for one item of so many: (name, number, of how many) -> context of a Progress.
Watch = Callable[[str, int, int], AbstractContextManager[Progress | None]]


@dataclass
class Ingested:
    """What became of the footage."""

    clips: list[Artifact] = field(default_factory=list)
    refused: list[MemdubError] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "clips": [clip.as_dict() for clip in self.clips],
            "refused": [{"error": type(e).__name__, "line": str(e)} for e in self.refused],
        }

    def raise_if_refused(self) -> None:
        """One bad file asked for by itself is a wrong request; among good ones it is a failed part."""
        if not self.refused:
            return
        if not self.clips:
            first, more = self.refused[0], len(self.refused) - 1
            rest = f" (and {more} more)" if more else ""
            raise type(first)(first.what + rest, where=first.where, do=first.do)
        total = len(self.clips) + len(self.refused)
        lines = "; ".join(f"{e.where}: {e.what}" for e in self.refused[:3])
        raise PartlyFailed(
            f"{len(self.refused)} of {total} files refused: {lines}", do="the others are ingested"
        )


def no_progress(name: str, number: int, total: int) -> AbstractContextManager[Progress | None]:
    """Watches nothing."""
    return nullcontext()


def ingest(
    videos: Sequence[Path],
    identity: str,
    *,
    home: str | None = None,
    rate: Fraction | None = None,
    max_side: int | None = None,
    silent_ok: bool = False,
    watch: Watch = no_progress,
) -> Ingested:
    """Turn footage of one person into clips. Without videos, takes what lies in raw/<identity>."""
    place = Home(home)
    consent.require(place, check_slug(identity), "ingest")
    files = find_footage([Path(video) for video in videos] or [place.path(f"raw/{identity}")])
    options = IngestOptions(rate, max_side, silent_ok)
    result = Ingested()
    arguments = {
        "videos": [str(file) for file in files],
        "silent_ok": silent_ok,
        "rate": rate,
        "max_side": max_side,
    }
    with run(Ledger(place.objects), "ingest", identity=identity, arguments=arguments) as this:
        for number, file in enumerate(files, 1):
            _ingest_one(place, file, identity, options, result, watch(file.name, number, len(files)))
        _settle(place, this, identity, result)
    return result


def _ingest_one(
    home: Home,
    file: Path,
    identity: str,
    options: IngestOptions,
    result: Ingested,
    watching: AbstractContextManager[Progress | None],
) -> None:
    try:
        with watching as progress:
            name = f"ingest {identity} <- {file.name}"
            result.clips.append(
                call(ingest_file, home, file, identity, options, progress=progress, name=name)
            )
    except MediaError as error:
        result.refused.append(error)


def _settle(home: Home, this: Run, identity: str, result: Ingested) -> None:
    if result.refused and not result.clips:
        result.raise_if_refused()  # nothing was done, so nothing is written down
    for error in result.refused:
        this.status = "partly"
        record_failure(
            Ledger(home.objects),
            this,
            stage="ingest",
            subject=str(error.where),
            error=error,
            identity=identity,
        )
