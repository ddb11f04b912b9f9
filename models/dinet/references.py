"""Which other frames of the same person a frame is drawn from: by chance while learning, chosen when judged.

No frame within `apart` rows of the one that is drawn is ever among them. They come in the order of their
openings, from shut to wide, as the referees at dubbing do. Private to `models.dinet`.

Shape suffixes: N rows of a bundle, B windows, R references.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.canvas.referees import chosen
from models.dinet.network import REFERENCES
from models.morphable.mouth_shape import opening_of_keys
from models.training.bundle import HELD_OUT, TRAIN, Bundle

__all__ = ["References", "rows_of", "windows_of"]

I64 = NDArray[np.int64]
_NEVER = np.iinfo(np.int64).max
_MOST = 4000  # rows of a person among which the referees look


class References:
    """Of all people of a bundle."""

    def __init__(self, bundle: Bundle, apart: int) -> None:
        self._apart = apart
        self.speaker = bundle.speakers()
        self._opening = opening_of_keys(bundle.tensor("key").float()).numpy()
        self._sharp, self._turn = np.asarray(bundle["sharp"]), np.asarray(bundle["turn"])
        self._own = self._by_speaker(bundle)
        self._shown: dict[int, I64] = {}

    def _by_speaker(self, bundle: Bundle) -> dict[int, I64]:
        """Rows that may be shown, by opening. Who is held out altogether is shown by what is held out."""
        train, rest = bundle.rows(TRAIN), bundle.rows(HELD_OUT)
        out: dict[int, I64] = {}
        for who in np.unique(self.speaker[np.concatenate([train, rest])]).tolist():
            mine = train[self.speaker[train] == who]
            mine = mine if len(mine) else rest[self.speaker[rest] == who]
            seen = np.isfinite(self._opening[mine]) & np.isfinite(self._turn[mine]).all(1)
            mine = mine[seen]
            out[who] = mine[np.argsort(self._opening[mine], kind="stable")]
        return out

    def shown(self, windows: I64, length: int) -> I64:
        """Those of windows (n, 3) of so many frames for whom others are far enough away."""
        edges = {who: (mine.min(initial=_NEVER), mine.max(initial=-1)) for who, mine in self._own.items()}
        low, high = np.array([edges[who] for who in self.speaker[windows[:, 0]].tolist()]).reshape(-1, 2).T
        first, last = windows[:, 0], windows[:, 0] + length - 1
        return windows[(low <= first - self._apart) | (high >= last + self._apart)]

    def some(self, first: I64, last: I64, draw: torch.Generator) -> I64:
        """(B, R) for windows [first, last]: one by chance out of each fifth of the person's openings."""
        luck = torch.rand(len(first), REFERENCES, generator=draw).numpy()
        return np.stack([self._one(*told) for told in zip(first, last, luck, strict=True)])

    def _one(self, first: int, last: int, luck: NDArray[np.float32]) -> I64:
        mine = self._away(first, last)
        edges = np.linspace(0, len(mine), REFERENCES + 1)
        at = (edges[:-1] + luck * np.diff(edges)).astype(np.int64)
        return mine[np.minimum(at, len(mine) - 1)]

    def fixed(self, first: I64, last: I64) -> I64:
        """(B, R) for windows, without chance: the referees' choice, but for what lies too near."""
        rows = []
        for start, stop in zip(first.tolist(), last.tolist(), strict=True):
            who = int(self.speaker[start])
            if who not in self._shown:
                self._shown[who] = self._chosen(np.sort(self._own[who]))
            usual = self._shown[who]
            near = (usual > start - self._apart) & (usual < stop + self._apart)
            rows.append(self._chosen(np.sort(self._away(start, stop))) if near.any() else usual)
        return np.stack(rows)

    def _away(self, first: int, last: int) -> I64:
        mine = self._own[int(self.speaker[first])]
        return mine[(mine <= first - self._apart) | (mine >= last + self._apart)]

    def _chosen(self, rows: I64) -> I64:
        rows = rows[:: max(len(rows) // _MOST, 1)]
        told = (self._opening[rows], self._sharp[rows], self._turn[rows])
        return rows[chosen(*told, REFERENCES)]


def windows_of(runs: Sequence[tuple[int, int]], length: int) -> I64:
    """Every window's first row, and its run's first and last row that a window may begin with: (n, 3)."""
    parts = [np.zeros((0, 3), np.int64)]
    for start, stop in runs:
        if stop - start >= length:
            rows = np.arange(start, stop - length + 1)
            ends = [np.full(len(rows), edge) for edge in (start, stop - length)]
            parts.append(np.stack([rows, *ends], 1))
    return np.concatenate(parts)


def rows_of(first: I64, length: int) -> Tensor:
    """(B, L) rows of windows."""
    return torch.from_numpy(first[:, None] + np.arange(length))
