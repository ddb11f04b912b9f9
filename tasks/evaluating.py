"""The stage `evaluate`: dubs of a clip over itself, held against that clip where no training saw it.

    own, wrong = sounds_of(home, material, folder)       # what each method is asked to say over the clip
    told = scored(home, material, trials)                # which frames count, and what speaks against them
    artifact = evaluate(Job(home, "anna", material, trials, told))

Films are watched as anybody would. Frames count that none of the dubs' checkpoints was trained on: a dub's
recipe names its checkpoints, and theirs say what they held back. A memory may know those frames all the same,
which is counted and said; so do averages over a person's clips, which all methods alike are given. Called by
`flows.evaluate`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from storage import consent
from storage.artifacts import Artifact, Made, find, produce
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.media import read_sound
from storage.recipes import Recipe
from tasks.bundles import ROWS_A_SECOND
from tasks.dubbing.stage import FILM
from tasks.extract import file_of, video_of
from tasks.in_sync import bundled_expert, measured, public_scorer
from tasks.material import Cut, Material
from tasks.measuring import RATE, earlier, held, in_step, write_sound
from tasks.remember import open_memory
from tasks.team import Team, open_team
from tasks.watching import Watched, correlation, mouth_sheet, watch

__all__ = [
    "SCORES",
    "SHEET",
    "WRONG_S",
    "Job",
    "Scored",
    "Trial",
    "evaluate",
    "recipe_of",
    "scored",
    "sounds_of",
    "unshown",
]

# Risen when the same dubs get other scores.
VERSION = 3
SCORES, SHEET = "scores.json", "mouths.jpg"
WRONG_S = 2
_FEW_S = 5.0


class Trial(NamedTuple):
    """A method's dubs of the clip: with the clip's own sound, and with a wrong one."""

    method: str
    own: Artifact
    wrong: Artifact


class Scored(NamedTuple):
    """Frames that count, from `start` to `stop`."""

    start: int
    stop: int
    split: str  # as the ledger's `metrics` have it
    why: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Job:
    """One evaluation, with everything that it is made from."""

    home: Home
    identity: str
    material: Material
    trials: Sequence[Trial]
    scored: Scored
    step: Callable[[int, int], None] | None = None  # films watched, of how many
    waiting: Callable[[str], None] | None = None


def sounds_of(home: Home, material: Material, folder: Path) -> tuple[Path, Path]:
    """The clip's own sound, in step with its pictures and as long, and that of some seconds earlier."""
    seconds = len(material.seen) / material.rate
    with video_of(home, material.clip) as video:
        own = in_step(read_sound(video, RATE), material.sound_late_s, seconds)
    name = f"sound of {material.clip.id}"
    wrong = write_sound(folder / f"{name}, {WRONG_S} s late.wav", earlier(own, WRONG_S))
    return write_sound(folder / f"{name}.wav", own), wrong


def unshown(material: Material) -> tuple[int, int]:
    """Frames of the clip that no method may be shown before it dubs: those that training holds back."""
    frames = len(material.seen)
    return Cut().edge(frames), frames


def scored(home: Home, material: Material, trials: Sequence[Trial]) -> Scored:
    """The frames that nothing was trained on, as the recipes of the dubs' checkpoints tell."""
    frames, rate = len(material.seen), material.rate
    shares = [share for one in trials for share in _held_out(home, one.own, material.clip.id, frames)]
    start, split, why = _unseen(shares, frames, rate)
    late = math.ceil(abs(material.sound_late_s) * rate - 1e-6)
    # What was heard before the clip began, or after it ended, nobody knows.
    start, stop = (start, frames - late) if material.sound_late_s > 0 else (max(start, late), frames)
    if stop - start < 2:
        raise RequestError("too short to be scored", where=material.clip.id, do="name a longer one by --clip")
    notes = [_remembered(home, one, material.clip.id, range(start, stop)) for one in trials]
    if (seconds := (stop - start) / rate) < _FEW_S:
        notes.append(f"{seconds:.1f} s are few: scores of less than {_FEW_S:.0f} s wander")
    return Scored(start, stop, split, why, tuple(filter(None, notes)))


def _held_out(home: Home, dub: Artifact, clip: str, frames: int) -> Iterator[float | None]:
    """For each checkpoint of a dub, the share of the clip that it was not trained on; None for all of it.

    What the method was shown counts like what it was trained on.
    """
    ledger = Ledger(home.objects)
    parameters = _recipe(dub)["parameters"]
    if "without" in parameters:  # a method that is shown frames: of this clip all but these
        first, last = parameters["without"] or (0, 0)
        yield (last - first) / max(frames, 1)
    for role, named in sorted(_recipe(dub)["inputs"].items()):
        checkpoint = find(ledger, named, dub.identity) if role.startswith("checkpoint ") else None
        if checkpoint is None:
            continue
        told = _recipe(checkpoint)
        rows = [find(ledger, one, dub.identity) for one in told["inputs"].values()]
        # What is no longer known may have been of this clip.
        met = any(row is None or _recipe(row)["inputs"].get("clip") == clip for row in rows)
        yield float(told["parameters"]["held_out"]) if met else None


def _recipe(artifact: Artifact) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(artifact.row["recipe"])
    return told


def _unseen(shares: Sequence[float | None], frames: int, rate: float) -> tuple[int, str, str]:
    """From which frame on, the split, and why."""
    known = [share for share in shares if share is not None]
    if shares and not known:
        return 0, "held_out", "all of it, as none of it was trained on"
    least = min(known, default=Cut().held_out)
    # Some stages are trained on 25 rows a second, which at other rates reach a frame further.
    start = Cut(least).edge(frames) + int(rate != ROWS_A_SECOND)
    if start >= frames - 1:
        return 0, "all", "all of it, and training held nothing of it back"
    last = f"its last {(frames - start) / rate:.1f} s"
    why = f"{last}, which training held back to judge by" if known else f"{last}; nothing was trained"
    return start, "held_out", why


