"""Extraction's stages: each makes one artifact of a clip, in blocks, by workers, resumable at any point.

    faces -> every face seen       track -> the chosen one, settled       fit -> a morphable model of it
    audio -> what is heard         features -> all of it in one group, sound and picture in step

`flows.extract` calls these, in this order; what is there already is found and not made again.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa

from storage import clips, consent
from storage.artifacts import Artifact, Made, produce, workspace_of
from storage.clips import ClipGroup
from storage.errors import MediaError
from storage.home import Home
from storage.recipes import Recipe
from tasks.chain import Chain, Ingredients, url_of
from tasks.chunks import FrameStage, fill, open_draft
from tasks.team import Alone, Step, Workers

__all__ = [
    "Job",
    "extract_audio",
    "extract_clip",
    "file_of",
    "find_faces",
    "fit_model",
    "group_of",
    "join_features",
    "track_face",
    "video_of",
]

Stage = Callable[..., Artifact]
_FILE = "clip.mp4"


@dataclass(frozen=True)
class Job:
    """One clip to extract: what every stage of it needs to know."""

    home: Home
    clip: Artifact
    video: Path  # its file, where workers can open it
    row: Mapping[str, Any]  # the clip's line in the ledger's `clips`
    ingredients: Ingredients
    chain: Chain
    team: Workers
    priority: int = 0
    step: Callable[[str, int], None] | None = None  # (stage, frames)
    waiting: Callable[[str], None] | None = None

    @property
    def identity(self) -> str:
        return str(self.row["identity"])

    @property
    def rate(self) -> Fraction:
        return Fraction(self.row["rate_num"], self.row["rate_den"])

    @property
    def attrs(self) -> dict[str, Any]:
        """What every group says of itself."""
        return {"identity": self.identity, "clip": self.clip.id, "fps": float(self.rate)}

    def stepping(self, stage: str) -> Step | None:
        step = self.step
        return None if step is None else lambda frames: step(stage, frames)


@contextlib.contextmanager
def video_of(home: Home, clip: Artifact) -> Iterator[Path]:
    """The clip's file as a path while it lasts."""
    with file_of(home, clip, _FILE) as path:
        yield path


@contextlib.contextmanager
def file_of(home: Home, artifact: Artifact, name: str) -> Iterator[Path]:
    """A stored file as a path while it lasts: decoders open paths, so from a bucket it is copied."""
    if home.is_local:
        yield home.path(artifact.uri) / name
        return
    with workspace_of(home, f"{artifact.id}-copy") as folder:
        fs, source = fsspec.core.url_to_fs(home.uri(f"{artifact.uri}/{name}"))
        fs.get_file(source, str(folder / name))
        yield folder / name


def _plainly(stage: Stage, job: Job, *inputs: Artifact) -> Artifact:
    return stage(job, *inputs)


def extract_clip(job: Job, do: Callable[..., Artifact] = _plainly) -> Artifact:
    """All stages of a clip, in order; `do` calls each. Where others work, its sound is heard meanwhile."""
    if isinstance(job.team, Alone):
        heard = do(extract_audio, job)
        return _picture(job, do, lambda: heard)
    with ThreadPoolExecutor(1) as beside:
        sound = beside.submit(contextvars.copy_context().run, do, extract_audio, job)
        return _picture(job, do, sound.result)


def _picture(job: Job, do: Callable[..., Artifact], sound: Callable[[], Artifact]) -> Artifact:
    faces = do(find_faces, job)
    track = do(track_face, job, faces)
    fit = do(fit_model, job, track)
    return do(join_features, job, faces, track, sound(), fit)


def find_faces(job: Job) -> Artifact:
    """Every face of every frame, as the mesh sees it."""
    from tasks.faces import FacesStage

    tracker = job.ingredients.tracker
    stage = FacesStage(
        video=job.video,
        backend=job.ingredients.options.tracker,
        bundle=None if tracker is None else tracker.path,
    )
    return _in_blocks(job, job.chain.faces, stage)


