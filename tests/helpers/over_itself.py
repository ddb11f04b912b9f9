"""A person who was really trained a little, by every method, and whose clip is dubbed over itself.

    made = drawn(anna, job_of(anna, "memface", anna.material, anna.hidden))

What a method is given is decided by the stage's own code; only the coder and the ledger are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch

from flows.train import train
from models.methods import METHODS, Drawn, View, find_method
from storage.artifacts import Artifact
from storage.home import Home
from storage.ledger import Ledger
from storage.media import VideoReader, read_sound
from tasks.audio_backends import AudioBackend, find_backend
from tasks.dubbing import stage
from tasks.dubbing.casting import Cast
from tasks.dubbing.clock import Clock
from tasks.dubbing.draw import drawn_blocks
from tasks.dubbing.hearing import Hearing, listen
from tasks.dubbing.stage import DubOptions, Job
from tasks.dubbing.template import named
from tasks.ears import ear_of
from tasks.extract import video_of
from tasks.material import BLINK, Material, open_materials
from tasks.measuring import RATE, write_sound
from tasks.remember import RememberOptions, features_of, remember
from tasks.training import TrainOptions
from tasks.trials import unshown
from tests.helpers.material_home import material_home
from tests.helpers.painted import wav

__all__ = ["REMEMBER", "Made", "Person", "drawn", "job_of", "person"]

FRAMES, SECONDS = 75, 3.0
REMEMBER = ("nearest", "memface")


@dataclass(frozen=True)
class Person:
    """Anna, and what was trained of her."""

    home: Home
    material: Material
    memory: Artifact
    folder: Path
    audio: Path
    backend: AudioBackend
    hearing: Hearing
    checkpoints: Mapping[str, Mapping[str, Artifact]]

    @property
    def hidden(self) -> tuple[int, int]:
        """What an evaluation hides."""
        return unshown(self.material)


@dataclass(frozen=True)
class Made:
    """What was drawn of the frames that are hidden, and the planes of these frames then."""

    drawn: Drawn
    frames: Sequence[np.ndarray]


def person(folder: Path) -> Person:
    """Trained in two steps a stage."""
    home = _home(folder)
    ledger = Ledger(home.objects)
    sources = features_of(home, ledger, "anna")
    [material] = open_materials(home, [one.features for one in sources])
    first = RememberOptions(slots=20, side=64, share=unshown(material)[0] / FRAMES)
    memory = remember(home, "anna", sources, first)
    backend = find_backend(ear_of(ledger, material.features).name, home.url)
    audio = _spoken(folder)
    hearing = listen(audio, backend, folder / "heard")
    made = {name: _trained(home, name) for name in METHODS}
    return Person(home, material, memory, folder, audio, backend, hearing, made)


def _home(folder: Path) -> Home:
    """All of her face moves, each part by itself."""
    moves = np.random.default_rng(5).normal(size=(FRAMES, 64)).cumsum(0)
    face = (0.3 * (moves - moves.mean(0)) / moves.std(0)).astype(np.float32)
    units = np.zeros((FRAMES, 17), np.float32)
    units[20::40, BLINK] = 5
    changes = {"fit__expression": face, "track__action_units": units}
    return material_home(folder / "home", frames=FRAMES, **changes)


def _spoken(folder: Path) -> Path:
    """A hum that ends before the pictures do, so that the mouth comes to rest in the last of them."""
    sound = read_sound(wav(folder / "hum.wav", SECONDS), RATE)
    sound[round(0.9 * len(sound)) :] = 0
    return write_sound(folder / "speech.wav", sound)


def _trained(home: Home, name: str) -> Mapping[str, Artifact]:
    method = find_method(name)
    if not method.stages(method.config("smoke")):
        return {}
    asked = TrainOptions(name, "smoke", plan={"steps": 2})
    return train("anna", asked, device="cpu", home=home.url).checkpoints


def job_of(one: Person, name: str, material: Material, without: tuple[int, int] | None) -> Job:
    """Her clip over itself, with features that are perhaps others."""
    method, clip = find_method(name), material.clip.id
    memory = one.memory if name in REMEMBER else None
    cast = Cast(method, method.config("smoke"), [material], memory, one.checkpoints[name])
    options = DubOptions(name, "smoke", clip, without=without, pose="template")
    chosen = named([material], clip)
    return Job(one.home, "anna", one.audio, "", cast, chosen, one.backend, np.radians(45), options)


class _Noting:
    """A speaker of whom it is noted what it draws."""

    def __init__(self, speaker: Any) -> None:
        self.speaker, self.drawn = speaker, list[Drawn]()

    def draw(self, view: View) -> Drawn:
        self.drawn.append(self.speaker.draw(view))
        return self.drawn[-1]


def drawn(one: Person, job: Job) -> Made:
    """The stage's own scene and its own pictures, of the frames that are hidden."""
    # Motion that an earlier run left in its folder would be taken.
    folder = Path(mkdtemp(dir=one.folder))
    (folder / "sound").mkdir()
    material = job.chosen.material
    with video_of(one.home, material.clip) as path:
        video = VideoReader(path, form="yuv420p", threads="NONE")
        speaker = job.cast.speakers(one.home, folder, 0, material, job.options.without)()
        scene = stage._scene(job, one.hearing, video, folder, speaker)
        assert (scene.share == 1).all(), "where less is drawn, what was filmed shines through"
        noting: Any = _Noting(speaker)
        blocks = drawn_blocks(scene, noting, *one.hidden, Clock())
        frames = [planes for _, block in blocks for planes in block]
    return Made(Drawn(*(torch.cat(part) for part in zip(*noting.drawn, strict=True))), frames)
