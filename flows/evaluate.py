"""The flow `evaluate`: methods held against the truth, on seconds of a clip that none of them was trained on.

Each method dubs the clip over itself, as `memdub dub` would: with the clip's own sound, and with a wrong one.
What is missing before that is made first. The dubs stay in the stores. Called by the command line, by
`flows.retry` and by Prefect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

from flows.dub import dub_within, require, told_of
from flows.engine import call
from flows.inventory import Inventory
from flows.watching import Watch, no_progress
from storage import consent
from storage.artifacts import Artifact, find, workspace_of
from storage.errors import RequestError, WorkError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.runs import run

if TYPE_CHECKING:
    from tasks.dubbing.stage import DubOptions
    from tasks.material import Material
    from tasks.trials import Trial

__all__ = ["METHODS", "Evaluated", "evaluate"]

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


@dataclass(frozen=True)
class Evaluated:
    """The scores, and a picture of mouths: the truth's, and below it each method's."""

    evaluation: Artifact
    told: dict[str, Any]
    sheet: str

    def as_dict(self) -> dict[str, Any]:
        return {"evaluations": [{**self.evaluation.as_dict(), **self.told, "sheet": self.sheet}]}

    def rows(self) -> list[dict[str, Any]]:
        """A row a method, by what is shown of it."""
        return [
            {
                "method": name,
                **{title: (one["figures"].get(figure) or {}).get("mean") for title, figure in _SHOWN.items()},
            }
            for name, one in self.told["methods"].items()
        ]

    def line(self) -> str:
        """One line for people: what was scored."""
        found = "already there" if self.evaluation.reused else "finished"
        return f"{self.evaluation.id}  {self.told['clip']}, {self.told['why']}: {found}"

    def picture(self, home: Home) -> bytes:
        """The mouths, as a JPEG."""
        from tasks.judged import SHEET

        return _stored(home, self.evaluation, SHEET)


def evaluate(
    identity: str,
    *,
    methods: Sequence[str] = METHODS,
    preset: str = "cpu",
    clip: str | None = None,
    home: str | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Evaluated:
    """Score methods on this person's clip; the longest that has features, where none is named."""
    place = Home(home)
    consent.require(place, check_slug(identity), "dub")
    chosen = _chosen(place, identity, clip)
    asked = _options(methods, preset, chosen.id)
    _require(place, chosen, asked)
    arguments = {"identity": identity, "methods": list(asked), "preset": preset, "clip": clip}
    with run(Ledger(place.objects), "evaluate", identity=identity, arguments=arguments):
        material = _material(place, chosen, watch, tell)
        trials = _dubbed(place, material, asked, watch, tell)
        made = _scored(place, material, trials, watch, tell)
    return _told(place, made)


def _chosen(home: Home, identity: str, clip: str | None) -> Artifact:
    """The clip that is named, by its id or how it begins; else the longest that speaks and has features."""
    ledger = Ledger(home.objects)
    rows = ledger.live_clips(identity)
    if not rows:
        raise RequestError("no clips", where=identity, do="`memdub ingest` footage first")
    if clip is None:
        there = _features(home, identity)
        rows = [row for row in rows if not row["silent"]] or rows
        rows = [row for row in rows if row["id"] in there] or rows
        row = max(rows, key=lambda row: row["duration_s"])
    else:
        whole = clip if clip.startswith("clip-") else f"clip-{clip}"
        named = [row for row in rows if row["id"].startswith(whole)]
        if len(named) != 1:
            what = f"no clip of {identity}" if not named else f"{len(named)} clips begin so"
            do = 'see: memdub query "select id, identity from clips"'
            raise RequestError(what, where=f"--clip {clip}", do=do)
        row = named[0]
    found = find(ledger, row["id"], identity)
    assert found is not None  # live clips are committed
    return found


def _features(home: Home, identity: str) -> dict[str, Artifact]:
    """The newest features by clip, of the clips that have some."""
    from tasks.remember import features_of

    try:
        return {one.clip.id: one.features for one in features_of(home, Ledger(home.objects), identity)}
    except RequestError:
        return {}


