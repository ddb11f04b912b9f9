"""Speech with all that heads do meanwhile, of made-up people who differ: what FACIAL's performer learns from.

    python -m tasks.manners FOLDER [--takes 200]            takes, and of them FOLDER/general.bundle
    python -m models.train FOLDER/general.bundle -o DIR     general weights
    python -m tasks.general --ship DIR/checkpoint.safetensors --as facial_performer

As in `tasks.rehearsals` nothing is rendered: landmarks that are known exactly are blurred as a tracker blurs
them and fitted by extraction's solver, which here gives the head's pose too, and lids are measured as
extraction measures them. Everybody has a manner of their own (`models.puppet.motion.vivid_style`): some
hardly move and seldom blink, others never rest.

A take depends on the plan's seed and its number alone: an interrupted run goes on where it stopped. People
are parted 5 : 1 : 4 into those who are learned from, those who are judged by, and those whom nobody sees.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.facial.columns import BLINK_MOST, Statistics, to_columns
from models.facial.config_performer import RATE as ROWS
from models.methods import find_method
from models.puppet.camera import FOCAL
from models.puppet.motion import Style, vivid_style
from models.puppet.performance import perform
from models.puppet.phonetics import Phoneme
from models.training import HELD_OUT, TRAIN, About, Segment, write_bundle
from storage.errors import MemdubError, WorkError
from tasks.acoustic.augment import RATE
from tasks.acoustic.voices import Speaker, speakers
from tasks.audio import AudioBackend, features_of, find_backend, frames_from_speech
from tasks.rehearsals import SIDE, Plan, landmarks_in_film, recorded, seen_face, spoken
from tasks.threads import one_thread

__all__ = ["PARTS", "Actor", "Performed", "acted", "actor", "make", "performances", "write_general"]

F32 = NDArray[np.float32]
_log = logging.getLogger(__name__)

PARTS = (5, 1, 4)  # people who are learned from, judged by, and left alone
_FIRST_SEED = 70_000  # people whom no benchmark knows
_PEOPLE = 100_000  # between two plans' seeds: none has so many takes


@dataclass(frozen=True)
class Actor:
    """Somebody made up: a face, a manner and a voice."""

    seed: int
    style: Style
    voice: Speaker


@dataclass(frozen=True)
class Performed:
    """Rows at 30 a second."""

    symbols: F32  # (T, 29) log-probabilities
    performed: F32  # (T, 71), see `models.facial.columns`
    voice: str


def actor(seed: int, draw: np.random.Generator) -> Actor:
    """The person with this seed, with a voice that is drawn."""
    voices = speakers()
    shares = np.array([voice.share for voice in voices])
    return Actor(seed, vivid_style(seed), voices[int(draw.choice(len(voices), p=shares / shares.sum()))])


@one_thread()
def acted(
    who: Actor, plan: Plan, number: int, draw: np.random.Generator, backend: AudioBackend
) -> Performed | None:
    """One take of them; the same person moves otherwise in every take. None if they say nothing."""
    sound, phonemes = spoken(who.voice, plan.seconds, draw)
    return _seen(who, plan, number, sound, phonemes, draw, backend) if phonemes else None


def _seen(
    who: Actor,
    plan: Plan,
    number: int,
    sound: F32,
    phonemes: Sequence[Phoneme],
    draw: np.random.Generator,
    backend: AudioBackend,
) -> Performed:
    seconds = len(sound) / RATE
    chance = who.seed + 1_000_000 * (number + 1)
    motion = perform(phonemes, seconds, rate=ROWS, seed=chance, style=who.style)
    face = seen_face(landmarks_in_film(who.seed, motion), plan, draw, ROWS, FOCAL * SIDE)
    lens = torch.tensor([face.camera.focal, face.camera.x, face.camera.y])
    columns = to_columns(
        torch.from_numpy(face.rotation),
        torch.from_numpy(face.translation),
        lens.expand(len(motion), 3),
        BLINK_MOST * torch.from_numpy(face.shut),
        torch.from_numpy(face.expression),
        SIDE,
        SIDE,
    )
    samples = round(len(motion) / ROWS * RATE)
    heard = features_of([recorded(sound, plan, draw)], backend, samples=samples).deepspeech
    symbols = frames_from_speech(heard, len(motion), ROWS, log_probabilities=True)
    return Performed(symbols, columns.numpy(), who.voice.name)


def make(
    plan: Plan,
    folder: Path,
    backend: AudioBackend,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> list[Path]:
    """Perform what is not there yet; the files, one a person."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"manner-{plan.seed}-{number:05d}.npz" for number in range(plan.takes)]
    for number, file in enumerate(files):
        if not file.is_file():
            _write(file, _someone(plan, number, backend))
        tell(number + 1, plan.takes)
    return files


