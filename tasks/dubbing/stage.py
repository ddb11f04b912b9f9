"""The stage `dub`: one unit of work from a cast, a template and a sound file to a signed film in the stores.

    job = Job(home, "anna", audio, sha256, cast, chosen, backend, options)
    artifact = dub(job)

The draft holds what is finished: the sound as it was heard, the motion, pieces of film. A run that was killed
goes on after them and ends with the same film. Called by `flows.dub`.
"""

from __future__ import annotations

import functools
import json
import math
import mimetypes
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.methods import Drawn, Speaker
from storage import consent
from storage.artifacts import Artifact, Made, produce, stored
from storage.errors import RequestError
from storage.home import Home
from storage.media import AAC_RATES, SoundReader, VideoReader
from storage.media.joining import MediaJoiner
from storage.recipes import RawSource, Recipe, hash_file
from tasks.audio_backends import AudioBackend
from tasks.credentials import credentials_of
from tasks.dubbing.casting import Cast
from tasks.dubbing.clock import Clock
from tasks.dubbing.draw import Scene, draw_all, remembers
from tasks.dubbing.gate import resting
from tasks.dubbing.hearing import Hearing, listen
from tasks.dubbing.motion import move
from tasks.dubbing.telling import canvas_scale, unrest_of, warnings_of
from tasks.dubbing.template import Chosen
from tasks.dubbing.unseen import told_mouths
from tasks.dubbing.walk import speaking, walk
from tasks.extract import video_of
from tasks.manifest import Claim, Ingredient, sign
from tasks.material import Material
from tasks.threads import one_thread

__all__ = ["FILM", "POSES", "DubOptions", "Job", "dub", "recipe_of", "told_of"]

# Risen when the same recipe gives another film.
VERSION = 4
FILM, TOLD = "dub.mp4", "dub.json"
POSES = ("generated", "template")
_WARM_UP = 10
_BEST_SOUND = 48_000
_SOUND_S = 1.0


@dataclass(frozen=True)
class DubOptions:
    """What a user may choose."""

    method: str = "memface"
    preset: str = "cpu"
    template: str | None = None
    seed: int = 0
    lossless: bool = False
    without: tuple[int, int] | None = None  # frames of the template that no method may be shown
    pose: str = POSES[0]  # or "template": the head as it was filmed, of methods that would move it

    def __post_init__(self) -> None:
        if self.pose not in POSES:
            do = f"use one of {', '.join(POSES)}"
            raise RequestError("no such pose", where=f"--pose {self.pose}", do=do)


@dataclass(frozen=True, eq=False)
class Job:
    """One dub, with everything that it is made from."""

    home: Home
    identity: str
    audio: Path
    sha256: str
    cast: Cast
    chosen: Chosen
    backend: AudioBackend
    yaw_limit: float  # radians
    options: DubOptions = field(default_factory=DubOptions)
    workers: int = 0  # 0: one a core, four at most
    step: Callable[[int, int], None] | None = None  # frames done, of how many
    waiting: Callable[[str], None] | None = None
    clock: Clock = field(default_factory=Clock)


def recipe_of(job: Job) -> Recipe:
    """What the dub is made of, and so what it is called."""
    options, cast, material = job.options, job.cast, job.chosen.material
    parameters = {
        "method": cast.method.name,
        "method_version": getattr(cast.method, "version", 1),
        "preset": options.preset,
        "config": json.loads(json.dumps(cast.config.as_dict())),
        "general": cast.general(job.home),
        "speech": {"backend": job.backend.name, "sha256": job.backend.version},
        "frames": list(job.chosen.within),
        "yaw_limit": round(job.yaw_limit, 6),
        "seed": options.seed,
        "lossless": options.lossless,
    }
    if cast.poses:
        parameters["pose"] = options.pose
    if cast.looks:
        parameters["without"] = options.without and list(options.without)
    elif options.without is not None:
        # It is shown no frame at all; what is told of its mouth is told without these.
        parameters["hidden"] = list(options.without)
    # The person is told by all clips: they are in the recipe too.
    others = {
        f"features {number}": one.features.id
        for number, one in enumerate(cast.materials)
        if one.features.id != material.features.id
    }
    template = {"template": material.clip.id, "template features": material.features.id}
    inputs = {**template, **others, **cast.inputs()}
    raw = (RawSource("speech", job.sha256, job.audio.name),)
    return Recipe("dub", "dub", VERSION, parameters, inputs, raw)