def _remembered(home: Home, trial: Trial, clip: str, frames: range) -> str | None:
    """What is drawn with is of all seconds: said, since it helps."""
    named = _recipe(trial.own)["inputs"].get("memory")
    memory = None if named is None else find(Ledger(home.objects), named, trial.own.identity)
    if memory is None:
        return None
    kept = open_memory(home, memory)
    inside = (kept.frame >= frames.start) & (kept.frame < frames.stop)
    own = inside & (np.asarray(kept.clips)[kept.clip] == clip)
    if not own.any():
        return None
    return f"{trial.method}: its memory holds mouths of these seconds too, {own.sum()} of {len(own)}"


def recipe_of(job: Job) -> Recipe:
    """What the evaluation is made of, and so what it is called."""
    told = job.scored
    inputs = {"truth": job.material.clip.id}
    for one in job.trials:
        inputs |= {one.method: one.own.id, f"{one.method}, wrong sound": one.wrong.id}
    methods = [one.method for one in job.trials]
    parameters = {"frames": [told.start, told.stop], "split": told.split, "methods": methods}
    return Recipe("evaluation", "evaluate", VERSION, parameters, inputs)


def evaluate(job: Job) -> Artifact:
    """The evaluation: found, or made now."""
    consent.require(job.home, job.identity, "dub")
    recipe = recipe_of(job)

    def make(workspace: Path) -> Made:
        methods = _measured(job, workspace / SHEET)
        (workspace / SCORES).write_text(json.dumps(_told(job, methods), indent=1))
        return Made(metrics=_metrics(job, recipe.id, methods), lineage=_heard(job))

    return produce(job.home, recipe, make, identity=job.identity, waiting=job.waiting)


def _measured(job: Job, sheet: Path) -> dict[str, dict[str, float | None]]:
    """Figures by method; the truth's mouths and each method's, under each other."""
    found, rows = {}, []
    with ExitStack() as files, open_team(1) as team:
        look = _Looker(job, team)
        truth = files.enter_context(video_of(job.home, job.material.clip))
        true = look(truth)
        for one in job.trials:
            own, wrong = (files.enter_context(file_of(job.home, dub, FILM)) for dub in (one.own, one.wrong))
            made = look(own)
            score = held(own, made, truth, true)
            rows.append((own, made))
            found[one.method] = {
                "opening": _number(score.opening),
                "late_frames": score.late,
                "lips_percent": _number(score.lips),
                "psnr_db": _number(score.psnr),
                "seen_share": score.seen,
                "opening_wrong_sound": _number(correlation(look(wrong).gaps, true.gaps)),
                **look.in_sync(own),
            }
        sheet.write_bytes(mouth_sheet([(truth, true), *rows]))
    return found


@dataclass
class _Looker:
    """Watches film after film, by a worker: MediaPipe talks to standard error, which is the user's."""

    job: Job
    team: Team
    done: int = 0

    def __call__(self, film: Path) -> Watched:
        told = self.job.scored
        seen: Watched = self.team.do(watch, film, told.start, told.stop, name=f"watch-{self.done}")
        self._tell()
        return seen

    def in_sync(self, film: Path) -> dict[str, float | None]:
        """What the expert says of lips and sound; nothing where too little is scored."""
        told = self.job.scored
        url = self.job.home.url
        said: dict[str, float | None] = self.team.do(
            in_sync_of, film, url, told.start, told.stop, name=f"in-sync-{self.done}"
        )
        self._tell()
        return {"sync_offset" if name == "offset" else name: value for name, value in said.items()}

    def _tell(self) -> None:
        self.done += 1
        if self.job.step is not None:
            self.job.step(self.done, 1 + 3 * len(self.job.trials))


def in_sync_of(film: Path, home: str, first: int, stop: int) -> dict[str, float | None]:
    """What the expert, and the public one where it is here, say of a part of a film; for workers."""
    return measured(film, bundled_expert(Home(home)), first, stop, public_scorer())


def _heard(job: Job) -> list[dict[str, Any]]:
    """Where the sounds came from that the dubs have as speech."""
    clip, one = job.material.clip.id, job.trials[0]
    return [
        {"child": f"sha256:{sha256}", "parent": clip, "role": role, "parent_name": None}
        for dub, role in ((one.own, "its sound"), (one.wrong, f"its sound, {WRONG_S} s late"))
        for _, sha256 in _recipe(dub)["raw"]
    ]


def _number(value: float) -> float | None:
    """What cannot be told is null, in JSON and in Parquet."""
    return value if math.isfinite(value) else None


def _told(job: Job, methods: dict[str, dict[str, float | None]]) -> dict[str, Any]:
    told, rate = job.scored, job.material.rate
    dubs = {one.method: {"dub": one.own.id, "dub_wrong_sound": one.wrong.id} for one in job.trials}
    return {
        "clip": job.material.clip.id,
        "frames": [told.start, told.stop],
        "seconds": (told.stop - told.start) / rate,
        "split": told.split,
        "why": told.why,
        "notes": list(told.notes),
        "methods": {name: {**figures, **dubs[name]} for name, figures in methods.items()},
    }


def _metrics(job: Job, recipe: str, methods: dict[str, dict[str, float | None]]) -> list[dict[str, Any]]:
    named = {"artifact": recipe, "identity": job.identity, "split": job.scored.split}
    return [
        {**named, "metric": f"{method} {name}", "value": None if value is None else float(value)}
        for method, figures in methods.items()
        for name, value in figures.items()
    ]
