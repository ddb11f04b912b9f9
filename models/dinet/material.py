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

from models.canvas.variety import varieties
from models.dinet.config import Course, DINetConfig
from models.dinet.hearing import evened
from models.dinet.picture import columns
from models.dinet.references import References, rows_of, windows_of
from models.sync import in_pace, sound_windows
from models.sync.sight import FRAMES
from models.training.bundle import HELD_OUT, TRAIN, Bundle
from models.training.mishearing import misheard, misplaced, spread_of

__all__ = ["Material", "arrays_of", "scored"]

I64 = NDArray[np.int64]
_JUDGED = 64  # held-out frames that are looked at


def arrays_of(config: DINetConfig, course: Course) -> tuple[str, ...]:
    """What a course's bundle must hold."""
    told = ("around",) if config.hearing == "ear" else ("symbols",)
    heard = ("sound",) if scored(config, course) else ()
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
        self.references = References(bundle, config.apart)
        self.windows = {
            split: self.references.shown(windows_of(runs, course.window), course.window)
            for split, runs in self.runs.items()
        }
        if not len(self.windows[TRAIN]):
            what = f"no run of {course.window} frames to train on"
            raise ValueError(f"{bundle.path}: {what}, with others {config.apart} frames away")
        self.scored = scored(config, course) and in_pace(bundle)
        self.sound = torch.nan_to_num(bundle.tensor("sound").float()) if self.scored else torch.zeros(0)
        self.spread = spread_of(bundle) if config.hearing == "ear" else torch.zeros(0)

    def some(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        """A batch by chance."""
        windows = self.windows[TRAIN]
        picked = windows[torch.randint(len(windows), (count,), generator=draw).numpy()]
        first, length = picked[:, 0], self.course.window
        shown = self.references.some(first, first + length - 1, draw)
        out = self._read(first, shown, TRAIN)
        if self.config.hearing == "ear":
            out["told"] = self._misheard(picked, draw)
        # A person's own mouth is where it is, and as sharp as it is.
        soft, share = (self.config.soft, self.config.kneaded) if "speaker" in self.bundle else (0.0, 0.0)
        out |= varieties(count, self.config.light, soft, share, draw)
        return out

    def _misheard(self, windows: I64, draw: torch.Generator) -> Tensor:
        """What is told in windows (B, 3) as an ear would have it."""
        first = misplaced(*windows.T, self.config.shifted, draw)
        wrong = (self.config.noise, self.config.wavering)
        return misheard(self._told(rows_of(first, self.course.window)), self.spread, *wrong, draw)

    def held_out(self, at_once: int) -> Iterator[dict[str, Tensor]]:
        """Batches without chance; none where nothing is held out."""
        windows = self.windows[HELD_OUT]
        count = min(max(_JUDGED // self.course.window, 1), len(windows))
        first = windows[np.linspace(0, max(len(windows) - 1, 0), count).astype(int), 0]
        for at in range(0, len(first), at_once):
            own = first[at : at + at_once]
            shown = self.references.fixed(own, own + self.course.window - 1)
            yield self._read(own, shown, HELD_OUT)

    def _read(self, first: I64, shown: I64, split: str) -> dict[str, Tensor]:
        """Windows that begin at `first` (B,)."""
        rows, bundle = rows_of(first, self.course.window), self.bundle
        across = columns(self.course.side)
        out = {
            "target": bundle.tensor("target", rows.numpy())[..., across, :].contiguous(),
            "mask": bundle.tensor("mask", rows.numpy()),
            "references": bundle.tensor("target", shown)[..., across, :].contiguous(),
            "told": self._told(rows),
        }
        if self.scored:
            out["heard"] = sound_windows(self.sound, torch.from_numpy(first), self.runs[split])
        return out

    def _told(self, rows: Tensor) -> Tensor:
        if self.config.hearing == "ear":
            return torch.nan_to_num(self.bundle.tensor("around", rows.numpy()).float())
        return evened(self.bundle.tensor("symbols", rows.numpy()))
