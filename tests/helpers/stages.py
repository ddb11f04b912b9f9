"""Frame stages whose values are easy to tell, for what workers and kills do to them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storage import clips
from storage.errors import MediaError

FRAMES = 2700  # regions of 512, the last one short


@dataclass(frozen=True)
class Counting:
    """Every frame's row says its number; `deadly` blocks kill their worker, the first time only."""

    folder: Path
    frames: int = FRAMES
    deadly: tuple[int, ...] = ()
    always: bool = False
    bad: int | None = None

    def specs(self) -> Sequence[clips.ArraySpec]:
        names = ["video/crop", "track/pose", "track/confidence"]
        return clips.standard(names, frames=self.frames, fps=25, crop=(16, 16))

    def plan(self) -> dict[str, int]:
        (self.folder / f"plan-{os.getpid()}").touch()
        return {"offset": 7}

    def compute(self, plan: Any, start: int, stop: int) -> Mapping[str, np.ndarray]:
        mark = self.folder / f"block-{start:05}"
        if start in self.deadly and (self.always or not mark.exists()):
            mark.touch()
            (self.folder / f"killed-{start:05}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if start == self.bad:
            raise MediaError("a bad block", where=f"frame {start}", do="mend it")
        with mark.open("a") as file:
            file.write("x")
        rows = np.arange(start, stop)
        crop = np.broadcast_to((rows % 251)[:, None, None, None], (len(rows), 16, 16, 3)).astype(np.uint8)
        pose = (rows[:, None] * 6 + np.arange(6) + plan["offset"]).astype(np.float32)
        return {"video/crop": crop, "track/pose": pose, "track/confidence": np.ones(len(rows), np.float32)}


def computed(folder: Path) -> dict[int, int]:
    """How often each block was computed to its end."""
    return {int(p.name[6:]): p.stat().st_size for p in folder.glob("block-*") if p.stat().st_size}


def knows_the_program() -> bool:
    """Whether this process has imported the program that started it."""
    return hasattr(sys.modules.get("__mp_main__"), "__file__")
