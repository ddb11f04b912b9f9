"""The flow `dub`: a person's name and a sound file in, a signed film of that person saying it out.

What is missing before it is run: extraction, memory, training. Called by the command line, by Prefect, and in
parts by `flows.evaluate`, whose dubs stay in the stores. Consent, the sound file and the place for the result
are looked at before any work.
"""

from __future__ import annotations

import json
import math
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np

from flows.again import extract_missing
from flows.engine import call
from flows.failures import refused_clips
from flows.ingest import Watch, no_progress
from storage import consent
from storage.artifacts import Artifact, check_whole, find, find_whole
from storage.errors import CorruptArtifact, MediaError, RequestError
from storage.home import Home, check_slug
from storage.ledger import Ledger
from storage.recipes import hash_file
from storage.runs import run
from storage.text import check_text

if TYPE_CHECKING:
    from tasks.audio_backends import AudioBackend
    from tasks.dubbing.stage import DubOptions, Job

__all__ = ["Dubbed", "Planned", "before", "dub", "dub_within", "plan", "require"]

# The stages before a dub, and what a person must have agreed to for each.
_PURPOSES: dict[str, consent.Purpose] = {"extract": "ingest", "remember": "train", "train": "train"}


@dataclass(frozen=True)
class Dubbed:
    """A film, what it was made over, and what speaks against it."""

    dub: Artifact
    path: Path
    sha256: str
    told: dict[str, Any]
    seconds_by_part: dict[str, float] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        return list(self.told["warnings"])

    def as_dict(self) -> dict[str, Any]:
        told = {name: self.told[name] for name in ("template", "why", "frames", "seconds", "rate", "size")}
        film = {**self.dub.as_dict(), "path": str(self.path), "sha256": self.sha256, **told}
        return {"dubs": [{**film, "warnings": self.warnings}]}

    def line(self) -> str:
        """One line for people."""
        found = "already there" if self.dub.reused else "finished"
        what = f"{self.told['seconds']:.1f} s of speech, {self.told['frames']} frames"
        return f"{self.path}  {self.dub.id}: {what}, {found}"


@dataclass(frozen=True)
class Planned:
    """A step on the way, and whether it is done."""

    step: str
    done: bool
    about: str = ""


@dataclass
class _Known:
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


