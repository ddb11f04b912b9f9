"""Speech with the faces that go with it, of many made-up people: what a general model of lips is trained on.

    python -m tasks.rehearsals FOLDER [--takes 200]         takes, and of them FOLDER/general.bundle
    python -m models.train FOLDER/general.bundle -o DIR     general weights of MemFace's first stage
    python -m tasks.rehearsals FOLDER --ship DIR/checkpoint.safetensors

Nothing is rendered. A take is one person of the puppets' kind, speaking a voice and a language of its own
for some 40 seconds, through a room, a microphone and noise. Its landmarks, known exactly, are seen through
the film's camera, blurred as a tracker blurs them, and fitted by the same solver that extraction uses; its
sound is heard as extraction hears it. So rows mean what rows of real clips mean.

A take depends on the plan's seed and its number alone: an interrupted run goes on where it stopped. Called
by flows that train general weights, and by benchmarks.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from models.fit.choice import choose, looks
from models.fit.frames import solve_frames
from models.fit.geometry import Camera, angles
from models.fit.landmarks import FitSettings, eye_distance, landmarks_of, targets, view_of
from models.fit.person import Person, steadied, watch
from models.fit.shot import solve_shot
from models.fit.telling import told
from models.methods import find_method
from models.morphable.builtin import builtin
from models.puppet.body import Body
from models.puppet.camera import FOCAL, about_neck, project, rest_pose, rotation
from models.puppet.identity import traits
from models.puppet.performance import Performance, perform
from models.puppet.phonetics import SILENCE, Phoneme, letters
from models.track.eyes import EYE_POINTS, closures, openings
from models.track.subset68 import subset68
from models.training import HELD_OUT, TRAIN, About, Segment, write_bundle
from models.training.checkpoint import read_checkpoint
from storage.errors import MemdubError, WorkError
from tasks.acoustic.augment import RATE, through_the_world
from tasks.acoustic.texts import sentence
from tasks.acoustic.voices import Said, Speaker, said, speakers
from tasks.audio import AudioBackend, features_of, find_backend
from tasks.threads import one_thread

__all__ = [
    "FPS",
    "SIDE",
    "Plan",
    "Seen",
    "Take",
    "heard_rows",
    "landmarks_in_film",
    "make",
    "recorded",
    "rehearsed",
    "seen_face",
    "seen_rows",
    "spoken",
    "takes",
    "write_general",
]

F32 = NDArray[np.float32]
_log = logging.getLogger(__name__)

FPS = 25
_FIRST_SEED = 50_000  # people whom no benchmark knows
_LATENT = 29
SIDE = 256
_MET = 48
_WATCHED = 256


@dataclass(frozen=True)
class Plan:
    """How much is rehearsed."""

    takes: int = 200
    seconds: float = 40.0
    seed: int = 0
    # Of the distance between the eyes: a tracker's error from frame to frame, and one that stays.
    jitter: float = 0.006
    bias: float = 0.012
    plain: float = 0.35  # share of takes whose sound is changed in level alone


@dataclass(frozen=True)
class Take:
    """Rows at 25 a second."""

    speech: F32  # (T, 2, 31): two rows at 50 a second of 29 log-probabilities, loudness and voice
    expression: F32  # (T, 64) as a fit would give it
    identity: F32  # (80,)
    voice: str


def make(
    plan: Plan,
    folder: Path,
    backend: AudioBackend,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> list[Path]:
    """Rehearse what is not there yet; the files, one a take."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{plan.seed}-{number:05d}.npz" for number in range(plan.takes)]
    for number, file in enumerate(files):
        if not file.is_file():
            _write(file, rehearsed(plan, number, backend))
        tell(number + 1, plan.takes)
    return files


def takes(files: Sequence[Path]) -> Iterator[Take]:
    """What `make` wrote."""
    for file in files:
        with np.load(file, allow_pickle=False) as content:
            yield Take(
                content["speech"].astype(np.float32),
                content["expression"].astype(np.float32),
                content["identity"],
                str(content["voice"]),
            )


