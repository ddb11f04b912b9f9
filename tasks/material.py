"""What a person's clips hold for training and for dubbing: features opened, and cut into runs and splits.

    materials = open_materials(home, features)
    cut = Cut(held_out=0.2, seconds=30)

A run is a stretch of frames of one shot, all with a face. The last part of every clip is held out: frames in
between would have their neighbours in training. Called by `tasks.bundles` and by dubbing.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.track.units import UNITS
from models.training import HELD_OUT, TRAIN, Segment
from storage import clips
from storage.artifacts import Artifact, find
from storage.clips import ClipGroup
from storage.errors import RequestError, WorkError
from storage.home import Home
from storage.ledger import Ledger
from tasks.chain import url_of

__all__ = ["BLINK", "Cut", "Material", "open_materials", "person_arrays", "require_material", "seconds_of"]

F32 = NDArray[np.float32]
BLINK = UNITS.index(45)
# A run shorter than this shows no movement of a mouth.
_SHORTEST_S = 0.2
# Less than this to train on is a mistake in the footage or in the options.
_LEAST_S = 2.0


@dataclass(frozen=True, eq=False)
class Material:
    """One clip with its features."""

    clip: Artifact
    features: Artifact
    group: ClipGroup

    @property
    def rate(self) -> float:
        return float(self.group.attrs["fps"])

    @property
    def sound_late_s(self) -> float:
        """How much later than its picture the sound is read."""
        return float(self.group.attrs["sound_offset_frames"]) / self.rate

    @cached_property
    def shot(self) -> NDArray[np.int32]:
        return np.asarray(self.group.read("track/shot"), np.int32)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Frames with a face that was fitted."""
        fitted = np.isfinite(self.fit("expression")).all(1) & np.isfinite(self.fit("rotation")).all(1)
        return np.asarray(fitted & (self.group.read("track/confidence") > 0), np.bool_)

    def fit(self, name: str) -> F32:
        """Rows of the morphable fit; not numbers where there is no face."""
        return np.asarray(self.group.read(f"fit/{name}"), np.float32)

    @property
    def blinks(self) -> F32:
        """AU45 of each frame (T,), 0 to 5; not a number where there is no face."""
        if "track/action_units" not in self.group.names:
            what = "its features say nothing of blinks"
            raise RequestError(what, where=self.clip.id, do="run `memdub extract` once more")
        return np.asarray(self.group.read("track/action_units")[:, BLINK], np.float32)

    @cached_property
    def trust(self) -> F32:
        """0 to 1 a frame: how far its fit is to be believed."""
        error = self.fit("error")
        usual = np.nanmedian(error[self.seen]) if self.seen.any() else 1.0
        # Twice the usual distance of the landmarks is a blur or a hand before the face.
        believed = np.clip(2 * usual / np.maximum(error, 1e-9), 0, 1) ** 2
        trust = self.group.read("track/confidence") * np.where(np.isfinite(error), believed, 0)
        return np.asarray(np.where(self.seen, np.clip(trust, 0, 1), 0), np.float32)


@dataclass(frozen=True)
class Cut:
    """How material is parted: the last share of every clip is held out; `seconds` bound the rest."""

    held_out: float = 0.2
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.held_out <= 0.9:
            where = f"--held-out {self.held_out}"
            raise RequestError("not a share of the material", where=where, do="use 0 to 0.9")
        if self.seconds is not None and not self.seconds > 0:
            raise RequestError("no material", where=f"--seconds {self.seconds}", do="give some seconds")

    def edge(self, rows: int) -> int:
        """The row of a clip from which on nothing is trained on."""
        return round(rows * (1 - self.held_out))

    def segments(self, clip: str, usable: NDArray[np.int64], rate: float, left: float) -> list[Segment]:
        """Runs of rows with the same number >= 0, parted; `left` are seconds that may still be trained on."""
        edge = self.edge(len(usable))
        found: list[Segment] = []
        for start, stop in _runs(usable):
            for a, b, split in ((start, min(stop, edge), TRAIN), (max(start, edge), stop, HELD_OUT)):
                most = b if math.isinf(left) else a + round(max(left, 0) * rate)
                end = b if split == HELD_OUT else min(b, most)
                if end - a >= _SHORTEST_S * rate:
                    found.append(Segment(clip, a, end, rate, split, a))
                    left -= (end - a) / rate if split == TRAIN else 0
        return found


def seconds_of(segments: Sequence[Segment], split: str) -> float:
    """How long the runs of a split are."""
    return sum((one.stop - one.start) / one.rate for one in segments if one.split == split)


def require_material(segments: Sequence[Segment]) -> None:
    """RequestError where there is hardly anything to train on."""
    there = seconds_of(segments, TRAIN)
    if there < _LEAST_S:
        what = f"{there:.1f} s with a face to train on, and at least {_LEAST_S:.0f} s are needed"
        raise RequestError(what, do="`memdub ingest` more footage, hold less out, or allow more --seconds")


def open_materials(home: Home, features: Sequence[Artifact]) -> list[Material]:
    """These features with their clips; raises RequestError where another morphable model was fitted."""
    ledger = Ledger(home.objects)
    found = []
    for one in features:
        inputs = json.loads(one.row["recipe"])["inputs"]
        clip, fit = (find(ledger, inputs[role], one.identity) for role in ("clip", "fit"))
        if clip is None:
            raise WorkError("its clip is gone", where=one.id, do="`memdub ingest` the footage again")
        model = "builtin" if fit is None else json.loads(fit.row["recipe"])["parameters"]["model"]
        if model != "builtin":
            do = "run `memdub extract` without --model"
            raise RequestError(
                f"fitted with {model}, and methods know the built-in model", where=one.id, do=do
            )
        found.append(Material(clip, one, clips.open_clip(url_of(home, one))))
    return found


def person_arrays(materials: Sequence[Material]) -> dict[str, F32]:
    """Who it is: identity and texture (80,), and how the face usually is, expression_mean and _std (64,)."""
    seen = [one.seen for one in materials]
    if not any(own.any() for own in seen):
        raise RequestError("no face in any clip", do="`memdub ingest` other footage")

    def rows(name: str) -> F32:
        return np.concatenate([one.fit(name)[own] for one, own in zip(materials, seen, strict=True)])

    expression = rows("expression")
    return {
        # The mean, as memories have it: their keys and ours start from the same neutral mouth.
        "identity": rows("identity").mean(0),
        "texture": rows("texture").mean(0),
        "expression_mean": expression.mean(0),
        "expression_std": expression.std(0),
    }


def _runs(numbers: NDArray[Any]) -> list[tuple[int, int]]:
    cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    return [(a, b) for a, b in itertools.pairwise(cuts) if b > a and numbers[a] >= 0]
