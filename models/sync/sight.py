"""What the expert sees and hears of a frame: the mouth out of any canvas, and the sound around five frames.

Whoever asks the expert cuts with these, so that training, losses and measurements mean the same.

Shape legend: B pictures or windows, N rows of a clip, S canvas.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas.framing import Framing, mouth_canvas
from models.canvas.places import mouth_box
from models.training.bundle import Bundle

__all__ = ["BEFORE", "FRAMES", "ROWS", "SIDE", "in_pace", "mouths_of", "sound_windows"]

SIDE = 48
FRAMES = 5  # that are seen together
BEFORE = 4  # rows of sound before the first of them, and after the last
ROWS = FRAMES + 2 * BEFORE
_RATE, _OFF = 25.0, 0.02


def in_pace(bundle: Bundle) -> bool:
    """Whether its rows pass as fast as those that the expert knows; faster mouths would seem out of step."""
    return all(abs(one.rate / _RATE - 1) <= _OFF for one in bundle.about.segments)


def mouths_of(pictures: Tensor, framing: Framing) -> Tensor:
    """(B, 3, S, S), -1 to 1, framed so, to the mouths (B, 3, 48, 48) on them."""
    canvas = mouth_canvas(pictures, framing)
    rows, columns = mouth_box(canvas.shape[-1])
    mouths = canvas[..., rows, columns].float()
    if mouths.shape[-1] == SIDE:
        return mouths
    return functional.interpolate(mouths, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)


def sound_windows(
    sound: Tensor, rows: Tensor, runs: Sequence[tuple[int, int]], late: Tensor | int = 0
) -> Tensor:
    """(N, 2, 111) to (B, 13, 2, 111): what is heard around frames `rows` (B,) to four frames later.

    Beyond the ends of the run (start, stop) in which a row lies its first and last sound hold on. Sound that
    is `late` (B,) is read so many rows later.
    """
    edges = torch.tensor(sorted(runs), dtype=torch.int64)
    own = edges[
        (torch.searchsorted(edges[:, 0].contiguous(), rows.contiguous(), right=True) - 1).clamp(min=0)
    ]
    if bool(((rows < own[:, 0]) | (rows >= own[:, 1])).any()):
        raise ValueError("a window of sound begins outside of every run")
    at = (rows + late)[:, None] + torch.arange(-BEFORE, FRAMES + BEFORE)
    return sound[torch.minimum(torch.maximum(at, own[:, :1]), own[:, 1:] - 1)]
