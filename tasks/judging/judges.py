"""Networks that a user has, which judge films as published figures do: LPIPS, and a face embedding.

    judges = judges_of()                    # before any work: what is named and cannot be used is an error
    figures_of(..., judges=judges)          # "lpips", "identity" beside all others

MEMDUB_LPIPS_WEIGHTS names a file that the public package makes, `torch.save(lpips.LPIPS(net="alex")
.state_dict(), FILE)`; MEMDUB_FACE_EMBEDDING a TorchScript file (`models.judges.embedding`). Where one is not
named, its figure is not told. Called by `tasks.judged` and `tasks.judging.films`.

Shape legend: n frames that were watched, m of them that are asked of, H rows, W columns.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.judges.embedding import SIDE, Embedding, alignments, load_embedding
from models.judges.lpips import LEAST_SIDE, Lpips, load_lpips
from storage.errors import WeightsError
from storage.media import VideoReader
from tasks.threads import one_thread
from tasks.watching import Watched

__all__ = ["EMBEDDING", "LPIPS", "Judges", "judges_of"]

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_Net = TypeVar("_Net")

LPIPS = "MEMDUB_LPIPS_WEIGHTS"
EMBEDDING = "MEMDUB_FACE_EMBEDDING"
_A_SECOND = 5  # faces asked of: who somebody is does not change from frame to frame
_AT_ONCE = 16


@dataclass(frozen=True)
class Judges:
    """What the user has; by default nothing."""

    lpips: Lpips | None = None
    embedding: Embedding | None = None
    digests: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of the files, by figure

    def of_mouths(self) -> dict[str, Callable[[U8, U8], F64]]:
        """Figures of crops (n, H, W, 3), as `tasks.judging.crops.judged` takes them."""
        return {} if self.lpips is None else {"lpips": self._apart}

    def of_people(self, video: Path, made: Watched, truth: Path, true: Watched) -> dict[str, F64]:
        """Figures of whole films (n,)."""
        if self.embedding is None:
            return {}
        return {"identity": _likeness(self.embedding, (video, made), (truth, true))}

    @one_thread()
    def _apart(self, made: U8, true: U8) -> F64:
        assert self.lpips is not None
        with torch.inference_mode():
            pairs = zip(*(torch.split(_pictures(crops), _AT_ONCE) for crops in (made, true)), strict=True)
            told = [self.lpips(one, other).double() for one, other in pairs]
        return np.asarray(torch.cat(told).numpy())


def judges_of(environ: Mapping[str, str] = os.environ) -> Judges:
    """Those that the environment names; WeightsError where one of them cannot be used."""
    lpips, lpips_digest = _loaded(environ, LPIPS, load_lpips)
    embedding, embedding_digest = _loaded(environ, EMBEDDING, load_embedding)
    digests = {"lpips": lpips_digest, "identity": embedding_digest}
    return Judges(lpips, embedding, {name: digest for name, digest in digests.items() if digest})


def _loaded(
    environ: Mapping[str, str], variable: str, load: Callable[[Path], _Net]
) -> tuple[_Net | None, str]:
    named = environ.get(variable)
    if not named:
        return None, ""
    try:
        with Path(named).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return load(Path(named)), digest
    except (OSError, ValueError) as error:
        raise WeightsError(str(error), do=f"correct or unset {variable}") from error


def _pictures(crops: U8) -> Tensor:
    """(n, 3, H, W), -1 to 1; small ones as large as the network wants them."""
    found = torch.from_numpy(np.ascontiguousarray(crops)).movedim(-1, 1).float() / 127.5 - 1
    grown = LEAST_SIDE / min(crops.shape[1:3])
    if grown <= 1:
        return found
    size = [max(round(side * grown), LEAST_SIDE) for side in crops.shape[1:3]]
    return functional.interpolate(found, size, mode="bilinear", align_corners=False)


@one_thread()
def _likeness(net: Embedding, made: tuple[Path, Watched], true: tuple[Path, Watched]) -> F64:
    """Cosines (n,) of some frames; NaN of those between, and where either film has no face."""
    found = np.full(len(true[1].gaps), np.nan)
    rows = _asked(made[1], true[1])
    if len(rows):
        one, other = (_directions(net, *film, rows) for film in (made, true))
        found[rows] = (one * other).sum(1).numpy()
    return found


def _asked(made: Watched, true: Watched) -> I64:
    """Frames (m,) with a face in both, so many a second."""
    known = [np.isfinite(seen.marks.sum((1, 2))) for seen in (made, true)]
    count = min(len(one) for one in known)
    rows = np.arange(0, count, max(round(true.rate / _A_SECOND), 1))
    return np.asarray(rows[known[0][rows] & known[1][rows]])


def _directions(net: Embedding, film: Path, seen: Watched, rows: I64) -> Tensor:
    """Of these frames' faces (m, D), each aligned by its own landmarks."""
    maps = dict(zip((rows + seen.first).tolist(), alignments(seen.marks[rows]), strict=True))
    pictures = enumerate(VideoReader(film).read(min(maps), max(maps) + 1), min(maps))
    faces = [cv2.warpAffine(one, maps[at], (SIDE, SIDE)) for at, one in pictures if at in maps]
    blocks = [np.stack(faces[at : at + _AT_ONCE]) for at in range(0, len(faces), _AT_ONCE)]
    return torch.cat([net(np.asarray(block, np.uint8)) for block in blocks])
