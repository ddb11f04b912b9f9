"""A bundle's rows as DINet's batches: frames or clips, five references, what is told, and a light.

Nothing of a frame's own mouth is among its references. Private to `models.dinet`.

Shape suffixes: B windows of L frames, N rows of a bundle, S, W rows and columns of a crop.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.dinet.config import Course, DINetConfig
from models.dinet.hearing import heard_windows, misheard
from models.dinet.picture import columns
from models.dinet.references import References, rows_of, windows_of
from models.sync import sound_windows
from models.sync.sight import FRAMES
from models.training.bundle import HELD_OUT, TRAIN, Bundle

__all__ = ["Material", "arrays_of", "scored"]

I64 = NDArray[np.int64]
_JUDGED = 64  # held-out frames that are looked at


def arrays_of(config: DINetConfig, course: Course) -> tuple[str, ...]:
    """What a course's bundle must hold."""
    told = ("around",) if config.hearing == "ear" else ("sound",)
    heard = ("sound",) if scored(config, course) and "sound" not in told else ()
    return ("target", "mask", *told, *heard, "key", "turn", "sharp")


def scored(config: DINetConfig, course: Course) -> bool:
    """Whether the sync expert is asked: it looks at clips."""
    return course.window == FRAMES and config.losses.sync > 0


class Material:
    """Batches of a course."""

    def __init__(self, bundle: Bundle, config: DINetConfig, course: Course) -> None:
        bundle.require(arrays_of(config, course))
        side = bundle["target"].shape[1]
        if side != course.side:
            raise ValueError(f"{bundle.path}: canvases of {side} pixels, not {course.side}")
        self.bundle, self.config, self.course = bundle, config, course
        self.runs = {split: bundle.segments(split) for split in (TRAIN, HELD_OUT)}
        self.windows = {split: windows_of(runs, course.window) for split, runs in self.runs.items()}
        if not len(self.windows[TRAIN]):
            raise ValueError(f"{bundle.path}: no run of {course.window} frames to train on")
        self.references = References(bundle, config.apart)
        wanted = arrays_of(config, course)
        heard = bundle.tensor("sound").float() if "sound" in wanted else torch.zeros(0)
        self.sound = torch.nan_to_num(heard)
        self.spread = self._spread() if config.hearing == "ear" else torch.zeros(0)

    def _spread(self) -> Tensor:
        """(64,) of expressions, about the mean of whoever has them."""
        rows = self.bundle.rows(TRAIN)
        said = np.nan_to_num(np.asarray(self.bundle["around"][rows, 2], np.float32))
        who = self.references.speaker[rows]
        for one in np.unique(who):
            said[who == one] -= said[who == one].mean(0)
        return torch.from_numpy(said.std(0))

    def some(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        """A batch by chance."""
        windows = self.windows[TRAIN]
        picked = windows[torch.randint(len(windows), (count,), generator=draw).numpy()]
        first, length = picked[:, 0], self.course.window
        told = _shifted(picked, self.config.shifted, draw)
        shown = self.references.some(first, first + length - 1, draw)
        out = self._read(first, told, shown, TRAIN)
        if self.config.hearing == "ear":
            wrong = (self.config.noise, self.config.wavering)
            out["told"] = misheard(out["told"], self.spread, *wrong, draw)
        out["light"] = self._light(count, draw)
        return out

    def held_out(self, at_once: int) -> Iterator[dict[str, Tensor]]:
        """Batches without chance; none where nothing is held out."""
        windows = self.windows[HELD_OUT]
        count = min(max(_JUDGED // self.course.window, 1), len(windows))
        first = windows[np.linspace(0, max(len(windows) - 1, 0), count).astype(int), 0]
        for at in range(0, len(first), at_once):
            own = first[at : at + at_once]
            shown = self.references.fixed(own, own + self.course.window - 1)
            out = self._read(own, own, shown, HELD_OUT)
            out["light"] = self._light(len(own), None)
            yield out

    def _read(self, first: I64, told: I64, shown: I64, split: str) -> dict[str, Tensor]:
        """Windows that begin at `first` (B,), what is said in those that begin at `told` (B,)."""
        rows, bundle = rows_of(first, self.course.window), self.bundle
        across = columns(self.course.side)
        out = {
            "target": bundle.tensor("target", rows.numpy())[..., across, :].contiguous(),
            "mask": bundle.tensor("mask", rows.numpy()),
            "references": bundle.tensor("target", shown)[..., across, :].contiguous(),
            "told": self._told(rows_of(told, self.course.window), split),
        }
        if scored(self.config, self.course):
            out["heard"] = sound_windows(self.sound, torch.from_numpy(first), self.runs[split])
        return out

    def _told(self, rows: Tensor, split: str) -> Tensor:
        if self.config.hearing == "ear":
            return torch.nan_to_num(self.bundle.tensor("around", rows.numpy()).float())
        return heard_windows(self.sound, rows, self.runs[split])

    def _light(self, count: int, draw: torch.Generator | None) -> Tensor:
        """Gains and offsets (B, 2, 3) of colours: one light for a frame and all its references."""
        out = torch.tensor([[1.0], [0.0]]).repeat(count, 1, 3)
        if draw is not None and self.config.light > 0:
            own = torch.randn(count, 2, 3, generator=draw) + torch.randn(count, 2, 1, generator=draw)
            out = out + self.config.light * own * torch.tensor([[1.0], [0.4]])
        return out


def _shifted(windows: I64, share: float, draw: torch.Generator) -> I64:
    """First rows (B,) of what is told: of a share of windows that of the frame before or after."""
    step = torch.randint(0, 2, (len(windows),), generator=draw) * 2 - 1
    moved = torch.rand(len(windows), generator=draw) < share
    told = windows[:, 0] + (step * moved).numpy()
    return np.clip(told, windows[:, 1], windows[:, 2])
