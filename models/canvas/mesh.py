"""Pictures of the built-in model on canvases: what an expression looks like, before anybody paints it.

Three channels and a cover. The first is the lit skin's brightness; the others say which place of the face is
seen, across and down, so that a network need not guess what it should paint there. Inside the lips there
is no mesh: cover 0 is the open mouth. Many frames are drawn at once, below each other on one tall picture.

Shape legend: B frames, V vertices of the lower face.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.canvas.places import projected
from models.fit.appearance import normals
from models.fit.geometry import rotation
from models.fit.light import shade
from models.morphable.builtin import builtin
from models.raster import interpolate, scan, visible

__all__ = ["mesh_pictures"]

F32 = NDArray[np.float32]
_ABOVE_MM = -32.0  # canvases do not reach higher than this
_AT_ONCE = 8
_LUMA = (0.299, 0.587, 0.114)


class _Part(NamedTuple):
    mean: Tensor  # (V, 3)
    identity: Tensor  # (V, 3, 80)
    expression: Tensor  # (V * 3, 64)
    colour: Tensor  # (V,) brightness
    texture: Tensor  # (V, 80)
    code: F32  # (V, 2) place on the face
    triangles: NDArray[np.int32]


@lru_cache(maxsize=1)
def _part() -> _Part:
    """The model without what no canvas shows."""
    model = builtin()
    kept = model.triangles[(model.mean[model.triangles, 1] > _ABOVE_MM).any(1)]
    chosen, renamed = np.unique(kept, return_inverse=True)
    luma = np.array(_LUMA, np.float32)
    mean = model.mean[chosen]
    code = np.clip((mean[:, :2] + (65, 35)) / (130, 120), 0, 1)
    return _Part(
        torch.from_numpy(mean),
        torch.from_numpy(model.identity[chosen]),
        torch.from_numpy(model.expression[chosen].reshape(-1, model.expression.shape[2])),
        torch.from_numpy(model.colour[chosen] @ luma),
        torch.from_numpy(np.einsum("vck,c->vk", model.texture[chosen], luma).astype(np.float32)),
        code.astype(np.float32),
        renamed.reshape(-1, 3).astype(np.int32),
    )


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
) -> tuple[Tensor, Tensor]:
    """Pictures (B, side, side, 3) and covers (B, side, side), uint8, of faces with these expressions.

    `light` should be one a shot: a frame's own was estimated from that frame's mouth, too.
    """
    pictures = torch.zeros(len(expression), side, side, 3, dtype=torch.uint8)
    covers = torch.zeros(len(expression), side, side, dtype=torch.uint8)
    for start in range(0, len(expression), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        told = (a[rows].float() for a in (expression, turn, translation, camera, light, places))
        drawn = torch.from_numpy(_draw(identity.float(), texture.float(), *told, side))
        pictures[rows], covers[rows] = drawn[..., :3], drawn[..., 3]
    return pictures, covers


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
) -> NDArray[np.uint8]:
    part, count = _part(), len(expression)
    heads = part.mean + part.identity @ identity + (expression @ part.expression.T).unflatten(1, (-1, 3))
    turned = rotation(turn)
    flat = projected(heads, turned, translation, camera)
    back = torch.linalg.inv(places[:, :, :2])
    on_canvas = ((flat[..., :2] - places[:, None, :, 2]) @ back.transpose(1, 2)).numpy()
    normal = normals(heads, torch.from_numpy(part.triangles).long()) @ turned.transpose(1, 2)
    lit = shade(normal, light) @ torch.tensor(_LUMA)
    bright = ((part.colour + part.texture @ texture) * lit).clamp(0, 1).numpy()
    code = np.broadcast_to(part.code, (count, *part.code.shape))
    values = np.concatenate([bright[..., None], code, np.ones_like(bright)[..., None]], -1) * 255
    return _rasterised(on_canvas, flat[..., 2].numpy(), values.astype(np.float32), part.triangles, side)


def _rasterised(
    points: F32, depth: F32, values: F32, triangles: NDArray[np.int32], side: int
) -> NDArray[np.uint8]:
    """Canvases (B, side, side, 4) on one tall picture, with room between them for what reaches out."""
    count, vertices = depth.shape
    room = side // 4
    tall = side + 2 * room
    shift = np.arange(count, dtype=np.float32)[:, None] * tall + room
    low, high = np.float32(-room + 1), np.float32(side + room - 1)
    y = np.clip(points[..., 1], low, high) + shift
    where = np.stack([points[..., 0], y], -1).reshape(-1, 2).astype(np.float32)
    all_triangles = (triangles[None] + (np.arange(count) * vertices)[:, None, None]).reshape(-1, 3)
    all_triangles = all_triangles.astype(np.int32)
    found = scan(where, depth.reshape(-1).astype(np.float32), all_triangles, count * tall, side)
    shown = visible([found], count * tall * side)
    canvas = np.zeros((count * tall * side, 4), np.uint8)
    canvas[shown.pixel] = interpolate(shown, all_triangles, values.reshape(-1, 4)) + 0.5
    return canvas.reshape(count, tall, side, 4)[:, room : room + side]
