"""What a shot says of a person: identity, texture and usual light, from a few chosen frames.

Called once a shot; `compute` then takes every frame. Shape legend: B frames, L landmarks, V vertices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit.appearance import facing, normals, sample, solve_texture, to_crop, unhidden
from models.fit.frames import Frames, solve_frames
from models.fit.geometry import Camera
from models.fit.landmarks import FitSettings, Targets, View, targets
from models.fit.shot import solve_shot
from models.fit.sway import measure
from models.fit.telling import told
from models.morphable.model import MorphableModel

__all__ = ["Person", "Pictures", "heads", "meet", "steadied", "watch"]

F32 = NDArray[np.float32]
_PICTURES = 16  # of the chosen frames, these many give colours
_COLOURED = 2000  # vertices that do
_ROUGHLY = 8  # steps of frames that only tell of a person: the rest are for frames that follow each other


class Person(NamedTuple):
    """Coefficients of one shot, and what turning the head does to its landmarks (see `sway`)."""

    identity: F32  # (80,)
    texture: F32  # (80,)
    light: F32  # (27,)
    sway: F32  # (64,)
    straight: float  # sine of the yaw that needs no correction


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
    pictures: Callable[[NDArray[np.int64]], Pictures],
    camera: Camera,
    settings: FitSettings,
) -> Person:
    """The person of frames (B, N, 3) that all have a face; `pictures` gives the crops of some of them."""
    goal = targets(seen, landmarks, belief, settings, eyes)
    depth = landmarks[:, torch.from_numpy(seen.points), 2]
    fitted, frames = solve_shot(seen, goal, depth, camera, settings)
    identity = told(model.name, fitted, frames.expression)
    some = torch.linspace(0, len(landmarks) - 1, min(_PICTURES, len(landmarks))).round().long()
    # What identity no longer explains is expression or pose: colours are read where the face then lies.
    neutral = seen.mean + seen.identity @ identity
    own = Targets(*(a[some] for a in goal))
    alone = torch.zeros(len(some) - 1)
    few = solve_frames(seen, own, depth[some], neutral, alone, camera, replace(settings, steps=_ROUGHLY))
    texture, light = _colours(model, identity, few, pictures(some.numpy()), camera)
    return Person(identity.numpy(), texture.numpy(), light.numpy(), np.zeros(64, np.float32), 0.0)


def watch(
    model: MorphableModel,
    seen: View,
    person: Person,
    landmarks: Tensor,
    belief: Tensor,
    eyes: Tensor,
    camera: Camera,
    settings: FitSettings,
) -> Person:
    """The person with its sway, from evenly spaced frames (B, N, 3) in time order."""
    goal = targets(seen, landmarks, belief, settings, eyes)
    depth = landmarks[:, torch.from_numpy(seen.points), 2]
    neutral = seen.mean + seen.identity @ torch.from_numpy(person.identity)
    alone = torch.zeros(len(landmarks) - 1)
    f = solve_frames(seen, goal, depth, neutral, alone, camera, replace(settings, steps=_ROUGHLY))
    slope, straight = measure(model, seen, f.expression, f.rotation[:, 0, 2])
    return person._replace(sway=slope.numpy(), straight=straight)


def steadied(expression: Tensor, rotation: Tensor, person: Person) -> Tensor:
    """Expressions (B, E) without what the head's turn does to them."""
    return expression - (rotation[:, 0, 2] - person.straight)[:, None] * torch.from_numpy(person.sway)


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
    # Neighbouring vertices say much the same, and a fine mesh has ten times more of them than are needed.
    some = torch.arange(0, seen.shape[1], max(seen.shape[1] // _COLOURED, 1))
    albedo, modes = (torch.from_numpy(a)[some] for a in (model.colour, model.texture))
    return solve_texture(normal[:, some], colours[:, some], weight[:, some], albedo, modes)
