"""The canvases of a whole template: where they lie, and what is drawn on them from shape and pose alone.

Made when a speaker meets a template; a few numbers a frame. Shape legend: T frames, B of a view, S side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.canvas.framing import MOUTH, Framing
from models.canvas.mask import framed_masks
from models.canvas.mesh import Meshes, mesh_pictures
from models.canvas.places import places
from models.methods import Fit, Person, Template

__all__ = ["Canvases", "light_of_shots"]


def light_of_shots(light: Tensor, shot: Tensor, seen: Tensor) -> Tensor:
    """Each frame's light (T, 27): the usual one of its shot, which knows nothing of any frame's mouth."""
    out = torch.zeros_like(light)
    for number in shot[seen.bool()].unique().tolist():
        mine = shot == number
        out[mine] = light[mine & seen.bool()].median(0).values
    return out


class Canvases:
    """See the module."""

    def __init__(self, person: Person, template: Template, side: int, framing: Framing = MOUTH) -> None:
        fit = template.fit
        self.person, self.side, self.framing = person, side, framing
        self.places = places(
            person.identity,
            fit.rotation,
            fit.translation,
            fit.camera,
            template.shot,
            template.seen,
            template.rate,
            side,
            framing,
        )
        self.light = light_of_shots(fit.light, template.shot, template.seen)

    def alpha(self, fit: Fit, at: Tensor) -> Tensor:
        """Masks (B, S, S) at places (B, 2, 3)."""
        person, pose = self.person, (fit.rotation, fit.translation, fit.camera)
        return framed_masks(person.identity, *pose, at, self.side, self.framing)

    def mesh(self, fit: Fit, expression: Tensor, light: Tensor, at: Tensor) -> Meshes:
        """Meshes with these expressions (B, 64)."""
        person, pose = self.person, (fit.rotation, fit.translation, fit.camera)
        return mesh_pictures(person.identity, person.texture, expression, *pose, light, at, self.side)