def write_general(
    some: Sequence[Take],
    target: Path,
    config: Mapping[str, Any],
    *,
    preset: str = "cpu",
    seed: int = 0,
    held_out: float = 0.1,
    plan: Mapping[str, Any] | None = None,
) -> Path:
    """The bundle from which MemFace's first stage is trained in general; the last people are held out."""
    ends = np.cumsum([0, *(len(take.expression) for take in some)]).tolist()
    first = len(some) - max(1, round(held_out * len(some)))
    segments = [
        Segment(f"take {k}: {take.voice}", a, b, float(FPS), TRAIN if k < first else HELD_OUT)
        for k, (take, (a, b)) in enumerate(zip(some, pairwise(ends), strict=True))
    ]
    arrays = {
        "speech": np.concatenate([take.speech for take in some]),
        "expression": np.concatenate([take.expression for take in some]),
        # General weights read no log-mel: voices' timbres are a person's own affair.
        "mel": np.zeros((0, 2, 80), np.float32),
        "trust": np.ones(ends[-1], np.float32),
        "identity": np.zeros(80, np.float32),
        "speaker": np.repeat(np.arange(len(some)), np.diff(ends)).astype(np.int32),
    }
    about = About("memface", "expression", preset, config, seed, plan or {}, segments)
    return write_bundle(target, about, arrays)


@one_thread()
def rehearsed(plan: Plan, number: int, backend: AudioBackend) -> Take:
    """One take. Voices that stumble are passed over: they must not end an hour's work."""
    draw = np.random.default_rng([plan.seed, number, 0x4E])
    voices = speakers()
    shares = np.array([voice.share for voice in voices])
    for _ in range(20):
        voice = voices[int(draw.choice(len(voices), p=shares / shares.sum()))]
        try:
            sound, phonemes = spoken(voice, plan.seconds, draw)
        except MemdubError as error:
            _log.warning("%s: %s", voice.name, error)
            continue
        if phonemes:
            return _staged(plan, number, voice.name, sound, phonemes, backend, draw)
    raise WorkError("no voice says anything", where="speech", do="check espeak-ng, flite and festival")


def _staged(
    plan: Plan,
    number: int,
    voice: str,
    sound: F32,
    phonemes: Sequence[Phoneme],
    backend: AudioBackend,
    draw: np.random.Generator,
) -> Take:
    seed = _FIRST_SEED + 1000 * plan.seed + number
    motion = perform(phonemes, len(sound) / RATE, rate=float(FPS), seed=seed)
    frames = len(motion)
    expression, identity = seen_rows(landmarks_in_film(seed, motion), plan, draw)
    return Take(heard_rows(recorded(sound, plan, draw), frames, backend), expression, identity, voice)


def recorded(sound: F32, plan: Plan, draw: np.random.Generator) -> F32:
    """Speech as a microphone somewhere has it."""
    return _levelled(sound, draw) if draw.random() < plan.plain else _through(sound, draw)


def _levelled(sound: F32, draw: np.random.Generator) -> F32:
    loud = float(np.sqrt(np.mean(sound**2))) + 1e-9
    return np.asarray(np.clip(sound * (10 ** draw.uniform(-2.0, -0.8) / loud), -1, 1), np.float32)


def _through(sound: F32, draw: np.random.Generator) -> F32:
    return through_the_world(sound, np.ascontiguousarray(sound[::-1]), draw)


def spoken(voice: Speaker, seconds: float, draw: np.random.Generator) -> tuple[F32, list[Phoneme]]:
    """Sentences with pauses between them, and what is said when."""
    size, speed = int(seconds * RATE), float(np.exp(draw.uniform(-0.15, 0.15)))
    sound, phonemes = np.zeros(size, np.float32), list[Phoneme]()
    at = int(RATE * draw.uniform(0.2, 1.5))
    while at < size - RATE:
        spoken = said(voice, [sentence(voice.language, draw) for _ in range(4)], draw)
        if not spoken:
            break
        for one in spoken:
            samples = _resampled(one, speed)
            if at + len(samples) > size:
                return sound, phonemes
            sound[at : at + len(samples)] = samples
            phonemes += _timed(one, samples, at / RATE, speed)
            at += len(samples) + int(
                RATE * (draw.uniform(0.7, 3) if draw.random() < 0.2 else draw.exponential(0.25))
            )
    return sound, phonemes