def dub(job: Job) -> Artifact:
    """The dub: found, or made now."""
    recipe = recipe_of(job)

    def make(workspace: Path) -> Made:
        if not (workspace / FILM).exists():
            _make(job, recipe, workspace)
        _sweep(workspace)
        return _made(recipe.id, job.identity, workspace)

    return produce(
        job.home,
        recipe,
        make,
        identity=job.identity,
        waiting=job.waiting,
        resumable=True,
        allowed=functools.partial(consent.require, job.home, job.identity, "dub"),
    )


def told_of(home: Home, made: Artifact) -> dict[str, Any]:
    """What was noted as it was made: frames, seconds, warnings, memory."""
    told: dict[str, Any] = json.loads(stored(home, made, TOLD))
    return told


def _made(recipe: str, identity: str, workspace: Path) -> Made:
    told = json.loads((workspace / TOLD).read_text())
    metrics = [
        {"artifact": recipe, "identity": identity, "metric": name, "split": "all", "value": float(value)}
        for name, value in told["figures"].items()
    ]
    # The file leaves the stores: wherever a copy turns up, the ledger knows what it is.
    film = f"sha256:{hash_file(workspace / FILM)}"
    edge = {"child": film, "parent": recipe, "role": "exported as mp4", "parent_name": None}
    return Made(metrics=metrics, lineage=[edge])


def _sweep(workspace: Path) -> None:
    for path in workspace.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in (FILM, TOLD):
            path.unlink()


@one_thread()
def _make(job: Job, recipe: Recipe, workspace: Path) -> None:
    credentials = credentials_of(job.home)
    with job.clock("listen"):
        hearing = listen(job.audio, job.backend, workspace / "sound")
    with video_of(job.home, job.chosen.material.clip) as path:
        video = VideoReader(path, form="yuv420p", threads="NONE")
        told, pieces = _draw(job, hearing, video, workspace)
        film = workspace / "joined.mp4"
        with job.clock("join"):
            _join(job, pieces, video, film)
    told["figures"]["dub_peak_mib"] = job.clock.peak / 2**20
    (workspace / TOLD).write_text(json.dumps(told, indent=1))
    with job.clock("sign"):
        sign(film, workspace / FILM, _claim(job, recipe), credentials)


def _draw(
    job: Job, hearing: Hearing, video: VideoReader, workspace: Path
) -> tuple[dict[str, Any], list[Path]]:
    """What is told of the dub, and all its pieces."""
    asked = job.options
    new_speaker = job.cast.speakers(job.home, workspace, asked.seed, job.chosen.material, asked.without)
    first = new_speaker()
    scene = _scene(job, hearing, video, workspace, first)
    shown = np.flatnonzero(scene.share > 0)
    keeps, drawn = remembers(scene, first, int(shown[0])) if len(shown) else (False, None)
    scene = replace(scene, warm_up=_WARM_UP if keeps else 0)
    told = _told(job, hearing, scene, drawn)
    # The first has read its memory already: one of the threads goes on with it.
    spare = [first]
    del first

    def another() -> Speaker:
        with suppress(IndexError):
            return spare.pop()
        return new_speaker()

    step = _counted(job, len(scene.order))
    folder = workspace / "pieces"
    pieces = draw_all(scene, folder, another, workers=_workers(job), clock=job.clock, step=step)
    return told, list(pieces)


