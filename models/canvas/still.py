"""Canvases that stand still: one square of the picture for a whole shot, in which a head moves as it likes.

A method that moves heads draws all that a head covers anywhere in its shot, and the wall that shows again
where it was. Where the hole lies follows from the head's poses over the whole shot, so that neither its place
nor its outline says anything of a single frame.

Shape legend: T frames of a clip, n frames of a shot, K directions, S side.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from models.canvas.mask import guard_of, hulls, on_canvas, support, wider
from models.canvas.places import projected
from models.fit.geometry import rotation
from models.morphable.builtin import builtin

__all__ = ["UNKNOWN", "Plate", "Standing", "Still", "in_shots", "plate_of"]

# An ellipsoid about skull and hair, and a neck below it, on the mean face: millimetres, y down, z away.
_SKULL, _RADII = (0.0, -42.0, 52.0), (104.0, 122.0, 118.0)
_NECK, _NECK_RADII = (0.0, 88.0, 52.0), (74.0, 44.0, 60.0)
_ROUND = 12
_MARGIN = 1.04  # of the head's own reach; generated poses stay within what was filmed
_FEATHER = 0.035  # of the side
_USUAL = 0.002  # share of a shot's frames on either side that may reach further
_MOST = 400  # frames that say where a head goes
UNKNOWN = 128  # of a plate, where there always was a head: grey


class Still(NamedTuple):
    """One shot's canvas."""

    place: Tensor  # (2, 3) from canvas pixels to the picture's
    hole: Tensor  # (S, S) 0 to 1: what is drawn anew

    @property
    def hidden(self) -> Tensor:
        """(S, S) 0 or 1: what no network may be shown."""
        return wider((self.hole > 0).float()[None, None], guard_of(self.place[None]))[0, 0]


class Plate(NamedTuple):
    """What lies behind the head of a shot."""

    pixels: Tensor  # (S, S, 3) uint8
    unrest: float  # how far it is from the moments that it was made of, levels of 255: walls stand still


class Standing:
    """Canvases of all shots of a clip."""

    def __init__(
        self,
        identity: Tensor,
        turn: Tensor,
        translation: Tensor,
        camera: Tensor,
        shot: Tensor,
        seen: Tensor,
        side: int,
    ) -> None:
        self.side, self._identity = side, identity.float()
        self._pose = (turn.float(), translation.float(), camera.float())
        self.shots: Mapping[int, Still] = {}
        for number in shot[seen.bool()].unique().tolist():
            rows = torch.nonzero(seen.bool() & (shot == number))[:, 0]
            self.shots[number] = self._still(rows)

    def _still(self, rows: Tensor) -> Still:
        some = rows[torch.linspace(0, len(rows) - 1, min(len(rows), _MOST)).long()]
        flat = self._outlines(some)
        low = flat.amin(1).quantile(_USUAL, 0)
        high = flat.amax(1).quantile(1 - _USUAL, 0)
        scale = float((high - low).max()) * _MARGIN / self.side
        corner = (low + high) / 2 - scale * self.side / 2
        place = torch.cat([torch.eye(2) * scale, corner[:, None]], 1)
        reach = support(on_canvas(flat, place.expand(len(flat), -1, -1)))
        widest = reach.quantile(1 - _USUAL, 0) + 0.5 * (_MARGIN - 1) * self.side
        return Still(place, hulls(widest[None], self.side, _FEATHER)[0])

    def _outlines(self, rows: Tensor) -> Tensor:
        """Where skull and neck are seen, (n, P, 2) pixels of the picture."""
        turn, moved, camera = (part[rows] for part in self._pose)
        points = _head() * _size(self._identity)
        return projected(points.expand(len(rows), -1, -1), rotation(turn), moved, camera)[..., :2]

    def heads(self, rows: Tensor, still: Still) -> Tensor:
        """(n, S, S) bool: where the head and all that moves with it is on these frames."""
        inside = on_canvas(self._outlines(rows), still.place.expand(len(rows), -1, -1))
        return hulls(support(inside) + 0.01 * self.side, self.side, _FEATHER) > 0


def in_shots(shot: Tensor, seen: Tensor, within: tuple[int, int] | None) -> Tensor:
    """(T,) bool: frames with a face, of those shots alone that reach into the frames `within`."""
    if within is None:
        return seen.bool()
    return seen.bool() & torch.isin(shot, shot[slice(*within)])


@lru_cache(maxsize=1)
def _head() -> Tensor:
    """Points (P, 3) on the two ellipsoids."""
    up = torch.linspace(-1, 1, _ROUND) * torch.pi / 2
    about = torch.arange(2 * _ROUND) * (torch.pi / _ROUND)
    unit = torch.stack(
        [
            torch.cos(up)[:, None] * torch.cos(about),
            torch.sin(up)[:, None].expand(-1, len(about)),
            torch.cos(up)[:, None] * torch.sin(about),
        ],
        -1,
    ).flatten(0, 1)
    parts = ((_SKULL, _RADII), (_NECK, _NECK_RADII))
    return torch.cat([unit * torch.tensor(radii) + torch.tensor(middle) for middle, radii in parts])


def _size(identity: Tensor) -> float:
    """How large this person's face is beside the mean face's: hair grows on larger heads, too."""
    model = builtin()
    mean = torch.from_numpy(model.mean)
    own = mean + torch.from_numpy(model.identity) @ identity
    spread = [(one.amax(0) - one.amin(0))[:2].mean() for one in (own, mean)]
    return float((spread[0] / spread[1]).clamp(0.8, 1.25))


def plate_of(canvases: Tensor, heads: Tensor) -> Plate:
    """What lies behind a head, from canvases (n, S, S, 3) and where the head is (n, S, S).

    Of every pixel the median of the moments at which no head is there; grey where there is always one, since
    what lies behind must never tell what a face looks like.
    """
    counts = (~heads).sum(0)
    lifted = canvases.short()
    # Sorted, what does not count stands last.
    lifted[heads] = 256
    middle = ((counts - 1) // 2).clamp(min=0)
    found = lifted.sort(0).values.gather(0, middle[None, :, :, None].expand(1, -1, -1, 3))[0]
    away = (canvases.short() - found).abs().float().mean(-1)
    unrest = float(away[~heads].mean()) if bool((~heads).any()) else 0.0
    return Plate(torch.where(counts[..., None] > 0, found, UNKNOWN).to(torch.uint8), unrest)
