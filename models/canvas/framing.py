"""How much of a face a canvas shows. The usual canvas frames mouth and chin; others lie around it.

A framing is told in sides of the mouth's canvas, so that whoever knows one canvas knows where all others lie.
Shape legend: B frames, C channels, S side.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["FACE", "MOUTH", "TALL", "Framing", "framed", "mouth_canvas"]


class Framing(NamedTuple):
    """A square around the mouth's canvas, in sides of that: how large, and what is left of and above it."""

    side: float
    left: float
    top: float

    def box(self, side: int) -> tuple[slice, slice]:
        """Rows and columns of the mouth's canvas on one of `side` pixels that is framed so."""
        pixels = side / self.side
        left, top, wide = round(self.left * pixels), round(self.top * pixels), round(pixels)
        return slice(top, top + wide), slice(left, left + wide)


MOUTH = Framing(1.0, 0.0, 0.0)
# The whole face, 128 pixels wide, its lower half reaching from the nostrils to below the chin.
FACE = Framing(128 / 72, 28 / 72, 56 / 72)
# DINet's: a hole that is the mouth's canvas, half of it above, an eighth below. It takes the middle columns.
TALL = Framing(104 / 64, 20 / 64, 32 / 64)


def framed(places: Tensor, framing: Framing, pixels: float) -> Tensor:
    """Places (B, 2, 3) of canvases around mouths' canvases of `pixels`, which lie at `places`."""
    out = places.clone()
    corner = places.new_tensor([framing.left * pixels, framing.top * pixels])
    out[:, :, 2] -= places[:, :, :2] @ corner
    return out


def mouth_canvas(pictures: Tensor, framing: Framing) -> Tensor:
    """The mouth's canvas (B, C, s, s) of pictures (B, C, S, S) that are framed so."""
    rows, columns = framing.box(pictures.shape[-1])
    return pictures[..., rows, columns]
