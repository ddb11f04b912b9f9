"""The flow `ingest`: footage in, clips out; what is refused is said and does not stop the rest.

Called by the command line and, as `flows.deployable.ingest`, by Prefect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from flows.batch import error_of, refusals, status_of
from flows.engine import call
from flows.watching import Progress, Watch, no_progress
from storage import consent
from storage.artifacts import Artifact
from storage.errors import (
    ConsentError,
    HomeError,
    LeaseLost,
    MediaError,
    MemdubError,
    RequestError,
)
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import Run, record_failure, run
from storage.text import printable
from tasks.footage import IngestOptions, find_footage, hash_footage, inspect, refuse_unfilmed
from tasks.ingest import ingest_file

__all__ = ["Ingested", "Watch", "ingest", "no_progress", "rate_of"]

# What is wrong with more than the one file: the others would fail likewise.
ENDS_ALL = (HomeError, ConsentError, LeaseLost)


@dataclass
class Ingested:
    """What became of the footage."""

    clips: list[Artifact] = field(default_factory=list)
    refused: list[MemdubError] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "clips": [clip.as_dict() for clip in self.clips],
            "refused": refusals(self.refused),
        }

    @property
    def status(self) -> str:
        return status_of(len(self.clips), self.refused)

    def error(self) -> MemdubError | None:
        return error_of(len(self.clips), self.refused, things="files", done="ingested")

    def raise_if_refused(self) -> None:
        """For callers that want all or an error."""
        error = self.error()
        if error is not None:
            raise error


def ingest(
    videos: Sequence[Path],
    identity: str,
    *,
    home: str | None = None,
    record: Path | None = None,
    rate: Fraction | None = None,
    max_side: int | None = None,
    silent_ok: bool = False,
    watch: Watch = no_progress,
    tell: Callable[[str], None] | None = None,
) -> Ingested:
    """Turn footage of one person into clips. Without videos, takes what lies in raw/<identity>.

    `record` is a consent record to keep for them; it is kept only if there is footage to use it on.
    """
    place = Home(home)
    options = IngestOptions(rate, max_side, silent_ok)
    held = _consent(place, check_slug(identity), record)
    files = _footage(place, identity, videos)
    result = Ingested()
    if record is not None:
        result.refused = _unusable(place, held, files, options)
        if result.refused:
            return result
        consent.store(place, identity, record)
    arguments = {
        "videos": [str(file.absolute()) for file in files],
        "silent_ok": silent_ok,
        "rate": rate,
        "max_side": max_side,
    }
    with run(Ledger(place.objects), "ingest", identity=identity, arguments=arguments) as this:
        for number, file in enumerate(files, 1):
            watching = watch(printable(file.name), number, len(files))
            _ingest_one(place, file, identity, options, result, watching, tell)
        this.status = result.status
        _write_down(place, this, identity, result, files)
    return result


def rate_of(text: str | None) -> Fraction | None:
    """Frames a second as somebody gave them; None where nobody did."""
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise RequestError("not a frame rate", where=f"--fps {text}", do="use 25 or 30000/1001") from error
    if not 1 <= rate <= 240:
        raise RequestError("not a usable frame rate", where=f"--fps {text}", do="use 1 to 240")
    return rate


def _consent(home: Home, identity: str, record: Path | None) -> consent.Consent:
    if record is None:
        return consent.require(home, identity, "ingest")
    return consent.examine(home, identity, record, "ingest")


def _footage(home: Home, identity: str, videos: Sequence[Path]) -> list[Path]:
    if videos:
        return find_footage([Path(video) for video in videos], home, identity)
    raw = home.path(f"raw/{identity}")
    try:
        if raw.is_dir():
            return find_footage([raw], home, identity)
    except MediaError:
        pass
    raise MediaError("no footage", where=raw, do="put footage there or name files")


def _unusable(
    home: Home, held: consent.Consent, files: Sequence[Path], options: IngestOptions
) -> list[MemdubError]:
    """Why none of the files can be used; empty as soon as one can."""
    refused: list[MemdubError] = []
    for file in files:
        try:
            inspect(file, home.settings, options)
            if held.synthetic:
                refuse_unfilmed(Ledger(home.objects), held, hash_footage(file, home.settings), file)
        except (MediaError, ConsentError) as error:
            refused.append(error)
        else:
            return []
    return refused


def _ingest_one(
    home: Home,
    file: Path,
    identity: str,
    options: IngestOptions,
    result: Ingested,
    watching: AbstractContextManager[Progress | None],
    tell: Callable[[str], None] | None,
) -> None:
    def waiting(holder: str) -> None:
        if tell is not None:
            tell(f"waiting for {holder}, which makes this clip")

    try:
        with watching as progress:
            name = f"ingest {identity} <- {printable(file.name)}"
            result.clips.append(
                call(
                    ingest_file, home, file, identity, options, progress=progress, waiting=waiting, name=name
                )
            )
    except ENDS_ALL:
        raise
    except MemdubError as error:
        # Every refusal names something: the file, where the error knew nothing closer.
        result.refused.append(type(error)(error.what, where=error.where or file, do=error.do))


def _write_down(home: Home, this: Run, identity: str, result: Ingested, files: Sequence[Path]) -> None:
    if this.status == "refused":
        return  # nothing was done, so nothing is written down
    # Whoever tries again may be in another folder.
    names = {str(file): str(file.absolute()) for file in files}
    for error in result.refused:
        record_failure(
            Ledger(home.objects),
            this,
            stage="ingest",
            subject=names.get(str(error.where), str(error.where)),
            error=error,
            identity=identity,
        )
