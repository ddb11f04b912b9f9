"""The flow `evaluate`: methods held against the truth, on seconds of clips that none of them was trained on.

Each method dubs each clip over itself, as `memdub dub` would: with the clip's own sound, and with a wrong
one. Or it dubs the clip with other speech, of another person or in another language, of which there is no
truth. What is missing before that is made first. The dubs stay in the stores. Called by the command line, by
`flows.retry` and by Prefect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.engine import call
from flows.evaluation_page import DATA, files_of, write
from flows.trying import Taking, chosen, options_of, require_able
from flows.watching import Watch, no_progress
from storage import consent
from storage.artifacts import Artifact, stored
from storage.errors import RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import run

if TYPE_CHECKING:
    from tasks.judging.judges import Judges
    from tasks.trials import Take

__all__ = ["METHODS", "Evaluated", "evaluate", "every", "require_folder"]

# The floor first.
METHODS = ("nearest", "memface")
# What a terminal has room for: columns, and figures.
_SHOWN = {
    "opening": "opening",
    "LMD, %": "lmd",
    "PSNR, dB": "psnr",
    "SSIM": "ssim",
    "sharp": "sharpness",
    "in sync": "sync_c",
    "opening, wrong sound": "opening_wrong_sound",
    "seen": "seen",
}
_SHOWN_DRIVEN = {
    "in sync": "sync_c",
    "sound late": "offset",
    "silent motion": "leakage_share",
    "shake": "shake",
    "blinks": "blink_rate",
    "seen": "seen",
}


@dataclass(frozen=True)
class Evaluated:
    """The scores, and a picture of mouths of the first take: the truth's, and below it each method's."""

    evaluation: Artifact
    told: dict[str, Any]
    sheet: str

    def as_dict(self) -> dict[str, Any]:
        return {"evaluations": [{**self.evaluation.as_dict(), **self.told, "sheet": self.sheet}]}

    @property
    def driven(self) -> bool:
        """By other speech: there is no truth."""
        return self.told["truth"] is None

    def rows(self) -> list[dict[str, Any]]:
        """A row a method, by what is shown of it."""
        shown = _SHOWN_DRIVEN if self.driven else _SHOWN
        return [
            {
                "method": name,
                **{title: (one["figures"].get(figure) or {}).get("mean") for title, figure in shown.items()},
            }
            for name, one in self.told["methods"].items()
        ]

    def lines(self) -> list[str]:
        """For people: what was scored, a line a take."""
        found = "already there" if self.evaluation.reused else "finished"
        takes = [
            f"{one['clip']}{'' if one['sound'] is None else ' says ' + one['sound']}, {one['why']}"
            for one in self.told["takes"]
        ]
        return [f"{self.evaluation.id}  {takes[0]}: {found}", *(f"  and {one}" for one in takes[1:])]

    def picture(self, home: Home) -> bytes:
        """The mouths, as a JPEG."""
        from tasks.judged import SHEET

        return stored(home, self.evaluation, SHEET)

    def write_page(self, home: Home, folder: Path) -> Path:
        """The page with its films, in a folder that opens from a disk."""
        files = {name: stored(home, self.evaluation, name) for name in files_of(self.told)}
        return write(folder, {**self.told, "id": self.evaluation.id}, files)


def every() -> list[str]:
    """All methods that there are, the floor first."""
    from tasks.training import known_methods

    return sorted(known_methods(), key=lambda name: (name != METHODS[0], name))


def require_folder(folder: Path) -> None:
    """RequestError where no page can be written: before the hours that it may take to have one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".written").touch()
        (folder / ".written").unlink()
        there = {one.name for one in folder.iterdir()}
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise RequestError(what, where=f"--html {folder}", do="name another folder") from error
    if there and DATA not in there:
        raise RequestError("holds something else", where=f"--html {folder}", do="name a new folder")


def evaluate(
    identity: str,
    *,
    methods: Sequence[str] = METHODS,
    preset: str = "cpu",
    clips: Sequence[str] = (),
    speech: Sequence[str | Path] = (),
    home: str | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Evaluated:
    """Score methods on this person's clips; on the longest that has features, where none is named.

    With `speech` they say that, over the first of the clips, and are held against no truth.
    """
    from tasks.in_sync import public_scorer
    from tasks.judging.judges import judges_of

    place, sounds = Home(home), [Path(one) for one in speech]
    consent.require(place, check_slug(identity), "dub")
    judges = judges_of()
    public_scorer()  # whatever it is refused for, before any work
    over = chosen(place, identity, clips)
    if sounds and len(over) > 1:
        raise RequestError("speech goes over one clip", where="--clip", do="name one, or leave --speech away")
    for clip in over:
        require_able(place, clip, options_of(methods, preset, clip.id), sounds)
    arguments = {"identity": identity, "methods": list(methods), "preset": preset, "clips": list(clips)}
    arguments["speech"] = [str(one.absolute()) for one in sounds]
    with run(Ledger(place.objects), "evaluate", identity=identity, arguments=arguments):
        takes = [
            take for clip in over for take in Taking(place, clip, methods, preset, watch, tell).takes(sounds)
        ]
        made = _scored(place, takes, judges, watch, tell)
    return _told(place, made)


def _scored(
    home: Home, takes: list[Take], judges: Judges, watch: Watch, tell: Callable[[str], None]
) -> Artifact:
    from tasks.evaluating import Job
    from tasks.evaluating import evaluate as make

    def waiting(holder: str) -> None:
        tell(f"waiting for {holder}, which scores the same")

    identity = str(takes[0].material.clip.identity)
    with watch(f"watching dubs of {identity}", 1, 1) as progress:
        return call(make, Job(home, identity, takes, judges, progress, waiting), name=f"evaluate {identity}")


def _told(home: Home, made: Artifact) -> Evaluated:
    from tasks.evaluating import TOLD
    from tasks.judged import SHEET

    told = json.loads(stored(home, made, TOLD))
    return Evaluated(made, told, home.uri(f"{made.uri}/{SHEET}"))