def _resampled(one: Said, speed: float) -> F32:
    moved = librosa.resample(one.samples, orig_sr=one.rate * speed, target_sr=RATE, res_type="soxr_hq")
    return np.asarray(moved, np.float32)


def _timed(one: Said, samples: F32, start_s: float, speed: float) -> list[Phoneme]:
    """Loudness is against the typical vowel; the loudest vowels are taken for stressed ones."""
    edges = [0.0, *(end / speed for _, end in one.sounds)]
    loud = [
        float(np.sqrt(np.mean(samples[int(a * RATE) : int(b * RATE) + 1] ** 2) + 1e-12))
        for a, b in pairwise(edges)
    ]
    vowel = [symbol != SILENCE and letters(symbol)[0].kind == "vowel" for symbol, _ in one.sounds]
    typical = float(np.median([x for x, v in zip(loud, vowel, strict=True) if v] or [1.0]))
    out = []
    for (symbol, _), a, b, level, is_vowel in zip(
        one.sounds, edges[:-1], edges[1:], loud, vowel, strict=True
    ):
        if b > a:
            weight = 0.0 if symbol == SILENCE else level / typical
            stress = 2 if is_vowel and weight > 1.15 else 0
            out.append(Phoneme(start_s + a, start_s + b, symbol, stress, loudness=weight))
    return out


def landmarks_in_film(seed: int, motion: Performance) -> F32:
    """(T, 478, 3) landmarks in pixels of the person with this seed, as `Puppet.truth` has them."""
    body, rest = Body(traits(seed), seed, 64), rest_pose()
    rows = []
    for expression, offset in zip(motion.expressions, motion.poses, strict=True):
        pose = about_neck(offset[:3], rest)
        pose[3:] += offset[3:]
        seen = body.landmarks(expression) @ rotation(pose[:3].astype(np.float64)).T + pose[3:]
        pixels, _ = project(seen.astype(np.float32), SIDE)
        depth = (seen[:, 2] - pose[5]) * FOCAL * SIDE / pose[5]
        rows.append(np.column_stack([pixels, depth]))
    return np.stack(rows).astype(np.float32)


class Seen(NamedTuple):
    """What extraction makes of a film, row by row."""

    expression: F32  # (T, 64)
    rotation: F32  # (T, 3) radians
    translation: F32  # (T, 3) mm
    shut: F32  # (T,) how far the eyes are shut, 0 to 1
    identity: F32  # (80,)
    camera: Camera


def seen_rows(landmarks: F32, plan: Plan, draw: np.random.Generator) -> tuple[F32, F32]:
    """(T, 64) expressions and (80,) identity that extraction's fit gives for landmarks seen like this."""
    found = seen_face(landmarks, plan, draw)
    return found.expression, found.identity


