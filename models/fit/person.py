"""What a shot says of a person: identity, texture and usual light, from a few chosen frames.

Called once a shot; `compute` then takes every frame. Shape legend: B frames, L landmarks, V vertices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit.appearance import facing, normals, sample, solve_texture, to_crop, unhidden
from models.fit.frames import Frames
from models.fit.geometry import Camera
from models.fit.landmarks import FitSettings, View, targets
from models.fit.shot import solve_shot
from models.morphable.model import MorphableModel

__all__ = ["Person", "Pictures", "heads", "meet"]

F32 = NDArray[np.float32]
_PICTURES = 16  # of the chosen frames, these many give colours


class Person(NamedTuple):
    """Coefficients of one shot."""

    identity: F32  # (80,)
    texture: F32  # (80,)
    light: F32  # (27,)


class Pictures(NamedTuple):
    """Crops (B, H, W, 3) uint8 and where they lie in the clip (B, 3)."""

    crops: Tensor
    placement: Tensor


def heads(
    model: MorphableModel, identity: Tensor, expression: Tensor, vertices: slice | Tensor = slice(None)
) -> Tensor:
    """Vertices (B, V, 3) in the head's frame."""
    mean, who, moves = (torch.from_numpy(a)[vertices] for a in (model.mean, model.identity, model.expression))
    moved = expression @ moves.reshape(-1, moves.shape[2]).T
    return mean + who @ identity + moved.reshape(len(expression), -1, 3)


def meet(
    model: MorphableModel,
    seen: View,
    landmarks: Tensor,
    belief: Tensor,
    eyes: Tensor,
    pictures: Pictures,
    camera: Camera,
    settings: FitSettings,
) -> Person:
    """The person of frames (B, N, 3) that all have a face."""
    goal = targets(seen, landmarks, belief, settings, eyes)
    depth = landmarks[:, torch.from_numpy(seen.points), 2]
    identity, frames = solve_shot(seen, goal, depth, camera, settings)
    some = torch.linspace(0, len(landmarks) - 1, min(_PICTURES, len(landmarks))).round().long()
    few = Frames(*(a[some] for a in frames))
    texture, light = _colours(model, identity, few, Pictures(*(a[some] for a in pictures)), camera)
    return Person(identity.numpy(), texture.numpy(), light.numpy())


def _colours(
    model: MorphableModel, identity: Tensor, f: Frames, pictures: Pictures, camera: Camera
) -> tuple[Tensor, Tensor]:
    turned = heads(model, identity, f.expression) @ f.rotation.transpose(1, 2)
    seen = turned + f.translation[:, None]
    normal = normals(seen, torch.from_numpy(model.triangles).long())
    colours, inside = sample(
        pictures.crops, to_crop(camera.project(seen), pictures.placement, pictures.crops.shape[1])
    )
    # A slanted place is seen badly, and its picture moves most when the shape is a little wrong.
    front = ((facing(seen, normal) - 0.1) / 0.5).clamp(0, 1)
    weight = front * inside * unhidden(seen, model.triangles, camera, pictures.placement)
    return solve_texture(
        normal, colours, weight, torch.from_numpy(model.colour), torch.from_numpy(model.texture)
    )
