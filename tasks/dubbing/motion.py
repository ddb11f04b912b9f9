"""What the face does, moment by moment: a speaker's motion on disk, read at a template's frames.

    motion = move(speaker, hearing, folder, rate)
    rows = motion.at(start, stop)                 # Motion of these output frames

A speaker's own rate may be another than the template's: rows stand for the middle of their time, and are read
linearly in between. In silence the mouth goes to the person's own rest. Called by `tasks.dubbing.stage`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.methods import AROUND_S, Motion, Speaker
from models.morphable import builtin
from storage.errors import WorkError
from tasks.dubbing.gate import MOUTH, gate
from tasks.dubbing.hearing import Hearing
from tasks.dubbing.spool import Spool, SpoolWriter

__all__ = ["Moving", "move"]

F32 = NDArray[np.float32]
# Motion's fields beside the expression, in a spool's columns.
_EXPRESSION = 64
_MORE: Mapping[str, int] = {"rotation": 3, "translation": 3, "blink": 1}
_POSE = ("rotation", "translation")
_VOICE_RATE = 50.0
_WHOLE = "motion.json"


@dataclass(frozen=True)
class Moving:
    """All motion of a dub, on disk at the speaker's rate; `rate` is the template's."""

    spool: Spool
    own_rate: float
    rate: float
    more: tuple[str, ...]
    follows: F32  # (n50,) how far the mouth follows the sound
    rest: F32  # (64,) the mouth shut
    silence: F32 | None = None  # (K,) what is heard where nobody speaks, of a method that hears
    still: bool = False  # the template's head, whatever the speaker would do with it

    def at(self, start: int, stop: int) -> Motion:
        """Rows of output frames start to stop."""
        middle = np.asarray((np.arange(start, stop) + 0.5) / self.rate, np.float64)
        rows, follow = self._rows(middle), self._follow(middle)
        expression, column = self._gated(rows[:, :_EXPRESSION], follow), _EXPRESSION
        found: dict[str, torch.Tensor] = {}
        for name in self.more:
            if self.still and name in _POSE:
                column += _MORE[name]
                continue
            part = rows[:, column : column + _MORE[name]]
            found[name] = torch.from_numpy(np.ascontiguousarray(part[:, 0] if _MORE[name] == 1 else part))
            column += _MORE[name]
        if column < rows.shape[1]:
            found["heard"] = torch.from_numpy(self._hushed(rows[:, column:], follow))
        return Motion(torch.from_numpy(expression), **found, around=torch.from_numpy(self._around(middle)))

    def _rows(self, seconds: NDArray[np.float64]) -> F32:
        return _read(self.spool, seconds * self.own_rate - 0.5)

    def _follow(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 1) how far the mouth follows the sound at these times."""
        at = np.interp(seconds * _VOICE_RATE - 0.5, np.arange(len(self.follows)), self.follows)
        return np.asarray(at[:, None], np.float64)

    def _around(self, middle: NDArray[np.float64]) -> F32:
        """(n, 5, 64): expressions before, at and after these times."""
        read = []
        for seconds in AROUND_S:
            at = np.maximum(middle + seconds, 0)
            read.append(self._gated(self._rows(at)[:, :_EXPRESSION], self._follow(at)))
        return np.stack(read, 1)

    def _hushed(self, heard: F32, follow: NDArray[np.float64]) -> F32:
        silence = 0 if self.silence is None else self.silence
        return np.asarray(silence + follow * (heard - silence), np.float32)

    def _gated(self, expression: F32, follow: NDArray[np.float64]) -> F32:
        out = expression.copy()
        mouth = builtin().coefficients_of(MOUTH)
        out[:, mouth] = self.rest[mouth] + follow * (expression[:, mouth] - self.rest[mouth])
        return out.astype(np.float32)


def _read(spool: Spool, at: NDArray[np.float64]) -> F32:
    """Rows at these places, linearly in between; the first and the last hold beyond the ends."""
    last = len(spool) - 1
    at = np.clip(at, 0, last)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, last)
    begin = int(low[0])
    rows = spool.read(begin, int(high[-1]) + 1)
    part = (at - low)[:, None].astype(np.float32)
    return np.asarray(rows[low - begin] * (1 - part) + rows[high - begin] * part, np.float32)


def move(
    speaker: Speaker, hearing: Hearing, folder: Path, rate: float, rest: F32, *, still: bool = False
) -> Moving:
    """All motion of a sound; what an earlier run left in `folder` is taken if it is whole."""
    own_rate, whole = float(speaker.rate or rate), folder / _WHOLE
    if not whole.exists():
        columns = _write(speaker, hearing, folder / "motion.f32", own_rate)
        whole.with_suffix(".part").write_text(json.dumps(columns))
        whole.with_suffix(".part").replace(whole)
    told = json.loads(whole.read_text())
    silence = getattr(speaker, "silence", None)
    return Moving(
        Spool(folder / "motion.f32", told["width"]),
        own_rate,
        rate,
        tuple(told["more"]),
        gate(hearing.voice),
        rest,
        None if silence is None else silence.float().numpy(),
        still,
    )


def _write(speaker: Speaker, hearing: Hearing, path: Path, own_rate: float) -> dict[str, Any]:
    """Writes the spool; tells its columns."""
    more: list[str] | None = None
    width = 0
    writer: SpoolWriter | None = None
    try:
        for block in speaker.listen(hearing.blocks()):
            if writer is None or more is None:
                more = [name for name in _MORE if getattr(block, name) is not None]
                width = _columns(block, more).shape[1]
                writer = SpoolWriter(path, width).__enter__()
            writer.append(_columns(block, more).float().numpy())
    finally:
        if writer is not None:
            writer.__exit__(None, None, None)
    wanted = round(hearing.seconds * own_rate)
    # A row less or more is rounding; a speaker that stops half-way is none.
    if writer is None or more is None or writer.rows < max(wanted - 2, 1):
        rows = 0 if writer is None else writer.rows
        raise WorkError(f"the method moved {rows} rows of {wanted}", where="dub", do="report it as a bug")
    return {"more": more, "width": width}


def _columns(block: Motion, more: Sequence[str]) -> torch.Tensor:
    """(n, width): the expression, what else moves, and at last what was heard."""
    told = [getattr(block, name).reshape(len(block.expression), -1) for name in more]
    heard = [] if block.heard is None else [block.heard]
    return torch.cat([block.expression, *told, *heard], 1)
