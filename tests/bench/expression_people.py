"""People of whom sound and face are known: puppets filmed and extracted, and real clips. For `expression`.

Everything goes through the pipeline's own code: tracked, fitted, heard, sound moved where it was late.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.audio import RATE
from models.memface.listening import at_halves, paired
from models.methods import Heard
from models.morphable.builtin import builtin
from models.puppet.texts import ENGLISH_60_S, ENGLISH_SENTENCES
from storage.media import VideoReader
from tasks.audio import features_of, find_backend, sound_of
from tasks.film import Script, film, rehearse
from tasks.offset import correction_s, measure_offset, seen_lips
from tests.bench.fitting_run import fitted, track_of
from tests.bench.footage import real_footage
from tests.bench.tracking_run import normalised

__all__ = ["FPS", "Person", "correlation", "opening", "puppet", "real", "unmoving"]

FPS = 25
_UNSEEN = ENGLISH_SENTENCES[:4]
_UPPER, _LOWER = 13, 14


@dataclass(frozen=True, eq=False)
class Person:
    """A clip at 25 frames a second: up to `edge` it is trained on, from there on tested."""

    name: str
    heard: Heard
    expression: np.ndarray  # (T, 64) as extraction fits it
    identity: np.ndarray
    gap: np.ndarray  # (T,) tracked opening of the lips over the eyes' distance
    edge: int
    moved: float  # frames by which the sound was moved

    def __len__(self) -> int:
        return len(self.gap)

    @cached_property
    def speech(self) -> np.ndarray:
        rows = (self.heard.speech, self.heard.loudness[:, None], self.heard.voice[:, None])
        return paired(torch.cat(rows, 1))[: len(self)].numpy()

    @cached_property
    def mel(self) -> np.ndarray:
        assert self.heard.mel is not None
        return at_halves(self.heard.mel, 0, 2 * len(self)).reshape(-1, 2, 80).numpy()

    def sound(self, shift: int = 0) -> Iterator[Heard]:
        """What is heard; `shift` frames of it wrong."""
        rows = [x.roll(2 * shift, 0) for x in self.heard[:3]]
        assert self.heard.mel is not None
        yield Heard(*rows, self.heard.mel.roll(round(shift * 80 / FPS), 0))


def folder() -> Path:
    place = Path(tempfile.gettempdir()) / "memdub-expression"
    place.mkdir(exist_ok=True)
    return place


def puppet(seed: int) -> Person:
    """A minute of a puppet, then four sentences that it had not said."""
    text = f"{ENGLISH_60_S} {' '.join(_UNSEEN)}"
    video = folder() / f"puppet{seed}.mp4"
    if not video.exists():
        film(Script(seed, text), video)
    unseen = rehearse(Script(seed, ENGLISH_60_S))[0].duration_s
    return _person(f"puppet {seed}", video, round((unseen - 0.2) * FPS))


def real(name: str, edge_s: float) -> Person | None:
    """A real clip, or None where it is not."""
    footage = real_footage()
    if footage is None:
        return None
    return _person(Path(name).stem, footage / "video" / name, round(edge_s * FPS))


def _person(name: str, video: Path, edge: int) -> Person:
    clip = normalised(video, folder())
    kept = folder() / f"{video.stem}.people.npz"
    if not kept.exists():
        rows = fitted(clip).rows
        np.savez(kept, expression=rows["fit/expression"], identity=rows["fit/identity"][0])
    fit = np.load(kept)
    track = track_of(clip)[0]
    assert round(float(VideoReader(clip).rate), 3) == FPS
    backend, samples = find_backend("embedded"), np.concatenate(list(sound_of(clip)))
    motion, shots = seen_lips(track)
    symbols = np.concatenate(list(backend.stream([samples])))
    late = correction_s(measure_offset(motion, symbols, FPS, shots))
    frames = len(fit["expression"])
    moved = samples[round(late * RATE) :] if late >= 0 else np.pad(samples, (round(-late * RATE), 0))
    found = features_of([moved], backend, samples=round(frames / FPS * RATE))
    rows = [torch.from_numpy(x) for x in (found.deepspeech, found.loudness, found.voice)]
    heard = Heard(*rows, mel=torch.from_numpy(found.mel))
    gap = _gap(track.read("track/landmarks"))
    return Person(name, heard, fit["expression"], fit["identity"], gap, edge, late * FPS)


def _gap(points: np.ndarray) -> np.ndarray:
    eyes = (points[:, 33] + points[:, 133] - points[:, 263] - points[:, 362])[:, :2] / 2
    apart = np.linalg.norm(points[:, _UPPER, :2] - points[:, _LOWER, :2], axis=1)
    return np.asarray(apart / np.linalg.norm(eyes, axis=1))


def opening(person: Person, expression: np.ndarray | Tensor) -> np.ndarray:
    """(T,) millimetres from the model's upper inner lip down to the lower one.

    Their distance would also count how far one stands before the other, which no tracked gap shows.
    """
    model = builtin()
    down = model.mouth_vertices(person.identity, np.asarray(expression))[..., 1]
    place = {int(v): k for k, v in enumerate(model.mouth)}
    return np.asarray(down[:, place[_LOWER]] - down[:, place[_UPPER]])


def unmoving(curve: np.ndarray) -> np.ndarray:
    """A curve less its mean over two seconds: what is speech, not posture."""
    ones = np.ones(2 * FPS + 1)
    return np.asarray(
        curve - np.convolve(curve, ones, "same") / np.convolve(np.ones(len(curve)), ones, "same")
    )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])
