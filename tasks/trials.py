"""Trials of methods on a clip: what each is asked to say over it, and which of its frames count.

    own, wrong = sounds_of(home, material, folder)       # what each method is asked to say over the clip
    told = scored(home, material, trials)                # which frames count, and what speaks against them
    take = Take(material, trials, told)

A clip may also be dubbed with other speech: then there is no truth, and every frame counts.

Frames count that none of the dubs' checkpoints was trained on: a dub's recipe names its checkpoints, and
theirs say what they held back. Of a dub from which nothing was hidden, a memory may know those frames all the
same, which is counted and said. Called by `flows.evaluate`, and by `tasks.evaluating`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.artifacts import Artifact, find
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.media import read_sound
from tasks.bundles import ROWS_A_SECOND
from tasks.dubbing.template import looks_of
from tasks.dubbing.walk import speaking
from tasks.extract import video_of
from tasks.material import Cut, Material
from tasks.measuring import RATE, earlier, in_step, write_sound
from tasks.remember import open_memory
from tasks.training import TrainOptions, method_of

__all__ = [
    "DRIVEN",
    "WRONG_S",
    "Scored",
    "Take",
    "Trial",
    "driven",
    "recipe_told",
    "redrawn",
    "scored",
    "sounds_of",
    "strangers",
    "unshown",
]

WRONG_S = 2
DRIVEN = "driven"
_FEW_S = 5.0
# Parameters of a dub that name frames of its template which it may know nothing of.
_HIDDEN = frozenset({"without", "hidden"})


class Trial(NamedTuple):
    """A method's dubs of the clip: with the sound that is asked for, and with a wrong one."""

    method: str
    own: Artifact
    wrong: Artifact | None = None  # where there is no truth, none is wrong


class Scored(NamedTuple):
    """Frames that count, from `start` to `stop`."""

    start: int
    stop: int
    split: str  # as the ledger's `metrics` have it
    why: str
    notes: tuple[str, ...] = ()


class Take(NamedTuple):
    """A clip, dubbed by each method over itself; or with other speech, of which there is no truth."""

    material: Material
    trials: Sequence[Trial]
    scored: Scored
    sound: str | None = None  # the name of that speech


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
    notes += _few((stop - start) / rate)
    aside = int((~redrawn(material, trials)[start:stop]).sum())
    if aside:
        what = "count for nobody: of a face turned aside some methods show what was filmed"
        notes.append(f"{aside} of {stop - start} frames {what}")
    return Scored(start, stop, split, why, tuple(filter(None, notes)))


def redrawn(material: Material, trials: Sequence[Trial]) -> NDArray[np.bool_]:
    """Frames of the clip (n,) that every method draws wholly: of a face turned aside some show the truth."""
    looks, order = looks_of(material), np.arange(len(material.seen))
    limits = {recipe_told(one.own)["parameters"].get("yaw_limit", math.inf) for one in trials}
    shares = [speaking(looks, order, material.rate, limit)[1] for limit in limits]
    # Where no face is, nobody is compared anyway.
    return np.asarray((np.min(shares, axis=0) >= 1) | ~material.seen)


def strangers(trials: Sequence[Trial]) -> Iterator[str]:
    """A line for each method that was left with its general weights, and may do better once trained."""
    for one in trials:
        parameters = recipe_told(one.own)["parameters"]
        if not parameters.get("general"):
            continue
        options = TrainOptions(parameters["method"], parameters["preset"])
        method, config = method_of(options)
        if any(stage.optional and stage.name in parameters["general"] for stage in method.stages(config)):
            preset = "" if options.preset == TrainOptions().preset else f" --preset {options.preset}"
            what = f"was not trained on {one.own.identity}, whom it draws by its general weights"
            yield f"{one.method} {what}: `memdub train {one.own.identity} --method {options.method}{preset}`"


def driven(material: Material, frames: int) -> Scored:
    """So many frames of other speech over this clip: all of them."""
    why = "all of it: nobody knows how it would have looked"
    return Scored(0, frames, DRIVEN, why, tuple(_few(frames / material.rate)))


def _few(seconds: float) -> list[str]:
    few = f"{seconds:.1f} s are few: scores of less than {_FEW_S:.0f} s wander"
    return [few] if seconds < _FEW_S else []


def _held_out(home: Home, dub: Artifact, clip: str, frames: int) -> Iterator[float | None]:
    """For each checkpoint of a dub, the share of the clip that it was not trained on; None for all of it.

    What the method was shown counts like what it was trained on.
    """
    ledger = Ledger(home.objects)
    parameters = recipe_told(dub)["parameters"]
    # A method that is shown frames, of this clip all but these; or that is told of a mouth by all but these.
    for name in _HIDDEN & parameters.keys():
        first, last = parameters[name] or (0, 0)
        yield (last - first) / max(frames, 1)
    for role, named in sorted(recipe_told(dub)["inputs"].items()):
        checkpoint = find(ledger, named, dub.identity) if role.startswith("checkpoint ") else None
        if checkpoint is None:
            continue
        told = recipe_told(checkpoint)
        rows = [find(ledger, one, dub.identity) for one in told["inputs"].values()]
        # What is no longer known may have been of this clip.
        met = any(row is None or recipe_told(row)["inputs"].get("clip") == clip for row in rows)
        yield float(told["parameters"]["held_out"]) if met else None


def recipe_told(artifact: Artifact) -> dict[str, Any]:
    """What the ledger says that it was made of."""
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
    why = f"{last}, held back to judge by" if known else f"{last}; nothing was trained"
    return start, "held_out", why


def _remembered(home: Home, trial: Trial, clip: str, frames: range) -> str | None:
    """What a dub that nothing was hidden from may have been drawn with: said, since it helps."""
    told = recipe_told(trial.own)
    if any(told["parameters"].get(name) for name in _HIDDEN):
        return None
    named = told["inputs"].get("memory")
    memory = None if named is None else find(Ledger(home.objects), named, trial.own.identity)
    if memory is None:
        return None
    kept = open_memory(home, memory)
    inside = (kept.frame >= frames.start) & (kept.frame < frames.stop)
    own = inside & (np.asarray(kept.clips)[kept.clip] == clip)
    if not own.any():
        return None
    return f"{trial.method}: its memory holds mouths of these seconds too, {own.sum()} of {len(own)}"
