"""A film at 25 frames a second: its pictures, its sound in step with them, and its stretches without a cut.

The expert was taught at that rate, and the public one too. Private to `tasks.in_sync`.

Shape legend: K frames at 25 a second, T frames of the film.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.sync.measuring import REACH
from models.sync.sight import FRAMES
from storage.media import VideoReader
from tasks.audio import AudioFeatures, frames_from_speech

__all__ = ["RATE", "Film", "pictures_of", "runs_of", "sound_of_film"]

RATE, _MEL_RATE = 25.0, 80.0
_FEWEST = 2 * REACH + FRAMES  # frames of a run of which anything can be told


class Film(NamedTuple):
    """What is looked at of a film: T frames from `first` on."""

    video: Path
    first: int
    rate: float
    places: Tensor  # (T, 2, 3) of canvases
    shot: NDArray[np.int64]  # (T,) -1 where no face is
    landmarks: NDArray[np.float32]  # (T, 478, 3)
    late_s: float = 0.0  # by which the sound is read later

    @property
    def at(self) -> NDArray[np.int64]:
        """(K,) the frames that stand for 25 a second."""
        count = int(len(self.shot) / self.rate * RATE + 1e-6)
        rows = ((np.arange(count) + 0.5) / RATE * self.rate + 1e-6).astype(np.int64)
        return np.minimum(rows, len(self.shot) - 1)

    @property
    def begin_s(self) -> float:
        """When sound begins to be read: where frames of other rates are all shown late, so much later."""
        at = self.at
        shown, wanted = (at + 0.5) / self.rate, (np.arange(len(at)) + 0.5) / RATE
        late = float((shown - wanted).mean()) if len(at) else 0.0
        return self.first / self.rate + self.late_s + late


def runs_of(film: Film) -> list[tuple[int, int]]:
    """Stretches of one shot with a face, long enough to tell anything."""
    shot = film.shot[film.at]
    cuts = [0, *(np.flatnonzero(np.diff(shot)) + 1).tolist(), len(shot)]
    return [(a, b) for a, b in itertools.pairwise(cuts) if b - a >= _FEWEST and shot[a] >= 0]


def sound_of_film(film: Film, heard: AudioFeatures) -> Tensor:
    """(K, 2, 111): rows as bundles have them, two a frame."""
    halves, begin = 2 * len(film.at), film.begin_s
    symbols = frames_from_speech(heard.deepspeech, halves, 2 * RATE, begin, log_probabilities=True)
    curves = (heard.loudness, heard.voice)
    rows = [symbols, *(frames_from_speech(one, halves, 2 * RATE, begin)[:, None] for one in curves)]
    at = np.clip(((np.arange(halves) + 0.5) / (2 * RATE) + begin) * _MEL_RATE, 0, len(heard.mel) - 1)
    low = np.minimum(at.astype(int), max(len(heard.mel) - 2, 0))
    part, high = (at - low)[:, None], np.minimum(low + 1, len(heard.mel) - 1)
    bands = heard.mel[low] * (1 - part) + heard.mel[high] * part
    told = np.concatenate([*rows, bands], 1).astype(np.float32)
    return torch.from_numpy(told).reshape(len(film.at), 2, -1)


def pictures_of(film: Film, start: int, stop: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures of frames at 25 a second."""
    wanted = film.at[start:stop] + film.first
    shown = VideoReader(film.video).read(int(wanted[0]), int(wanted[-1]) + 1)
    number = int(wanted[0]) - 1
    for at in wanted.tolist():
        # Slower films show a picture twice, faster ones skip some.
        for _ in range(at - number):
            picture = next(shown)
        number = at
        yield picture