def track_face(job: Job, faces: Artifact) -> Artifact:
    """The chosen face through the whole clip, its crop, and a row a frame for the ledger."""
    from tasks.preflight import frames_table
    from tasks.track import TrackStage

    stage = TrackStage(
        video=job.video,
        faces=url_of(job.home, faces),
        face=job.ingredients.options.face,
    )

    def rows(track: ClipGroup) -> pa.Table:
        if not (track.read("track/confidence") > 0).any():
            raise _nobody(job, group_of(job.home, faces))
        recipe = job.chain.track.id
        return frames_table(track, clip=job.clip.id, artifact=recipe, identity=job.identity)

    return _in_blocks(job, job.chain.track, stage, rows)


def _nobody(job: Job, faces: ClipGroup) -> MediaError:
    where = job.row["source_name"]
    if not (faces.read("faces/score") > 0).any():
        return MediaError("no face in any frame", where=where, do="remove it")
    face = job.ingredients.options.face
    do = "people are numbered from 0, those seen longest first: choose another, or leave --face out"
    return MediaError(f"nobody in it is meant by --face {face}", where=where, do=do)


def fit_model(job: Job, track: Artifact) -> Artifact:
    """The morphable model's coefficients of every frame."""
    from tasks.fit import FitStage

    stage = FitStage(
        track=url_of(job.home, track),
        model=job.ingredients.options.model.partition(":")[0],
        model_path=job.ingredients.model,
        size=(job.row["width_px"], job.row["height_px"]),
    )
    return _in_blocks(job, job.chain.fit, stage)


def extract_audio(job: Job) -> Artifact:
    """Speech features, log-mel, loudness and voice activity, each on its own clock."""
    from tasks.features import write_audio

    def make(workspace: Path) -> Made:
        job.team.do(
            write_audio,
            job.video,
            workspace / "audio.zarr",
            job.ingredients.speech,
            job.attrs,
            name=f"audio-{job.clip.id}",
            priority=job.priority,
        )
        _sweep(workspace)
        if job.step is not None:
            job.step("audio", job.row["frames"])
        return Made()

    return _produce(job, job.chain.audio, make)


def join_features(job: Job, faces: Artifact, track: Artifact, audio: Artifact, fit: Artifact) -> Artifact:
    """One group of everything, with what is heard brought in step with what is seen."""
    from tasks.features import join

    def make(workspace: Path) -> Made:
        joined = job.team.do(
            join,
            {part.kind: url_of(job.home, part) for part in (track, audio, fit)},
            url_of(job.home, faces),
            job.video,
            workspace / "features.zarr",
            job.ingredients.listener,
            job.ingredients.options.offset,
            job.attrs,
            name=f"features-{job.clip.id}",
            priority=job.priority,
        )
        _sweep(workspace)
        return joined.made(job.chain.features.id, audio.id, job.identity, float(job.rate))

    return _produce(job, job.chain.features, make)


def _sweep(workspace: Path) -> None:
    """Remove drafts of attempts that were killed: each attempt has its own."""
    for left in workspace.glob(".tmp-*"):
        shutil.rmtree(left, ignore_errors=True)


def group_of(home: Home, artifact: Artifact) -> ClipGroup:
    """The Zarr group of an artifact of any of these kinds."""
    return clips.open_clip(url_of(home, artifact))


def _in_blocks(
    job: Job,
    recipe: Recipe,
    stage: FrameStage,
    rows: Callable[[ClipGroup], pa.Table] | None = None,
) -> Artifact:
    def make(workspace: Path) -> Made:
        draft = open_draft(workspace / f"{recipe.kind}.zarr", stage.specs(), job.attrs, recipe.id)
        group = fill(
            draft,
            stage,
            job.team,
            name=f"{recipe.kind}-{job.clip.id}",
            priority=job.priority,
            step=job.stepping(recipe.kind),
        )
        return Made(frames=None if rows is None else rows(group))

    return _produce(job, recipe, make)


def _produce(job: Job, recipe: Recipe, make: Callable[[Path], Made]) -> Artifact:
    made = produce(
        job.home,
        recipe,
        make,
        identity=job.identity,
        waiting=job.waiting,
        resumable=True,
        allowed=functools.partial(consent.require, job.home, job.identity, "ingest"),
    )
    if made.reused and job.step is not None:
        job.step(recipe.kind, job.row["frames"])
    return made
