"""The flows as Prefect sees them: what `memdub serve` and `infra/prefect.yaml` deploy.

Each calls the plain flow of its module, and shows in the UI what came of it; the work is there, not here.
Docstrings and types are the run form of the UI. Importing this module imports Prefect, which the command
line avoids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import prefect.runtime.flow_run as this_run
from prefect import flow

import flows.dub
import flows.evaluate
import flows.extract
import flows.ingest
import flows.refresh
import flows.remember
import flows.train
from flows import shown
from flows.engine import persevere
from flows.server import die_with_serve
from flows.speech import newest_speech
from flows.tables import clip_rows, feature_rows, refusal_rows
from storage.errors import MemdubError
from storage.home import Home
from tasks.chain import ExtractOptions

__all__ = [
    "FLOWS",
    "Method",
    "Preset",
    "Speech",
    "dub",
    "evaluate",
    "extract",
    "ingest",
    "refresh",
    "remember",
    "train",
]

Method = Literal["memface", "dinet", "facial", "synctalkface", "nearest"]
Preset = Literal["smoke", "cpu", "gpu", "gpu-512"]
Pose = Literal["generated", "template"]
Speech = Literal["embedded", "deepspeech"]
Tracker = Literal["mesh", "task"]

# Each run's process imports this module first of all of ours.
die_with_serve()


def _asked(name: str) -> Any:
    return this_run.parameters.get(name)


def _name_of_ingest() -> str:
    videos = [Path(video).name for video in _asked("videos") or []]
    what = "raw" if not videos else videos[0] if len(videos) == 1 else f"{len(videos)} files"
    return f"ingest {_asked('identity')} <- {what}"


def _name_of_extract() -> str:
    return f"extract {', '.join(_asked('identities') or []) or 'everyone'}"


def _name_of_train() -> str:
    where = f" in {_asked('where')}" if _asked("where") else ""
    return f"train {_asked('identity')} {_asked('method')} {_asked('preset')}{where}"


def _name_of_dub() -> str:
    audio = _asked("audio")
    try:
        name = Path(audio or newest_speech(Home(_asked("home")), _asked("identity"))).name
    except MemdubError:
        name = "newest speech"  # the run itself will say what is wrong
    return f"dub {_asked('identity')} <- {name}"


def _name_of_evaluate() -> str:
    return f"evaluate {_asked('identity')} {', '.join(_asked('methods') or flows.evaluate.METHODS)}"


def _name_of_refresh() -> str:
    how = " (dry run)" if _asked("dry_run") else ""
    return f"refresh {', '.join(_asked('identities') or []) or 'everyone'}{how}"


@flow(name="ingest", flow_run_name=_name_of_ingest, log_prints=True)
def ingest(
    identity: str,
    videos: list[Path] | None = None,
    fps: str | None = None,
    max_side: int | None = None,
    silent_ok: bool = False,
    home: str | None = None,
) -> list[str]:
    """Turn footage of one person into clips.

    Args:
        identity: The person's short name; a consent record must exist.
        videos: Files or folders on the machine that runs this; without any, all that lies in raw/IDENTITY.
        fps: Frames a second of the clips, as 25 or 30000/1001; the footage's own if not given.
        max_side: Scale larger pictures down to this side, in pixels.
        silent_ok: Accept footage without sound.
        home: Where everything lives: a folder or a URL; MEMDUB_HOME if not given.
    """
    result = persevere(
        lambda: flows.ingest.ingest(
            videos or [],
            identity,
            home=home,
            rate=flows.ingest.rate_of(fps),
            max_side=max_side,
            silent_ok=silent_ok,
            watch=shown.watching,
            tell=shown.note,
        ),
        lambda result: result.refused,
    )
    rows = [*clip_rows(Home(home), result.clips), *refusal_rows(result.refused)]
    shown.table(f"clips {identity}", rows, f"Clips of {identity}")
    result.raise_if_refused()
    return [clip.id for clip in result.clips]


@flow(name="extract", flow_run_name=_name_of_extract, log_prints=True)
def extract(
    identities: list[str] | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    cluster: str | None = None,
    speech: Speech = "embedded",
    tracker: Tracker = "mesh",
    face: str = "auto",
    model: str = "builtin",
    offset: float | None = None,
    limit: int | None = None,
    home: str | None = None,
) -> list[str]:
    """Extract features of clips: speech, face, morphable model, in step.

    Args:
        identities: The people's short names; everyone with consent if not given.
        workers: Processes on this machine; one a core if not given, 0 for none beside this run's own.
        dask_address: A Dask scheduler to use instead of workers of our own, as tcp://10.0.0.1:8786.
        cluster: A YAML file that describes a cluster to start, as infra/clusters/slurm.yaml.
        speech: The network that hears.
        tracker: MediaPipe's mesh or its task.
        face: Whom to follow: auto, largest, left, right, or a number from 0.
        model: Morphable model: builtin, ict:FILE or bfm:FILE.
        offset: Frames by which the sound is late; as measured if not given.
        limit: At most so many clips.
        home: Where everything lives: a folder or a URL; MEMDUB_HOME if not given.
    """
    result = persevere(
        lambda: flows.extract.extract(
            identities or [],
            options=ExtractOptions(speech, tracker, face, model, offset),
            workers=workers,
            dask_address=dask_address,
            cluster=cluster,
            limit=limit,
            home=home,
            watch=shown.watching,
            tell=shown.note,
        ),
        lambda result: result.refused,
    )
    whom = " ".join(identities or ["everyone"])
    rows = [*feature_rows(result.outcomes), *refusal_rows(result.refused)]
    shown.table(f"features {whom}", rows, f"Features of {whom}")
    result.raise_if_refused()
    return [one.features.id for one in result.outcomes]


@flow(name="remember", flow_run_name="remember {identity}", log_prints=True)
def remember(identity: str, slots: int = 300, home: str | None = None) -> str:
    """Remember the mouths of all extracted clips of a person.

    Args:
        identity: The person's short name; a consent record must exist.
        slots: How many mouths to keep.
        home: Where everything lives: a folder or a URL; MEMDUB_HOME if not given.
    """
    kept = persevere(lambda: flows.remember.remember(identity, slots=slots, home=home))
    shown.note(kept.line())
    row = {name: value for name, value in kept.as_dict()["memories"][0].items() if name != "uri"}
    shown.table(f"memory {identity}", [row], f"What is remembered of {identity}")
    return kept.memory.id


@flow(name="train", flow_run_name=_name_of_train, log_prints=True)
def train(
    identity: str,
    method: Method = "memface",
    preset: Preset = "cpu",
    stage: str | None = None,
    seconds: float | None = None,
    held_out: float = 0.2,
    seed: int = 0,
    steps: int | None = None,
    device: str = "auto",
    processes: int = 1,
    where: str | None = None,
    home: str | None = None,
) -> dict[str, str]:
    """Train a method on a person's features; what is missing before it is made first.

    Args:
        identity: The person's short name; a consent record must exist.
        method: The talking-face system.
        preset: smoke for tests, cpu for a laptop, gpu for the paper's sizes.
        stage: Only this stage of the method.
        seconds: At most so much footage to train on.
        held_out: Last share of every clip, kept to judge by.
        seed: Where chance begins.
        steps: Steps of a stage, if not the preset's.
        device: auto, cpu, cuda or cuda:1. A card is taken by one training at a time.
        processes: So many cards share a batch.
        where: Another work pool that is to train; this run waits for it.
        home: Where everything lives: a folder or a URL; MEMDUB_HOME if not given.
    """
    from tasks.material import Cut
    from tasks.training import TrainOptions

    plan = {} if steps is None else {"steps": steps}
    options = TrainOptions(method, preset, Cut(held_out, seconds), seed, stage, plan)
    result = persevere(
        lambda: flows.train.train(
            identity,
            options,
            device=device,
            processes=processes,
            where=where,
            home=home,
            watch=shown.watching,
            tell=shown.note,
        )
    )
    rows = [
        {"stage": one.stage, "checkpoint": one.checkpoint.id, "reused": one.checkpoint.reused, **one.metrics}
        for one in result.outcomes
    ]
    shown.table(f"training {identity}", rows, f"{method} of {identity}, held out footage")
    return {stage: one.id for stage, one in result.checkpoints.items()}


@flow(name="dub", flow_run_name=_name_of_dub, log_prints=True)
def dub(
    identity: str,
    audio: Path | None = None,
    out: Path | None = None,
    method: Method = "memface",
    preset: Preset = "cpu",
    template: str | None = None,
    pose: Pose = "generated",
    seed: int = 0,
    lossless: bool = False,
    workers: int = 0,
    where: str | None = None,
    home: str | None = None,
) -> str:
    """Have a person say what is said in a sound file; what is missing before it is made first.

    Args:
        identity: The person's short name; a consent record must exist.
        audio: Any sound or video file; without one, the newest in raw/IDENTITY/speech.
        out: An MP4; if not given, one in the home, under out/.
        method: The talking-face system.
        preset: smoke for tests, cpu for a laptop, gpu for the paper's sizes.
        template: The clip to dub over; the best for it if not given.
        pose: Whose head, of methods that move it: made from the speech, or as it was filmed.
        seed: Where chance begins.
        lossless: Code pictures without loss.
        workers: Threads; 0 is one a core, four at most.
        where: Another work pool that is to train, where that is missing.
        home: Where everything lives: a folder or a URL; MEMDUB_HOME if not given.
    """
    from tasks.dubbing.stage import DubOptions

    speech = audio or newest_speech(Home(home), identity)
    shown.note(f"speech: {speech}")
    done = persevere(
        lambda: flows.dub.dub(
            identity,
            speech,
            out,
            options=DubOptions(method, preset, template, seed, lossless, pose=pose),
            workers=workers,
            where=where,
            home=home,
            watch=shown.watching,
            tell=shown.note,
        )
    )
    shown.note(done.line())
    shown.dubbed(identity, speech.name, done, home)
    return str(done.path)


@flow(name="evaluate", flow_run_name=_name_of_evaluate, log_prints=True)
def evaluate(
    identity: str,
    methods: list[Method] | None = None,
    preset: Preset = "cpu",
    clips: list[str] | None = None,
    speech: list[Path] | None = None,
    home: str | None = None,
) -> str:
    """Hold methods against the truth, on seconds of a person's clip that none of them was trained on.

    Args:
        identity: The person's short name; a consent record must exist.
        methods: The talking-face systems; nearest and memface if not given.
        preset: smoke for tests, cpu for a laptop, gpu for the paper's sizes.
        clips: The clips to score on, or all; the longest that has features if not given.
        speech: Files of other speech, of which there is no truth; each clip's own if not given.
        home: Where everything lives: a folder or a URL; MEMDUB_HOME if not given.
    """
    done = persevere(
        lambda: flows.evaluate.evaluate(
            identity,
            methods=methods or flows.evaluate.METHODS,
            preset=preset,
            clips=clips or (),
            speech=speech or (),
            home=home,
            watch=shown.watching,
            tell=shown.note,
        )
    )
    for line in done.lines():
        shown.note(line)
    shown.table(f"scores {identity}", done.rows(), "; ".join(done.lines()))
    shown.evaluated(identity, done, home)
    return done.evaluation.id


@flow(name="refresh", flow_run_name=_name_of_refresh, log_prints=True)
def refresh(
    identities: list[str] | None = None,
    retrain_at: float = 0.2,
    train: list[str] | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    cluster: str | None = None,
    allow_shrink: bool = False,
    limit: int | None = None,
    dry_run: bool = False,
    home: str | None = None,
) -> list[dict[str, Any]]:
    """Take what is new in raw/, leave what is done, retire what is gone, retrain where much has changed.

    Args:
        identities: The people's short names; everyone if not given.
        retrain_at: The share of footage that must have changed before a method is trained again.
        train: Methods to train even where they have no checkpoint yet, as memface or memface:gpu.
        workers: Processes on this machine; one a core if not given, 0 for none beside this run's own.
        dask_address: A Dask scheduler to use instead of workers of our own, as tcp://10.0.0.1:8786.
        cluster: A YAML file that describes a cluster to start, as infra/clusters/slurm.yaml.
        allow_shrink: Go on even if more than a fifth of the clips would be retired.
        limit: At most so many files.
        dry_run: Only say what would be done.
        home: Where everything lives: a folder or a URL; MEMDUB_HOME if not given.
    """
    # Only what is raised is tried again: of what a refresh noted and went past, a second one says nothing.
    done = persevere(
        lambda: flows.refresh.refresh(
            identities or [],
            home=home,
            workers=workers,
            dask_address=dask_address,
            cluster=cluster,
            retrain_at=retrain_at,
            train=train or [],
            allow_shrink=allow_shrink,
            limit=limit,
            dry_run=dry_run,
            watch=shown.watching,
            tell=shown.note,
        )
    )
    shown.table("refresh", done.rows(), "What the refresh did, by person")
    shown.table("refresh files", [vars(one) for one in done.files], "Files that are not as they were")
    done.raise_if_failed()
    return done.rows()


FLOWS = {one.name: one for one in (ingest, extract, remember, train, dub, evaluate, refresh)}
