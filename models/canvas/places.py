"""Where the canvas lies on each frame: an affine map from its pixels to the picture's.

Both count pixels from their corner, so that the middle of the first is at 0.5. Shape legend: T frames.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from models.canvas.framing import MOUTH, Framing, framed
from models.fit.geometry import rotation
from models.morphable.builtin import builtin

__all__ = ["MOUTH_BOX", "mouth_box", "mouth_in", "places", "projected", "stretches"]

# On the neutral face, millimetres: between mouth and chin, where the canvas has its middle.
_MIDDLE = (0.0, 42.0, -8.0)
_OUTER_EYES = (33, 263)
_EYE_DISTANCES = 1.32  # a canvas's side
_STEADY_S = 0.06  # jitter of a fit is faster than heads move
# Left, top, right, bottom as shares of the side: lips at any opening. Halves go evenly into feature maps.
MOUTH_BOX = (0.25, 0.25, 0.75, 0.75)


def mouth_box(side: int) -> tuple[slice, slice]:
    """Rows and columns of a canvas around the mouth."""
    left, top, right, bottom = (round(share * side) for share in MOUTH_BOX)
    return slice(top, bottom), slice(left, right)


def mouth_in(framing: Framing, side: int) -> tuple[slice, slice]:
    """Rows and columns around the mouth of a canvas that is framed so."""
    rows, columns = framing.box(side)
    inner, beside = mouth_box(rows.stop - rows.start)
    return (
        slice(rows.start + inner.start, rows.start + inner.stop),
        slice(columns.start + beside.start, columns.start + beside.stop),
    )


def projected(points: Tensor, turn: Tensor, translation: Tensor, camera: Tensor) -> Tensor:
    """Points (T, P, 3) of the head, seen: pixels and depth (T, P, 3)."""
    seen = points @ turn.transpose(1, 2) + translation[:, None]
    depth = seen[..., 2:].clamp(min=1.0)
    return torch.cat([seen[..., :2] * camera[:, None, :1] / depth + camera[:, None, 1:], depth], -1)


def stretches(shot: Tensor, seen: Tensor) -> list[tuple[int, int]]:
    """Runs of frames (start, stop) with a face, of one shot."""
    if not len(shot):
        return []
    state = torch.where(seen.bool(), shot.long(), -1)
    cuts = [0, *(torch.nonzero(state[1:] != state[:-1])[:, 0] + 1).tolist(), len(state)]
    return [(a, b) for a, b in itertools.pairwise(cuts) if state[a] >= 0]


def _steadied(rows: Tensor, sigma: float) -> Tensor:
    """Rows (n, C) through a Gaussian that looks both ways; ends are mirrored about their own value."""
    reach = min(math.ceil(3 * sigma), len(rows) - 1)
    if reach < 1:
        return rows
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    before = 2 * rows[:1] - rows[1 : reach + 1].flip(0)
    after = 2 * rows[-1:] - rows[-reach - 1 : -1].flip(0)
    long = torch.cat([before, rows, after]).unfold(0, 2 * reach + 1, 1)
    return (long * (kernel / kernel.sum())).sum(-1)


def _seen_points(identity: Tensor, turn: Tensor, translation: Tensor, camera: Tensor) -> tuple[Tensor, ...]:
    """Of the face without expression: its middle (T, 2), the roll (T,), pixels an eye distance (T,)."""
    model = builtin()
    eyes = torch.from_numpy(model.mean[list(_OUTER_EYES)])
    eyes = eyes + torch.from_numpy(model.identity[list(_OUTER_EYES)]) @ identity
    middle = torch.tensor(_MIDDLE)
    across = torch.tensor([[-40.0, 0.0, 0.0], [40.0, 0.0, 0.0]])
    points = torch.cat([middle[None], middle + across])
    flat = projected(points.expand(len(turn), -1, -1), turn, translation, camera)
    step = flat[:, 2, :2] - flat[:, 1, :2]
    roll = torch.atan2(step[:, 1], step[:, 0])
    wide = (eyes[1] - eyes[0]).norm() * camera[:, 0] / flat[:, 0, 2]
    return flat[:, 0, :2], roll, wide


def places(
    identity: Tensor,
    turn: Tensor,
    translation: Tensor,
    camera: Tensor,
    shot: Tensor,
    seen: Tensor,
    rate: float,
    side: int,
    framing: Framing = MOUTH,
) -> Tensor:
    """Affine maps (T, 2, 3) from canvas to picture; NaN on frames without a face.

    `turn` is a fit's rotation (T, 3) in radians, `rate` frames a second: a whole clip at once, since
    the scale is a shot's and frames are steadied by those around them.
    """
    pixels = side / framing.side
    out = torch.full((len(turn), 2, 3), torch.nan)
    if not seen.any():
        return out
    centre, roll, wide = _seen_points(identity.float(), rotation(turn.float()), translation.float(), camera)
    for start, stop in stretches(shot, seen):
        own = seen.bool() & (shot == shot[start])
        scale = _EYE_DISTANCES * wide[own].median() / pixels
        rows = torch.stack([*centre[start:stop].unbind(1), roll[start:stop]], 1)
        x, y, a = _steadied(rows, max(_STEADY_S * rate, 1e-3)).unbind(1)
        c, s = torch.cos(a) * scale, torch.sin(a) * scale
        half = pixels / 2
        out[start:stop, 0] = torch.stack([c, -s, x - half * (c - s)], 1)
        out[start:stop, 1] = torch.stack([s, c, y - half * (s + c)], 1)
    return framed(out, framing, pixels)
