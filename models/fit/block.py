"""Every frame of a stretch, its person known: expression, pose, light and how well the landmarks are met.

Called block by block; the frames of one shot at a time. Shape legend: B frames, L landmarks, V vertices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit.appearance import facing, sample, to_crop
from models.fit.frames import Frames, solve_frames
from models.fit.geometry import Camera, angles
from models.fit.landmarks import FitSettings, View, eye_distance, targets
from models.fit.light import solve_light
from models.fit.person import Person, Pictures, heads, steadied
from models.morphable.model import MorphableModel, vertex_normals

__all__ = ["Rows", "fit_rows"]

F32 = NDArray[np.float32]

_AT_ONCE = 64  # frames whose crops are held at a time
_LIT = 600  # vertices that say what the light is


class Rows(NamedTuple):
    """Coefficients of frames."""

    expression: F32  # (B, 64)
    rotation: F32  # (B, 3)
    translation: F32  # (B, 3)
    light: F32  # (B, 27)
    error: F32  # (B,) mean distance of landmarks, over the distance between the eyes


def fit_rows(
    model: MorphableModel,
    seen: View,
    person: Person,
    landmarks: F32,
    belief: F32,
    follows: NDArray[np.bool_],
    pictures: Callable[[slice], Pictures],
    camera: Camera,
    settings: FitSettings,
) -> Rows:
    """Fit landmarks (B, N, 3); `follows` (B - 1,) is true where a frame is right after the one before.

    `pictures` gives the crops of a few rows at a time.
    """
    points = torch.from_numpy(landmarks)
    eyes = eye_distance(points)
    goal = targets(seen, points, torch.from_numpy(belief), settings, eyes)
    neutral = seen.mean + seen.identity @ torch.from_numpy(person.identity)
    depth = points[:, torch.from_numpy(seen.points), 2]
    links = torch.from_numpy(follows.astype(np.float32))
    f = solve_frames(seen, goal, depth, neutral, links, camera, settings)
    f = f._replace(expression=steadied(f.expression, f.rotation, person))
    moved = f.expression @ seen.expression.reshape(-1, seen.expression.shape[2]).T
    head = neutral + moved.reshape(len(points), -1, 3)
    pixels = camera.project(head @ f.rotation.transpose(1, 2) + f.translation[:, None])
    error = (pixels - goal.pixels).norm(dim=-1).mean(1) / eyes
    light = _lights(model, person, f, pictures, camera)
    arrays = (f.expression, angles(f.rotation), f.translation, light, error)
    return Rows(*(a.numpy() for a in arrays))


def _lights(
    model: MorphableModel, person: Person, f: Frames, pictures: Callable[[slice], Pictures], camera: Camera
) -> Tensor:
    """Each frame's light (B, 27), held to the shot's."""
    plain = np.flatnonzero(~model.eyes)
    some = torch.from_numpy(plain[:: max(len(plain) // _LIT, 1)])
    neutral = model.shape(person.identity, np.zeros(model.expression.shape[2], np.float32))
    # A mouth that moves hardly turns the skin that says what the light is.
    own = torch.from_numpy(vertex_normals(neutral.astype(np.float32), model.triangles))[some]
    albedo = torch.from_numpy(model.albedo(person.texture))[some].clamp(0.02, 1)
    usual, out = torch.from_numpy(person.light), []
    for at in range(0, len(f.expression), _AT_ONCE):
        part = slice(at, min(at + _AT_ONCE, len(f.expression)))
        turn = f.rotation[part].transpose(1, 2)
        head = heads(model, torch.from_numpy(person.identity), f.expression[part], some)
        seen, normal = head @ turn + f.translation[part, None], own @ turn
        crops, placement = pictures(part)
        colours, inside = sample(crops, to_crop(camera.project(seen), placement, crops.shape[1]))
        weight = ((facing(seen, normal) - 0.1) / 0.5).clamp(0, 1) * inside
        out.append(solve_light(normal, albedo.expand(len(seen), -1, -1), colours, weight, usual, 3.0))
    return torch.cat(out)
