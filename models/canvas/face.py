"""Pictures of the whole fitted face on canvases: skin with its texture in its light, and where the eyes are.

What a render-to-video network takes: the lit face on black, and how much of each pixel is the region of the
eyes, which tells it where an eye attention map lies. Lids, and where eyes look, are drawn at rest: how far an
eye is shut is told by that map alone, so that nothing else can tell it.

Shape legend: B frames, S side of a canvas.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.canvas.mask import on_canvas
from models.canvas.places import projected
from models.canvas.tall import draw_tall
from models.fit.appearance import normals
from models.fit.geometry import rotation
from models.fit.light import shade
from models.morphable.builtin import builtin

__all__ = ["Faces", "face_pictures"]

_AT_ONCE = 8
_AT_REST = ("lids", "gaze")


class Faces(NamedTuple):
    """Faces on canvases."""

    pictures: Tensor  # (B, S, S, 3) uint8, black where there is no face
    eyes: Tensor  # (B, S, S) uint8: how much of a pixel is the region of the eyes


class _Model(NamedTuple):
    mean: Tensor  # (V, 3)
    identity: Tensor  # (V, 3, 80)
    expression: Tensor  # (V * 3, 64) without lids and gaze
    colour: Tensor  # (V, 3)
    texture: Tensor  # (V, 3, 80)
    eyes: Tensor  # (V,)
    triangles: np.ndarray


@lru_cache(maxsize=1)
def _model() -> _Model:
    model = builtin()
    moved = model.expression.copy()
    moved[..., model.coefficients_of(_AT_REST)] = 0
    return _Model(
        torch.from_numpy(model.mean),
        torch.from_numpy(model.identity),
        torch.from_numpy(moved.reshape(-1, moved.shape[2])),
        torch.from_numpy(model.colour),
        torch.from_numpy(model.texture),
        torch.from_numpy(model.eyes.astype(np.float32)),
        model.triangles.astype(np.int32),
    )


def face_pictures(
    identity: Tensor,
    texture: Tensor,
    expression: Tensor,
    turn: Tensor,
    translation: Tensor,
    camera: Tensor,
    light: Tensor,
    places: Tensor,
    side: int,
) -> Faces:
    """Faces with these expressions (B, 64) in these poses, as cameras show them on canvases at `places`."""
    drawn: list[Tensor] = []
    for start in range(0, len(expression), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        told = (a[rows].float() for a in (expression, turn, translation, camera, light, places))
        drawn.append(_draw(identity.float(), texture.float(), *told, side))
    whole = torch.cat(drawn)
    return Faces(whole[..., :3].contiguous(), whole[..., 3].contiguous())


def _draw(
    identity: Tensor,
    texture: Tensor,
    expression: Tensor,
    turn: Tensor,
    translation: Tensor,
    camera: Tensor,
    light: Tensor,
    places: Tensor,
    side: int,
) -> Tensor:
    """Colours and eyes (B, S, S, 4)."""
    model = _model()
    # Row by row: a product of several rows differs in its last bits with their number, and a pixel at an edge
    # would then depend on which frames are drawn together.
    moved = torch.stack([model.expression @ row for row in expression])
    heads = model.mean + model.identity @ identity + moved.unflatten(1, (-1, 3))
    turned = rotation(turn)
    flat = projected(heads, turned, translation, camera)
    lit = shade(normals(heads, torch.from_numpy(model.triangles).long()) @ turned.transpose(1, 2), light)
    skin = ((model.colour + model.texture @ texture) * lit).clamp(0, 1)
    eyes = model.eyes.expand(len(heads), -1)[..., None]
    values = torch.cat([skin, eyes], -1) * 255
    told = (
        on_canvas(flat[..., :2], places).numpy(),
        flat[..., 2].numpy(),
        model.triangles,
        values.numpy().astype(np.float32),
    )
    return torch.from_numpy((draw_tall(*told, side).values + np.float32(0.5)).clip(0, 255).astype(np.uint8))