def _someone(plan: Plan, number: int, backend: AudioBackend) -> Performed:
    """A take of the person with this number. Voices that stumble are passed over."""
    draw = np.random.default_rng([plan.seed, number, 0xFAC1])
    for _ in range(20):
        who = actor(_FIRST_SEED + _PEOPLE * plan.seed + number, draw)
        try:
            take = acted(who, plan, 0, draw, backend)
        except MemdubError as error:
            _log.warning("%s: %s", who.voice.name, error)
            continue
        if take is not None:
            return take
    raise WorkError("no voice says anything", where="speech", do="check espeak-ng, flite and festival")


def _write(file: Path, take: Performed) -> None:
    beside = file.with_suffix(".part")
    with beside.open("wb") as stream:
        np.savez(
            stream,
            symbols=take.symbols.astype(np.float16),
            performed=take.performed,
            voice=np.array(take.voice),
        )
    beside.replace(file)


def performances(files: Sequence[Path]) -> Iterator[Performed]:
    """What `make` wrote."""
    for file in files:
        with np.load(file, allow_pickle=False) as content:
            yield Performed(
                content["symbols"].astype(np.float32), content["performed"], str(content["voice"])
            )


def write_general(
    some: Sequence[Performed],
    target: Path,
    config: Mapping[str, Any],
    *,
    preset: str = "cpu",
    seed: int = 0,
    parts: tuple[int, int, int] = PARTS,
    plan: Mapping[str, Any] | None = None,
) -> Path:
    """The bundle from which the performer is trained in general; who is left alone is not in it.

    `config` is the method's, as its `as_dict` tells it.
    """
    learned, judged = _parted(len(some), parts)
    some = some[: learned + judged]
    ends = np.cumsum([0, *(len(take.performed) for take in some)]).tolist()
    segments = [
        Segment(f"take {k}: {take.voice}", a, b, ROWS, TRAIN if k < learned else HELD_OUT)
        for k, (take, (a, b)) in enumerate(zip(some, pairwise(ends), strict=True))
    ]
    own = [Statistics.of(torch.from_numpy(take.performed)) for take in some]
    number = np.repeat(np.arange(len(some)), np.diff(ends)).astype(np.int32)
    arrays = {
        "symbols30": np.concatenate([take.symbols for take in some]),
        "performed": np.concatenate([take.performed for take in some]),
        "trust": np.ones(ends[-1], np.float32),
        "clip": number,
        "clip_mean": np.stack([one.mean.numpy() for one in own]),
        "clip_std": np.stack([one.std.numpy() for one in own]),
        "speaker": number,
    }
    told = json.loads(json.dumps(config))
    about = About("facial", "performer", preset, told, seed, plan or {}, segments)
    return write_bundle(target, about, arrays)


def _parted(count: int, parts: tuple[int, int, int]) -> tuple[int, int]:
    """How many people are learned from and judged by: at least one of each."""
    judged = max(1, round(count * parts[1] / sum(parts)))
    learned = min(max(1, round(count * parts[0] / sum(parts))), count - judged)
    if learned < 1:
        raise WorkError(f"{count} people cannot be parted", where="takes", do="make at least two")
    return learned, judged


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where takes are kept, and the bundle `general.bundle`")
    parser.add_argument("--takes", type=int, default=Plan.takes)
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--parts", default=":".join(map(str, PARTS)), help="learned from, judged by, left")
    parser.add_argument("--steps", type=int, help="instead of the preset's")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    plan = Plan(takes=asked.takes, seed=asked.seed, seconds=asked.seconds)
    files = make(plan, asked.folder, find_backend("embedded"), lambda n, of: print(f"\r{n}/{of}", end=""))
    learned, judged, left = (int(part) for part in asked.parts.split(":"))
    target = write_general(
        list(performances(files)),
        asked.folder / "general.bundle",
        find_method("facial").config(asked.preset).as_dict(),
        preset=asked.preset,
        parts=(learned, judged, left),
        plan={} if asked.steps is None else {"steps": asked.steps},
    )
    print(f"\n{target}")


if __name__ == "__main__":
    main()
