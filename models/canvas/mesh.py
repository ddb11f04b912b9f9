"""Pictures of the built-in model on canvases: what an expression looks like, before anybody paints it.

Three channels and a cover. The first is the lit skin's brightness; the others say which place of the face is
seen, across and down, so that a network need not guess what it should paint there. Inside the lips there
is no mesh: cover 0 is the open mouth. Many frames are drawn at once, below each other on one tall picture.
For `models.canvas.carry` they also tell which triangle is seen where; a few more close the mouth for it.

Shape legend: B frames, V vertices of the lower face, S a canvas's side, s = S / 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.canvas.lips import closing
from models.canvas.mask import on_canvas
from models.canvas.places import projected
from models.canvas.tall import draw_tall
from models.fit.appearance import normals
from models.fit.geometry import rotation
from models.fit.light import shade
from models.morphable.builtin import builtin

__all__ = ["Meshes", "mesh_pictures", "mesh_points", "mesh_rows", "mesh_triangles", "mesh_vertices"]

F32 = NDArray[np.float32]
_ABOVE_MM = -32.0  # canvases do not reach higher than this
_AT_ONCE = 8
_LUMA = (0.299, 0.587, 0.114)


class Meshes(NamedTuple):
    """Faces with their expressions, on canvases."""

    pictures: Tensor  # (B, S, S, 3) uint8
    covers: Tensor  # (B, S, S) uint8, 0 where there is no skin
    corners: Tensor  # (B, s, s) int16: the triangle that every other pixel shows, -1 for none
    shares: Tensor  # (B, s, s, 2) uint8: how near its first two corners are


class _Part(NamedTuple):
    names: NDArray[np.int64]  # (V,) what its vertices are in the model
    mean: Tensor  # (V, 3)
    identity: Tensor  # (V, 3, 80)
    expression: Tensor  # (V * 3, 64)
    colour: Tensor  # (V,) brightness
    texture: Tensor  # (V, 80)
    code: F32  # (V, 2) place on the face
    triangles: NDArray[np.int32]
    skin: int  # triangles of it; those that close the mouth come after


@lru_cache(maxsize=1)
def _part() -> _Part:
    """The model without what no canvas shows."""
    model = builtin()
    kept = model.triangles[(model.mean[model.triangles, 1] > _ABOVE_MM).any(1)]
    chosen, renamed = np.unique(kept, return_inverse=True)
    luma = np.array(_LUMA, np.float32)
    mean = model.mean[chosen]
    skin = renamed.reshape(-1, 3).astype(np.int32)
    code = np.clip((mean[:, :2] + (65, 35)) / (130, 120), 0, 1)
    return _Part(
        chosen,
        torch.from_numpy(mean),
        torch.from_numpy(model.identity[chosen]),
        torch.from_numpy(model.expression[chosen].reshape(-1, model.expression.shape[2])),
        torch.from_numpy(model.colour[chosen] @ luma),
        torch.from_numpy(np.einsum("vck,c->vk", model.texture[chosen], luma).astype(np.float32)),
        code.astype(np.float32),
        np.concatenate([skin, closing(skin, chosen)]),
        len(skin),
    )


@lru_cache(maxsize=1)
def mesh_triangles() -> Tensor:
    """Corners (n, 3) of all triangles, those over the mouth too."""
    return torch.from_numpy(_part().triangles.astype(np.int64))


def mesh_rows(vertices: NDArray[np.int64]) -> Tensor:
    """Where these vertices of the model stand in `mesh_points`."""
    return torch.from_numpy(np.searchsorted(_part().names, vertices))


def mesh_vertices() -> int:
    """How many vertices `mesh_points` tells."""
    return len(_part().mean)


def mesh_pictures(
    identity: Tensor,
    texture: Tensor,
    expression: Tensor,
    turn: Tensor,
    translation: Tensor,
    camera: Tensor,
    light: Tensor,
    places: Tensor,
    side: int,
) -> Meshes:
    """Faces with these expressions (B, 64), as these poses and cameras show them on canvases.

    `light` should be one a shot: a frame's own was estimated from that frame's mouth, too.
    """
    drawn: list[tuple[Tensor, ...]] = []
    for start in range(0, len(expression), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        told = (a[rows].float() for a in (expression, turn, translation, camera, light, places))
        drawn.append(_draw(identity.float(), texture.float(), *told, side))
    pictures, corners, shares = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    return Meshes(pictures[..., :3], pictures[..., 3], corners, shares)


def mesh_points(
    identity: Tensor,
    expression: Tensor,
    turn: Tensor,
    translation: Tensor,
    camera: Tensor,
    places: Tensor,
    side: int,
) -> Tensor:
    """Where vertices lie on their canvases, in shares of the side: (B, V, 2)."""
    heads = _heads(identity.float(), expression.float())
    return _laid(projected(heads, rotation(turn), translation, camera), places) / side


def _heads(identity: Tensor, expression: Tensor) -> Tensor:
    part = _part()
    return part.mean + part.identity @ identity + (expression @ part.expression.T).unflatten(1, (-1, 3))


def _laid(flat: Tensor, places: Tensor) -> Tensor:
    """Picture pixels (B, V, 3) as canvas pixels (B, V, 2)."""
    return on_canvas(flat[..., :2], places)


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
) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures with their cover (B, S, S, 4), corners and shares."""
    part, count = _part(), len(expression)
    heads, turned = _heads(identity, expression), rotation(turn)
    flat = projected(heads, turned, translation, camera)
    skin = torch.from_numpy(part.triangles[: part.skin]).long()
    lit = shade(normals(heads, skin) @ turned.transpose(1, 2), light) @ torch.tensor(_LUMA)
    bright = ((part.colour + part.texture @ texture) * lit).clamp(0, 1).numpy()
    code = np.broadcast_to(part.code, (count, *part.code.shape))
    values = np.concatenate([bright[..., None], code, np.ones_like(bright)[..., None]], -1) * 255
    points, depth = _laid(flat, places).numpy(), flat[..., 2].numpy()
    return _rasterised(points, depth, values.astype(np.float32), side)


def _rasterised(points: F32, depth: F32, values: F32, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Canvases (B, S, S, 4), and for `carry` what every other pixel of them shows."""
    part = _part()
    drawn = draw_tall(points, depth, part.triangles, values, side)
    colours = drawn.values + np.float32(0.5)
    # Below the triangles that close the mouth there is no skin, and beyond them nothing at all.
    colours[(drawn.triangle < 0) | (drawn.triangle >= part.skin)] = 0
    coarse = (slice(None), slice(None, None, 2), slice(None, None, 2))
    corners = drawn.triangle[coarse].astype(np.int16)
    shares = (drawn.shares[coarse] * 255 + np.float32(0.5)).clip(0, 255).astype(np.uint8)
    shares[corners < 0] = 0
    return tuple(torch.from_numpy(a) for a in (colours.astype(np.uint8), corners, shares))  # type: ignore[return-value]