@one_thread()
def seen_face(
    landmarks: F32, plan: Plan, draw: np.random.Generator, rate: float = FPS, focal: float | None = None
) -> Seen:
    """The whole face, from landmarks (T, 478, 3); `focal` where the lens is known, in pixels."""
    model, settings = builtin(), FitSettings()
    view, camera = view_of(model), Camera.of_picture(SIDE, SIDE, focal)
    mesh = _blurred(landmarks, plan, draw)
    sighted = landmarks_of(mesh, subset68(mesh), np.ones(len(mesh), np.float32))
    points, belief = torch.from_numpy(sighted.points), torch.from_numpy(sighted.belief)
    eyes = eye_distance(points)
    depth = points[:, torch.from_numpy(view.points), 2]
    shot = np.zeros(len(mesh), np.int32)
    pose = np.zeros((len(mesh), 6), np.float32)
    some = choose(looks(sighted, pose, np.ones(len(mesh), np.float32), shot), 0, _MET)
    fitted, met = solve_shot(
        view, targets(view, points[some], belief[some], settings, eyes[some]), depth[some], camera, settings
    )
    identity = told(model.name, fitted, met.expression)
    nobody = Person(
        identity.numpy(), np.zeros(80, np.float32), np.zeros(27, np.float32), np.zeros(64, np.float32), 0.0
    )
    seldom = np.linspace(0, len(mesh) - 1, min(_WATCHED, len(mesh))).astype(np.int64)
    person = watch(model, view, nobody, points[seldom], belief[seldom], eyes[seldom], camera, settings)
    goal = targets(view, points, belief, settings, eyes)
    neutral = view.mean + view.identity @ identity
    found = solve_frames(view, goal, depth, neutral, torch.ones(len(mesh) - 1), camera, settings)
    lids = openings(mesh[:, EYE_POINTS])
    return Seen(
        steadied(found.expression, found.rotation, person).numpy(),
        angles(found.rotation).numpy(),
        found.translation.numpy(),
        closures(lids, np.ones(len(mesh), np.bool_), shot, rate),
        identity.numpy(),
        camera,
    )


def _blurred(landmarks: F32, plan: Plan, draw: np.random.Generator) -> F32:
    """With a tracker's errors: some stay for the whole take, some change within a few frames."""
    eyes = float(np.median(eye_distance(torch.from_numpy(landmarks)).numpy()))
    still = plan.bias * eyes * draw.standard_normal(landmarks.shape[1:])
    quick = draw.standard_normal((len(landmarks) + 4, *landmarks.shape[1:]))
    weights = np.array([1, 2, 3, 2, 1]) / np.sqrt(19)
    moving = sum(w * quick[k : k + len(landmarks)] for k, w in enumerate(weights))
    return np.asarray(landmarks + still + plan.jitter * eyes * moving, np.float32)


def heard_rows(sound: F32, frames: int, backend: AudioBackend) -> F32:
    """(T, 2, 31) of sound at 16 kHz, in step with frames at 25 a second."""
    heard = features_of([sound], backend, samples=round(frames / FPS * RATE))
    rows = np.concatenate([heard.deepspeech, heard.loudness[:, None], heard.voice[:, None]], 1)
    return rows[: 2 * frames].reshape(frames, 2, _LATENT + 2).astype(np.float32)


def _write(file: Path, take: Take) -> None:
    beside = file.with_suffix(".part")
    with beside.open("wb") as stream:
        np.savez(
            stream,
            speech=take.speech.astype(np.float16),
            expression=take.expression.astype(np.float16),
            identity=take.identity,
            voice=np.array(take.voice),
        )
    beside.replace(file)


def ship(checkpoint: Path, target: Path) -> Path:
    """A checkpoint of a general training as weights that are bundled: matrices in 16 bits."""
    told, tensors = read_checkpoint(checkpoint)
    kept = {
        name: (value.half() if value.is_floating_point() and value.dim() > 1 else value).contiguous()
        for name, value in tensors.items()
    }
    save_file(kept, target, {"network": "memface expression", "config": json.dumps(told.get("config", {}))})
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where takes are kept, and the bundle `general.bundle`")
    parser.add_argument("--takes", type=int, default=Plan.takes)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument(
        "--ship", type=Path, metavar="CHECKPOINT", help="only write FOLDER/memface_expression"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.ship:
        print(ship(options.ship, options.folder / "memface_expression.safetensors"))
        return
    plan = Plan(takes=options.takes, seed=options.seed)
    files = make(plan, options.folder, find_backend("embedded"), lambda n, of: print(f"\r{n}/{of}", end=""))
    config = find_method("memface").config(options.preset).as_dict()
    target = options.folder / "general.bundle"
    print(f"\n{write_general(list(takes(files)), target, config, preset=options.preset)}")


if __name__ == "__main__":
    main()