def dub(
    identity: str,
    audio: str | Path,
    out: str | Path | None = None,
    *,
    options: DubOptions | None = None,
    home: str | None = None,
    workers: int = 0,
    where: str | None = None,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Dubbed:
    """Have this person say what the sound file says; `where` is the Prefect work pool that trains first."""
    from tasks.dubbing.stage import DubOptions, told_of

    options, audio = options or DubOptions(), Path(audio)
    place, known, audio = _looked_at(home, identity, audio, options)
    if where is not None:
        from flows.pools import check

        check(where, place)  # not only after the minutes of an extraction
    target = _own_folder(place) if out is None else _checked_out(Path(out), audio)
    files = {"audio": str(audio.absolute()), "out": str(target.absolute())}
    asked = {"identity": identity, **files, "options": options.__dict__, "where": where, "workers": workers}
    with run(Ledger(place.objects), "dub", identity=identity, arguments=asked):
        known = _made_ready(place, identity, options, known, where, watch, tell)
        job = _job(place, identity, audio, options, known)
        tell(f"template {job.chosen.material.clip.id}, {job.chosen.why}")
        made = _dub(job, workers, watch, tell)
        told = told_of(place, made)
        path = target if out is not None else target / _own_name(job, made)
        sha256 = _copied(place, made, path)
    return Dubbed(made, path, sha256, told, dict(job.clock.seconds))


def require(home: Home, identity: str, audio: Path, options: DubOptions) -> None:
    """Raises a RequestError for whatever `dub` would refuse before any work."""
    _looked_at(home.url, identity, audio, options)


def dub_within(
    home: Home,
    identity: str,
    audio: Path,
    options: DubOptions,
    *,
    watch: Watch = no_progress,
    tell: Callable[[str], None] = lambda line: None,
) -> Artifact:
    """The dub as a part of a run that is under way: made all the same, but no film leaves the stores."""
    place, known, audio = _looked_at(home.url, identity, audio, options)
    known = _made_ready(place, identity, options, known, None, watch, tell)
    return _dub(_job(place, identity, audio, options, known), 0, watch, tell)


def before(identity: str, options: DubOptions, *, home: str | None = None) -> list[Planned]:
    """Memory and trainings that a dub is drawn with, and whether they are there; computes nothing."""
    return _known(Home(home), identity, options).steps()


def plan(
    identity: str, audio: str | Path, *, options: DubOptions | None = None, home: str | None = None
) -> list[Planned]:
    """What would run; makes nothing."""
    from tasks.dubbing.stage import DubOptions, recipe_of

    options = options or DubOptions()
    place, known, audio = _looked_at(home, identity, Path(audio), options)
    missing = known.missing()
    steps = [Planned("extract", "extract" not in missing), *known.steps()]
    if missing:
        return [*steps, Planned("dub", False)]
    job = _job(place, identity, audio, options, known)
    recipe = recipe_of(job)
    done = find_whole(place, Ledger(place.objects), recipe, identity) is not None
    about = f"{recipe.id} over {job.chosen.material.clip.id}, {job.chosen.why}"
    return [*steps, Planned("dub", done, about)]


def _looked_at(
    home: str | None, identity: str, audio: Path, options: DubOptions
) -> tuple[Home, _Known, Path]:
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
    known = _known(place, identity, options)
    for step in known.missing():
        consent.require(place, identity, _PURPOSES[step])
    if options.template is not None and not known.unextracted:
        from tasks.dubbing.template import named
        from tasks.material import open_materials

        named(open_materials(place, known.features), options.template)
    return place, known, audio


def _known(home: Home, identity: str, options: DubOptions) -> _Known:
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
    known = _Known([clip for clip in clips if clip not in there], [one.features for one in fitting])
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


def _made_ready(
    home: Home,
    identity: str,
    options: DubOptions,
    known: _Known,
    where: str | None,
    watch: Watch,
    tell: Callable[[str], None],
) -> _Known:
    """Runs the steps that are missing."""
    for line in known.unused():
        tell(line)
    if "extract" in known.missing():
        extract_missing(home, identity, known.unextracted, watch, tell)
        known = _known(home, identity, options)
    if "train" in known.missing():
        from flows.train import train
        from tasks.training import TrainOptions

        tell(f"{options.method} is not trained on {identity} yet: training it first")
        for stage in known.untrained():
            asked = TrainOptions(options.method, options.preset, seed=options.seed, stage=stage)
            train(identity, asked, where=where, home=home.url, watch=watch, tell=tell)
        known = _known(home, identity, options)
    if "remember" in known.missing():
        from flows.remember import remember

        tell(f"remembering the mouths of {identity} first")
        known.memory = remember(identity, home=home.url).memory
    return known


def _job(home: Home, identity: str, audio: Path, options: DubOptions, known: _Known) -> Job:
    from tasks.dubbing.casting import Cast
    from tasks.dubbing.stage import Job
    from tasks.dubbing.template import choose, named
    from tasks.material import open_materials
    from tasks.preflight import WANTS
    from tasks.training import TrainOptions, method_of

    method, config = method_of(TrainOptions(options.method, options.preset))
    materials = open_materials(home, known.features)
    cast = Cast(method, config, materials, known.memory if known.wants_memory else None, known.checkpoints)
    limit = float(np.radians(WANTS[options.method].yaw_deg if options.method in WANTS else 45.0))
    if options.template is not None:
        chosen = named(materials, options.template)
    else:
        chosen = choose(materials, _seconds(audio), limit)
    backend = _backend(home, chosen.material.features)
    return Job(home, identity, audio, hash_file(audio), cast, chosen, backend, limit, options)


def _seconds(audio: Path) -> float:
    from storage.media import probe

    found = probe(audio).audio
    return math.inf if found is None or found.duration_s <= 0 else found.duration_s


def _backend(home: Home, features: Artifact) -> AudioBackend:
    """The ear that the person's features were made with: a method knows no other."""
    from tasks.audio_backends import find_backend
    from tasks.ears import Ear, ear_of

    ear = ear_of(Ledger(home.objects), features)
    backend = find_backend(ear.name, home.url)
    if not ear.fits(Ear(backend.name, backend.version)):
        what = f"its speech was heard with other weights of {ear.name} than are here now"
        do = f"run `memdub extract {features.identity} --speech {ear.name}`, or put the old weights back"
        raise RequestError(what, where=features.id, do=do)
    return backend


def _dub(job: Job, workers: int, watch: Watch, tell: Callable[[str], None]) -> Artifact:
    from dataclasses import replace

    from tasks.dubbing.stage import dub as make

    def waiting(holder: str) -> None:
        tell(f"waiting for {holder}, which makes the same dub")

    with watch(f"dubbing {job.identity}", 1, 1) as progress:
        job = replace(job, workers=workers, step=progress, waiting=waiting)
        return call(make, job, name=f"dub {job.identity}")


def _checked_out(out: Path, audio: Path) -> Path:
    check_text(str(out), "--out")
    if out.suffix.lower() != ".mp4":
        raise RequestError("a dub is an MP4 file", where=f"--out {out}", do="give a name that ends in .mp4")
    if out.exists() and not out.is_file():
        raise RequestError("is not a file", where=f"--out {out}", do="name a file")
    if not out.absolute().parent.is_dir():
        do = "name a file in a folder that exists"
        raise RequestError("its folder does not exist", where=f"--out {out}", do=do)
    if out.exists() and out.samefile(audio):
        raise RequestError("would replace the speech itself", where=f"--out {out}", do="choose another name")
    return out


def _own_folder(home: Home) -> Path:
    if not home.is_local:
        raise RequestError("a home in a bucket has no folder for it", where="--out", do="name a file with -o")
    return home.path("out")


def _own_name(job: Job, made: Artifact) -> str:
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in job.audio.stem)[:60] or "speech"
    return f"{job.identity}-{stem}-{made.id.rpartition('-')[2][:8]}.mp4"


def _copied(home: Home, made: Artifact, target: Path) -> str:
    """The film where it was asked for, whole or not at all; returns its digest."""
    from tasks.dubbing.stage import FILM

    part = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with fsspec.open(home.uri(f"{made.uri}/{FILM}"), "rb") as source, part.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        sha256 = hash_file(part)
        part.replace(target)
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise MediaError(what, where=target, do="name another place with -o") from error
    finally:
        part.unlink(missing_ok=True)
    return sha256
