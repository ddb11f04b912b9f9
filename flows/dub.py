"""The flow `dub`: a person's name and a sound file in, a signed film of that person saying it out.

What is missing before it is run: extraction, memory, training. Called by the command line, by Prefect, and in
parts by `flows.evaluate`, whose dubs stay in the stores. Consent, the sound file and the place for the result
are looked at before any work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.engine import call
from flows.film_out import checked_out, copied, own_folder
from flows.ingest import Watch, no_progress
from flows.readiness import Known, Planned, known_of, looked_at, made_ready
from storage.artifacts import Artifact, find_whole
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import hash_file
from storage.runs import run

if TYPE_CHECKING:
    from tasks.audio_backends import AudioBackend
    from tasks.dubbing.stage import DubOptions, Job

__all__ = ["Dubbed", "before", "dub", "dub_within", "plan", "require"]


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
    place, known, audio = looked_at(home, identity, audio, options)
    if where is not None:
        from flows.pools import check

        check(where, place)  # not only after the minutes of an extraction
    target = own_folder(place) if out is None else checked_out(Path(out), audio)
    files = {"audio": str(audio.absolute()), "out": str(target.absolute())}
    asked = {"identity": identity, **files, "options": options.__dict__, "where": where, "workers": workers}
    with run(Ledger(place.objects), "dub", identity=identity, arguments=asked):
        known = made_ready(place, identity, options, known, where, watch, tell)
        job = _job(place, identity, audio, options, known)
        tell(f"template {job.chosen.material.clip.id}, {job.chosen.why}")
        made = _dub(job, workers, watch, tell)
        told = told_of(place, made)
        path = target if out is not None else target / _own_name(job, made)
        sha256 = copied(place, made, path)
    return Dubbed(made, path, sha256, told, dict(job.clock.seconds))


def require(home: Home, identity: str, audio: Path, options: DubOptions) -> None:
    """Raises a RequestError for whatever `dub` would refuse before any work."""
    looked_at(home.url, identity, audio, options)


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
    place, known, audio = looked_at(home.url, identity, audio, options)
    known = made_ready(place, identity, options, known, None, watch, tell)
    return _dub(_job(place, identity, audio, options, known), 0, watch, tell)


def before(identity: str, options: DubOptions, *, home: str | None = None) -> list[Planned]:
    """Memory and trainings that a dub is drawn with, and whether they are there; computes nothing."""
    return known_of(Home(home), identity, options).steps()


def plan(
    identity: str, audio: str | Path, *, options: DubOptions | None = None, home: str | None = None
) -> list[Planned]:
    """What would run; makes nothing."""
    from tasks.dubbing.stage import DubOptions, recipe_of

    options = options or DubOptions()
    place, known, audio = looked_at(home, identity, Path(audio), options)
    missing = known.missing()
    steps = [Planned("extract", "extract" not in missing), *known.steps()]
    if missing:
        return [*steps, Planned("dub", False)]
    job = _job(place, identity, audio, options, known)
    recipe = recipe_of(job)
    done = find_whole(place, Ledger(place.objects), recipe, identity) is not None
    about = f"{recipe.id} over {job.chosen.material.clip.id}, {job.chosen.why}"
    return [*steps, Planned("dub", done, about)]


def _job(home: Home, identity: str, audio: Path, options: DubOptions, known: Known) -> Job:
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


def _own_name(job: Job, made: Artifact) -> str:
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in job.audio.stem)[:60] or "speech"
    return f"{job.identity}-{stem}-{made.id.rpartition('-')[2][:8]}.mp4"
