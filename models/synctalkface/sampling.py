"""Windows of a bundle of canvases: five frames, what was heard around them, and another frame of the person.

A batch is a function of the chance that it is given. Expressions are made unlike the truth as an ear is
wrong: by something that stays, something that drifts, and now and then by a frame. Called by `training`.

Shape legend: B windows of five frames, N rows of the bundle, S canvas.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.canvas.referees import chosen
from models.canvas.variety import varieties
from models.morphable.mouth_shape import opening_of_keys
from models.sync import sound_windows
from models.synctalkface.config import FRAMES, TalkerConfig
from models.training import HELD_OUT, TRAIN, Bundle
from models.training.mishearing import misheard, misplaced, spread_of

__all__ = ["HEARD", "Windows"]

HEARD = {"ear": "around", "mel": "mels"}  # what a configuration hears, by its array
_BESIDE = FRAMES // 2
_SPREADS = (0, 0, 2, 4, 8)  # pixels of 128 that a batch hides beyond the mask and its guard
_SURE = 0.5  # share of windows whose reference is the frame that stands for the person at dubbing


class Windows:
    """What may be drawn from a bundle."""

    def __init__(self, config: TalkerConfig, bundle: Bundle) -> None:
        self.config, self.bundle = config, bundle
        self.speaker = bundle.speakers()
        self.people = {split: self._people(split) for split in (TRAIN, HELD_OUT)}
        self.runs = {split: self._runs(split) for split in (TRAIN, HELD_OUT)}
        self.heard = HEARD[config.hearing]
        self.deviation = spread_of(bundle) if self.heard == "around" else torch.zeros(0)
        self._usual: dict[tuple[int, str], int] = {}
        self._sounds: Tensor | None = None

    def _people(self, split: str) -> dict[int, NDArray[np.int64]]:
        rows = self.bundle.rows(split)
        return {int(who): rows[self.speaker[rows] == who] for who in np.unique(self.speaker[rows])}

    def _runs(self, split: str) -> list[tuple[int, int]]:
        """Those long enough for a window, of people of whom there is always a frame far enough away."""
        enough = FRAMES + 2 * self.config.apart
        return [
            (start, stop)
            for start, stop in self.bundle.segments(split)
            if stop - start >= FRAMES and (split == HELD_OUT or self._count(start) >= enough)
        ]

    def _count(self, row: int) -> int:
        return len(self.people[TRAIN][int(self.speaker[row])])

    def batch(
        self, count: int, lips: bool, sound: bool, draw: torch.Generator, singly: bool = False
    ) -> dict[str, Tensor]:
        """Windows by chance: pictures two frames longer at each end where lips are to be seen.

        `singly` has of each window only its middle frame, and what is around it.
        """
        at, edges = self._starts(count, draw)
        references = [self._reference(int(t), draw) for t in at]
        out = self.read(at, edges, np.array(references), lips, singly)
        out |= self._unlike(at, edges, draw, singly)
        if sound:
            out["sound"] = self.sound(at, edges)
        if self.config.hides == "mask":
            out["spread"] = torch.randint(len(_SPREADS), (1,), generator=draw).repeat(count)
        out["flip"] = torch.rand(count, generator=draw) < self.config.mirrored
        # A person's own mouth is where it is, and as sharp as it is.
        soft, share = (self.config.soft, self.config.kneaded) if "speaker" in self.bundle else (0.0, 0.0)
        out |= varieties(count, self.config.light, soft, share, draw)
        return out

    def read(
        self,
        at: NDArray[np.int64],
        edges: NDArray[np.int64],
        references: NDArray[np.int64],
        lips: bool,
        singly: bool = False,
    ) -> dict[str, Tensor]:
        """Windows that begin at rows `at` (B,) of runs `edges` (B, 2), and their reference rows (B,)."""
        inner = at[:, None] + _frames(singly)
        beside = _BESIDE if lips else 0
        wide = np.arange(inner.shape[1] + 2 * beside) - beside + inner[:, :1]
        wide = np.clip(wide, edges[:, :1], edges[:, 1:] - 1)
        return {
            "target": self.bundle.tensor("target", wide),
            "mask": self.bundle.tensor("mask", inner),
            "reference": self.bundle.tensor("target", references),
            "heard": torch.nan_to_num(self.bundle.tensor(self.heard, inner).float()),
        }

    def _starts(self, count: int, draw: torch.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        runs = torch.tensor(self.runs[TRAIN])
        room = runs[:, 1] - runs[:, 0] - FRAMES + 1
        which = torch.multinomial(room.double(), count, replacement=True, generator=draw)
        within = (torch.rand(count, generator=draw, dtype=torch.float64) * room[which]).long()
        return (runs[which, 0] + within).numpy(), runs[which].numpy()

    def _reference(self, at: int, draw: torch.Generator) -> int:
        """Another row of the same person, far from a window that begins at `at`."""
        who = int(self.speaker[at])
        chance = torch.rand(2, generator=draw).tolist()
        usual = self.usual(who, TRAIN)
        if chance[0] < _SURE and self._far(usual, at):
            return usual
        return self._another(self.people[TRAIN][who], at, chance[1])

    def _far(self, row: int, at: int) -> bool:
        return row <= at - self.config.apart or row >= at + FRAMES - 1 + self.config.apart

    def _another(self, rows: NDArray[np.int64], at: int, chance: float) -> int:
        below = int(np.searchsorted(rows, at - self.config.apart, "right"))
        above = int(np.searchsorted(rows, at + FRAMES - 1 + self.config.apart, "left"))
        count = below + len(rows) - above
        if not count:  # a person of a moment: what is farthest
            return int(rows[np.abs(rows - at).argmax()])
        pick = min(int(chance * count), count - 1)
        return int(rows[pick] if pick < below else rows[pick - below + above])

    def usual(self, who: int, split: str) -> int:
        """The row that would stand for a person at dubbing."""
        if (who, split) not in self._usual:
            rows = self.people[split][who]
            opening = opening_of_keys(self.bundle.tensor("key", rows))
            sharp, turn = self.bundle["sharp"][rows], self.bundle["turn"][rows]
            self._usual[who, split] = int(rows[chosen(opening.numpy(), sharp, turn, 1)[0]])
        return self._usual[who, split]

    def held_out_references(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """For judging: the person's usual frame of the training part, or one of its own part far away."""
        out = []
        for row in at.tolist():
            who = int(self.speaker[row])
            split = TRAIN if who in self.people[TRAIN] else HELD_OUT
            usual = self.usual(who, split)
            far = split == TRAIN or self._far(usual, row)
            out.append(usual if far else self._another(self.people[split][who], row, 0.0))
        return np.array(out, np.int64)

    def _unlike(
        self, at: NDArray[np.int64], edges: NDArray[np.int64], draw: torch.Generator, singly: bool
    ) -> dict[str, Tensor]:
        """What the ear would make of it, in place of what was fitted."""
        if self.heard != "around":
            return {}
        config = self.config
        first = misplaced(at, edges[:, 0], edges[:, 1] - FRAMES, config.shifted, draw)
        told = self.bundle.tensor("around", first[:, None] + _frames(singly)).float()
        wrong = misheard(torch.nan_to_num(told), self.deviation, config.noise, config.wavering, draw)
        return {"heard": wrong}

    def sound(self, at: NDArray[np.int64], edges: NDArray[np.int64]) -> Tensor:
        """What is heard (B, 13, 2, 111) in windows that begin at rows `at` (B,) of runs `edges` (B, 2)."""
        if self._sounds is None:
            self._sounds = self.bundle.tensor("sound")
        runs = [(int(a), int(b)) for a, b in np.unique(edges, axis=0)]
        return sound_windows(self._sounds, torch.from_numpy(at), runs).float()


def _frames(singly: bool) -> NDArray[np.int64]:
    """Which frames of a window are drawn."""
    return np.array([FRAMES // 2]) if singly else np.arange(FRAMES)
