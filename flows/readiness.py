"""What stands before a dub: whether it may be, what is there of the steps to it, and running those that lack.

Called by `flows.dub`; it looks at everything that can be wrong before any work begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flows.again import extract_missing
from flows.failures import refused_clips
from flows.ingest import Watch
from storage import consent
from storage.artifacts import Artifact, check_whole, find, find_whole
from storage.errors import CorruptArtifact, RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.text import check_text

if TYPE_CHECKING:
    from tasks.dubbing.stage import DubOptions

__all__ = ["Known", "Planned", "known_of", "looked_at", "made_ready"]

# The stages before a dub, and what a person must have agreed to for each.
_PURPOSES: dict[str, consent.Purpose] = {"extract": "ingest", "remember": "train", "train": "train"}


@dataclass(frozen=True)
class Planned:
    """A step on the way, and whether it is done."""

    step: str
    done: bool
    about: str = ""


@dataclass
class Known:
    """What is there of the steps before a dub."""

    unextracted: list[str]
    features: list[Artifact] = field(default_factory=list)
    memory: Artifact | None = None
    wants_memory: bool = False
    checkpoints: dict[str, Artifact] = field(default_factory=dict)
    outdated: dict[str, Artifact] = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)
    optional: set[str] = field(default_factory=set)

    def untrained(self) -> list[str]:
        """Stages without which nothing can be dubbed."""
        return [one for one in self.stages if one not in self.checkpoints and one not in self.optional]

    def missing(self) -> list[str]:
        """Steps to run, in order."""
        return [
            *(["extract"] if self.unextracted else []),
            *(["remember"] if self.wants_memory and self.memory is None else []),
            *(["train"] if self.untrained() else []),
        ]

    def steps(self) -> list[Planned]:
        """What is made of features, for a dub to be drawn with."""
        memory = [Planned("remember", self.memory is not None)] if self.wants_memory else []
        wanted = [one for one in self.stages if one in self.checkpoints or one not in self.optional]
        return [*memory, *(Planned(f"train {one}", one in self.checkpoints) for one in wanted)]

    def unused(self) -> list[str]:
        """A line for every checkpoint in whose place another is made, or general weights speak."""
        why = "was made by another version of the method, or by other settings: it is not used"
        left = {stage: one for stage, one in self.outdated.items() if stage not in self.checkpoints}
        return [f"{one.id} ({stage}) {why}" for stage, one in left.items()]


def looked_at(home: str | None, identity: str, audio: Path, options: DubOptions) -> tuple[Home, Known, Path]:
    """Raises a RequestError for whatever is wrong with the request; does nothing."""
    from tasks.credentials import check_credentials
    from tasks.dubbing.hearing import require_audible
    from tasks.training import TrainOptions, method_of, require_methods

    place = Home(home)
    consent.require(place, check_slug(identity), "dub")
    check_text(str(audio), "AUDIO")
    require_audible(audio)
    require_methods([options.method])
    method_of(TrainOptions(options.method, options.preset))
    check_credentials(place)
    known = known_of(place, identity, options)
    for step in known.missing():
        consent.require(place, identity, _PURPOSES[step])
    if options.template is not None and not known.unextracted:
        from tasks.dubbing.template import named
        from tasks.material import open_materials

        named(open_materials(place, known.features), options.template)
    return place, known, audio


def known_of(home: Home, identity: str, options: DubOptions) -> Known:
    from tasks.dubbing.casting import newest_checkpoints
    from tasks.ears import ear_of, heard_alike, wanted_ear
    from tasks.remember import RememberOptions, features_of, recipe_of
    from tasks.training import TrainOptions, method_of, wants_memory

    ledger = Ledger(home.objects)
    clips = [row["id"] for row in ledger.live_clips(identity)]
    if not clips:
        raise RequestError("no clips", where=identity, do="`memdub ingest` footage first")
    try:
        sources = features_of(home, ledger, identity)
    except RequestError:
        sources = []
    method, config = method_of(TrainOptions(options.method, options.preset))
    stages = method.stages(config)
    there = {one.clip.id for one in sources}
    if sources:
        # They would be refused again, and there is something to dub without them.
        there |= refused_clips(ledger).keys()
    fitting = heard_alike(ledger, identity, sources, wanted_ear(home, stages))
    known = Known([clip for clip in clips if clip not in there], [one.features for one in fitting])
    personal = [stage for stage in stages if stage.personal]
    known.stages = [stage.name for stage in personal]
    known.optional = {stage.name for stage in personal if stage.optional}
    # A method without any training has nothing else to show than what is remembered.
    known.wants_memory = not stages or any(wants_memory(stage) for stage in stages)
    if sources:
        ear = ear_of(ledger, known.features[0])
        found, known.outdated = newest_checkpoints(home, identity, method, config, options.preset, ear)
        known.checkpoints = found
        own = _trained_with(home, ledger, identity, found)
        recipe = recipe_of(sources, RememberOptions())
        known.memory = own or find_whole(home, ledger, recipe, identity)
        _check_bytes(home, identity, options, found, own)
    return known


def _check_bytes(
    home: Home, identity: str, options: DubOptions, checkpoints: dict[str, Artifact], memory: Artifact | None
) -> None:
    """CorruptArtifact where what decides the pictures is no longer what was trained."""
    train = f"`memdub train {identity} --method {options.method} --preset {options.preset}` makes it anew"
    told = [(one, train) for one in checkpoints.values()]
    if memory is not None:
        told.append((memory, f"`memdub remember {identity}` makes it anew"))
    for one, do in told:
        try:
            check_whole(home, one, read_all=True)
        except CorruptArtifact as error:
            raise CorruptArtifact(error.what, where=one.id, do=do) from error


def _trained_with(
    home: Home, ledger: Ledger, identity: str, checkpoints: dict[str, Artifact]
) -> Artifact | None:
    """The memory that a checkpoint was trained with: its slots are what the network knows."""
    for one in checkpoints.values():
        named = json.loads(one.row["recipe"])["inputs"].get("memory")
        if named is not None:
            return find(ledger, named, identity)
    return None


def made_ready(
    home: Home,
    identity: str,
    options: DubOptions,
    known: Known,
    where: str | None,
    watch: Watch,
    tell: Callable[[str], None],
) -> Known:
    """Runs the steps that are missing."""
    for line in known.unused():
        tell(line)
    if "extract" in known.missing():
        extract_missing(home, identity, known.unextracted, watch, tell)
        known = known_of(home, identity, options)
    if "train" in known.missing():
        from flows.train import train
        from tasks.training import TrainOptions

        tell(f"{options.method} is not trained on {identity} yet: training it first")
        for stage in known.untrained():
            asked = TrainOptions(options.method, options.preset, seed=options.seed, stage=stage)
            train(identity, asked, where=where, home=home.url, watch=watch, tell=tell)
        known = known_of(home, identity, options)
    if "remember" in known.missing():
        from flows.remember import remember

        tell(f"remembering the mouths of {identity} first")
        known.memory = remember(identity, home=home.url).memory
    return known