def _scene(job: Job, hearing: Hearing, video: VideoReader, workspace: Path, speaker: Speaker) -> Scene:
    chosen, rate = job.chosen, float(video.rate)
    frames = max(1, math.ceil(hearing.seconds * video.rate - 1e-6))
    order = walk(chosen.looks, chosen.within, frames, rate)
    still = job.options.pose == "template" or not job.cast.poses
    # A head that is made anew is turned as it is made, however it was filmed.
    run, share = speaking(chosen.looks, order, rate, job.yaw_limit if still else math.inf)
    width, height = video.size
    template = chosen.template(height, width)
    behind = job.cast.plates(job.home, chosen.material, chosen.within, job.options.without) or {}
    plates = {shot: plate.pixels for shot, plate in behind.items()}
    template = template._replace(plates=plates, walked=(chosen.within.start, chosen.within.stop))
    speaker.meet(template)
    with job.clock("listen"):
        rest = _rest(told_mouths(job.cast.materials, chosen.material, job.options.without)[0])
        moving = move(speaker, hearing, workspace / "sound", rate, rest, still=still)
    reach: tuple[int, int] | None = getattr(speaker, "reach", None)
    unrest = 0.0 if still else max((plate.unrest for plate in behind.values()), default=0.0)
    lossless = job.options.lossless
    return Scene(video, template, order, run, share, moving, lossless, reach=reach, unrest=unrest)


def _told(job: Job, hearing: Hearing, scene: Scene, drawn: Drawn | None) -> dict[str, Any]:
    order, share, scale = scene.order, scene.share, canvas_scale(drawn)
    side = 0 if drawn is None else int(drawn.patches.shape[1])
    turns = int((np.diff(order)[1:] * np.diff(order)[:-1] < 0).sum())
    figures = {
        "dub_frames": len(order),
        "dub_speech_s": hearing.seconds,
        "dub_untouched_share": float((share <= 0).mean()),
        "dub_template_turns": turns,
        **({} if scale is None else {"dub_pixels_a_canvas_pixel": scale}),
    }
    return {
        "template": job.chosen.material.clip.id,
        "why": job.chosen.why,
        "frames": len(order),
        "seconds": hearing.seconds,
        "rate": str(scene.rate),
        "size": scene.video.size,
        "warnings": [
            *hearing.warnings,
            *warnings_of(job.chosen, order, share, scale, side),
            *unrest_of(scene.unrest),
        ],
        "figures": figures,
    }


def _counted(job: Job, frames: int) -> Callable[[int], None]:
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        if job.step is not None:
            job.step(done, frames)

    return step


def _rest(material: Material) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The person's shut mouth, as this clip shows it."""
    seen = material.seen
    names = material.group.names
    voice = (
        material.group.read("audio/voice_frames")
        if "audio/voice_frames" in names
        else np.ones(len(seen), np.float32)
    )
    identity = np.median(material.fit("identity")[seen], 0)
    return resting(identity, material.fit("expression")[seen], voice[seen])


def _workers(job: Job) -> int:
    return job.workers or max(1, min(len(os.sched_getaffinity(0)), 4))


def _join(job: Job, pieces: list[Path], video: VideoReader, target: Path) -> None:
    info = SoundReader(job.audio).info
    assert info.audio is not None
    channels = min(info.audio.channels, 2)
    native = SoundReader(job.audio, None, channels, info=info)
    usable = native.rate in AAC_RATES and native.rate <= _BEST_SOUND
    sound = native if usable else SoundReader(job.audio, _BEST_SOUND, channels, info=info)
    blocks = sound.blocks(_SOUND_S)
    with MediaJoiner(target, pieces[0], video.size, video.rate, sound.rate, channels) as film:
        heard = 0.0
        for piece in pieces:
            film.write_piece(piece)
            # A little ahead of the pictures, so that neither waits for long.
            while heard < float(film.frames / video.rate) + _SOUND_S:
                block = next(blocks, None)
                if block is None:
                    break
                heard += len(block) / sound.rate
                film.write_sound(block)


def _claim(job: Job, recipe: Recipe) -> Claim:
    kinds = {"template": "video/mp4"}
    ingredients = [
        Ingredient(role, one, kinds.get(role, "application/octet-stream"))
        for role, one in recipe.inputs.items()
    ]
    kind = mimetypes.guess_type(job.audio.name)[0] or "application/octet-stream"
    ingredients.append(Ingredient("speech", f"sha256:{job.sha256}", kind))
    return Claim(recipe.id, job.cast.method.name, ingredients)
