"""What every speaker does around its network: canvases out of a view, and what was drawn back onto it.

    stand = Easel(person, side, framing)
    stand.meet(template)
    looked = stand.look(view)             # canvases, and what of them may be shown to a network
    drawn = stand.lay(made, looked, view)

Called by methods' painters. Shape legend: B frames of a view, S canvas.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.canvas.framing import MOUTH, Framing
from models.canvas.mask import guard_of, wider
from models.canvas.matched import matched
from models.canvas.sample import sample
from models.canvas.template import Canvases
from models.methods import Drawn, Person, Template, View

__all__ = ["Easel", "Looked"]


class Looked(NamedTuple):
    """A view's canvases. What lies where `hidden` is 1 must reach no network."""

    canvases: Tensor  # (B, S, S, 3) uint8
    alpha: Tensor  # (B, S, S)
    hidden: Tensor  # (B, 1, S, S) 0 or 1: the mask, and as far around it as it was sampled from below
    places: Tensor  # (B, 2, 3)
    guard: int


class Easel:
    """One person's canvases of one side and framing, on one template after the other."""

    def __init__(self, person: Person, side: int, framing: Framing = MOUTH) -> None:
        self.person, self.side, self.framing = person, side, framing
        self._canvases: Canvases | None = None

    def meet(self, template: Template) -> None:
        """The template whose frames come next."""
        self._canvases = Canvases(self.person, template, self.side, self.framing)

    def look(self, view: View) -> Looked:
        """What lies on the frames."""
        assert self._canvases is not None, "meet the template first"
        at = self._canvases.places[view.frames]
        canvases = sample(view.pictures, at, self.side)
        alpha = self._canvases.alpha(view.fit, at)
        guard = guard_of(at)
        return Looked(canvases, alpha, wider((alpha > 0).float()[:, None], guard), at, guard)

    def lay(self, made: Tensor, looked: Looked, view: View, alpha: Tensor | None = None) -> Drawn:
        """Canvases (B, S, S, 3) uint8 in the colours around them; `alpha` may be less than the mask."""
        shown = looked.alpha if alpha is None else torch.minimum(alpha, looked.alpha)
        speaks = view.speaks.to(shown.dtype)[:, None, None]
        patches = matched(made, looked.canvases, shown, looked.guard)
        return Drawn(patches, looked.places, shown * speaks)
