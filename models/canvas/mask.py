"""The part of a canvas that is drawn anew: the lower face, whatever the jaw does.

It follows from who somebody is and how the head is held. The jaw's position on a frame must not show in
its outline, so it is the hull over every opening. Shape legend: B frames, K directions, V vertices.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas.framing import Framing
from models.canvas.places import projected
from models.fit.geometry import rotation
from models.morphable.builtin import builtin

__all__ = [
    "FEATHER",
    "GUARD",
    "framed_masks",
    "guard_of",
    "hulls",
    "masks",
    "on_canvas",
    "support",
    "wider",
]

FEATHER = 0.07  # of the mouth's canvas: how softly a mask ends
GUARD = 4  # canvas pixels around the mask that training hides, too
_DIRECTIONS = 40
_OPENINGS = (-0.5, 0.4, 1.2)  # of the jaw, from pressed shut to wide open
_DILATED, _BELOW = 0.04, 0.08
# Of the mean face: below the nose, in front of the jaw's angles.
_TOP_MM, _MIDDLE_MM, _REACH_MM = 7.0, (0.0, 42.0), (48.0, 38.0)


@lru_cache(maxsize=1)
def _lower_face() -> tuple[Tensor, Tensor, Tensor]:
    """Mean (V, 3), identity (V, 3, 80) and what opening the jaw moves (V, 3), of chosen vertices."""
    model = builtin()
    mean = torch.from_numpy(model.mean)
    out = ((mean[:, :2] - torch.tensor(_MIDDLE_MM)) / torch.tensor(_REACH_MM)).abs()
    chosen = ((out**2.5).sum(1) < 1) & (mean[:, 1] > _TOP_MM) & (mean[:, 2] < 40)
    jaw = model.names.index("jaw_open")
    return (
        mean[chosen],
        torch.from_numpy(model.identity)[chosen],
        torch.from_numpy(model.expression[..., jaw])[chosen],
    )


def _support(identity: Tensor, turn: Tensor, translation: Tensor, camera: Tensor, places: Tensor) -> Tensor:
    """How far the hull reaches in each direction, (B, K), canvas pixels."""
    mean, shapes, opened = _lower_face()
    neutral = mean + shapes @ identity
    heads = torch.cat([neutral + k * opened for k in _OPENINGS])
    flat = projected(heads.expand(len(turn), -1, -1), rotation(turn), translation, camera)[..., :2]
    inside = on_canvas(flat, places)
    low, high = inside.amin(1, keepdim=True), inside.amax(1, keepdim=True)
    middle = (low + high) / 2
    wider = middle + (inside - middle) * (1 + _DILATED)
    lower = (inside[..., 1:] - middle[..., 1:]).clamp(min=0) / (high - middle)[..., 1:]
    wider[..., 1:] += lower * _BELOW * (high - low)[..., 1:]
    return support(wider)


def on_canvas(flat: Tensor, places: Tensor) -> Tensor:
    """Pixels of pictures (B, P, 2) as pixels of the canvases at `places` (B, 2, 3)."""
    back = torch.linalg.inv(places[:, :, :2])
    return (flat - places[:, None, :, 2]) @ back.transpose(1, 2)


def support(points: Tensor) -> Tensor:
    """How far points (B, P, 2) reach in each of K directions: the hull around them, (B, K)."""
    return (points @ _directions().T).amax(1)


@lru_cache(maxsize=1)
def _directions() -> Tensor:
    at = torch.arange(_DIRECTIONS) * (2 * math.pi / _DIRECTIONS)
    return torch.stack([torch.cos(at), torch.sin(at)], 1)


def masks(
    identity: Tensor,
    turn: Tensor,
    translation: Tensor,
    camera: Tensor,
    places: Tensor,
    side: int,
    feather: float = FEATHER,
) -> Tensor:
    """Alpha (B, side, side): 1 well inside, soft over `feather` of the side, exactly 0 outside.

    All rows must have a face. Where alpha is above 0 the true picture is hidden from a method.
    """
    reach = _support(identity.float(), turn.float(), translation.float(), camera.float(), places)
    return hulls(reach, side, feather)


def hulls(reach: Tensor, side: int, feather: float) -> Tensor:
    """Alpha (B, side, side) of hulls that reach so far (B, K); soft inside over `feather` of the side."""
    at = torch.arange(side) + 0.5
    d = _directions()
    out = torch.full((len(reach), side, side), torch.inf)
    # Distance to the nearest edge, one direction at a time: all of them at once would not fit a cache.
    for k in range(_DIRECTIONS):
        line = at * d[k, 0]
        column = reach[:, k, None] - at * d[k, 1]
        torch.minimum(out, column[:, :, None] - line, out=out)
    edge = torch.minimum(torch.minimum(at, side - at)[:, None], torch.minimum(at, side - at)[None]) - 1.0
    t = (torch.minimum(out, edge) / (feather * side)).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def framed_masks(
    identity: Tensor,
    turn: Tensor,
    translation: Tensor,
    camera: Tensor,
    places: Tensor,
    side: int,
    framing: Framing,
) -> Tensor:
    """`masks` on canvases that are framed so; nothing outside the mouth's canvas is ever drawn anew."""
    alpha = masks(identity, turn, translation, camera, places, side, FEATHER / framing.side)
    rows, columns = framing.box(side)
    out = torch.zeros_like(alpha)
    edge = _edge(rows.stop - rows.start, FEATHER * side / framing.side)
    inner = torch.minimum(edge[:, None], edge[None])
    out[:, rows, columns] = torch.minimum(alpha[:, rows, columns], inner)
    return out


def _edge(count: int, feather: float) -> Tensor:
    """Alpha along a line of pixels: 0 at its ends, 1 so far inside."""
    at = torch.arange(count) + 0.5
    t = ((torch.minimum(at, count - at) - 1.0) / feather).clamp(0, 1)
    return t * t * (3 - 2 * t)


def wider(hidden: Tensor, pixels: int) -> Tensor:
    """Masks (B, 1, S, S) of 0 and 1 with this many pixels around them."""
    if pixels < 1:
        return hidden
    return _most(_most(hidden, pixels, 2), pixels, 3)


def _most(values: Tensor, pixels: int, axis: int) -> Tensor:
    """The largest value at most so many pixels away; windows double, which a pooling layer's do not."""
    around = (0, 0, pixels, pixels) if axis == 2 else (pixels, pixels)
    values, width, wanted = functional.pad(values, around), 1, 2 * pixels + 1
    while width < wanted:
        step = min(width, wanted - width)
        length = values.shape[axis] - step
        values = torch.maximum(values.narrow(axis, 0, length), values.narrow(axis, step, length))
        width += step
    return values


def guard_of(places: Tensor) -> int:
    """Canvas pixels around the mask of which the samples were taken, in part, from below it.

    Sampling looks at two picture pixels to each side, each of which has its colour from two further away, as
    colours are stored at half the size; and pasting reaches one canvas pixel out.
    """
    scale = float(places[:, :, 0].norm(dim=1).min())
    return max(GUARD, math.ceil(1.5 + 4 / max(scale, 0.05)))