def _options(methods: Sequence[str], preset: str, clip: str) -> dict[str, DubOptions]:
    """How each method is to dub; RequestError where there is no such method."""
    from tasks.dubbing.stage import DubOptions
    from tasks.training import require_methods

    require_methods(methods, "--methods")
    # Frame is held against frame: whoever moves heads keeps them as they were filmed.
    return {name: DubOptions(name, preset, template=clip, pose="template") for name in methods}


def _require(home: Home, clip: Artifact, asked: dict[str, DubOptions]) -> None:
    """RequestError for whatever any of the dubs would be refused for, before the first is made."""
    from tasks.extract import video_of

    with video_of(home, clip) as video:
        for options in asked.values():
            # Whether the clip shows a face is for extraction to say, which may come first.
            require(home, str(clip.identity), video, replace(options, template=None))


def _material(home: Home, clip: Artifact, watch: Watch, tell: Callable[[str], None]) -> Material:
    """The clip with its features, which are made where they are missing."""
    from tasks.material import open_materials

    identity = str(clip.identity)
    if clip.id not in _features(home, identity):
        from flows.extract import extract

        tell(f"{clip.id} has no features: extracting them first")
        options = Inventory(home, Ledger(home.objects), identity).extract_options()
        done = extract([identity], options=options, clips=[clip.id], home=home.url, watch=watch, tell=tell)
        done.raise_if_refused()
    return open_materials(home, [_features(home, identity)[clip.id]])[0]


def _dubbed(
    home: Home, material: Material, asked: dict[str, DubOptions], watch: Watch, tell: Callable[[str], None]
) -> list[Trial]:
    """Each method's dubs of the clip."""
    from tasks.trials import Trial, sounds_of, unshown

    trials = []
    with workspace_of(home, f"sounds-{material.clip.id}") as folder:
        own, wrong = sounds_of(home, material, folder)
        for name, options in asked.items():
            hidden = replace(options, without=unshown(material))
            made = [
                _dub(home, material, sound, hidden, f"{name}, {which} sound", watch, tell)
                for which, sound in (("its own", own), ("wrong", wrong))
            ]
            trials.append(Trial(name, *made))
    return trials


def _dub(
    home: Home,
    material: Material,
    sound: Path,
    options: DubOptions,
    about: str,
    watch: Watch,
    tell: Callable[[str], None],
) -> Artifact:
    def watching(name: str, number: int, total: int) -> Any:
        return watch(f"{name}: {about}" if name.startswith("dubbing") else name, number, total)

    identity = str(material.clip.identity)
    made = dub_within(home, identity, sound, options, watch=watching, tell=tell)
    frames = told_of(home, made)["frames"]
    if frames != len(material.seen):
        what = f"has {frames} frames, and the clip that it was made over {len(material.seen)}"
        raise WorkError(what, where=made.id, do="report it as a bug")
    return made


def _scored(
    home: Home, material: Material, trials: list[Trial], watch: Watch, tell: Callable[[str], None]
) -> Artifact:
    from tasks.evaluating import Job
    from tasks.evaluating import evaluate as make
    from tasks.trials import scored

    def waiting(holder: str) -> None:
        tell(f"waiting for {holder}, which scores the same")

    identity = str(material.clip.identity)
    with watch(f"watching dubs of {identity}", 1, 1) as progress:
        job = Job(home, identity, material, trials, scored(home, material, trials), progress, waiting)
        return call(make, job, name=f"evaluate {identity}")


def _told(home: Home, made: Artifact) -> Evaluated:
    from tasks.evaluating import SCORES
    from tasks.judged import SHEET

    told = json.loads(_stored(home, made, SCORES))
    return Evaluated(made, told, home.uri(f"{made.uri}/{SHEET}"))


def _stored(home: Home, made: Artifact, name: str) -> bytes:
    with fsspec.open(home.uri(f"{made.uri}/{name}"), "rb") as file:
        content: bytes = file.read()
    return content
