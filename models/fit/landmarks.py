"""Landmarks of many frames seen through a morphable model: residuals, their derivatives, robust weights.

The solvers of one frame and of one shot stand on this. Residuals are in units of the landmarks' noise, so
that a squared coefficient (its deviation is one) and a squared residual may be added.

Shape legend: B frames, L landmarks, E expression modes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit.geometry import Camera
from models.morphable.builtin import mesh_trust
from models.morphable.model import Correspondence, MorphableModel, vertex_normals
from models.track.subset68 import DLIB_IN_MESH

__all__ = [
    "FitSettings",
    "Sight",
    "Sighted",
    "Targets",
    "View",
    "eye_distance",
    "landmarks_of",
    "robust",
    "sight",
    "targets",
    "view",
    "view_of",
]


@dataclass(frozen=True)
class FitSettings:
    """How much landmarks, priors and neighbours in time are believed."""

    noise: float = 0.02  # of a landmark, over the distance between the eyes
    outlier: float = 3.0  # in noises; what is farther off counts less and less
    identity: float = 3.0  # weight of identity's prior for each frame that it is met in
    expression: float = 1.0
    smooth_expression: float = 3.0  # weight of a squared change of a coefficient between frames
    smooth_turn: float = 6e3  # the same of a radian
    smooth_place: float = 0.2  # and of a millimetre
    hidden: float = 0.5  # what a landmark on the side turned away still counts
    steps: int = 10
    shot_steps: int = 4


class View(NamedTuple):
    """A model at its landmarks, as tensors."""

    points: NDArray[np.int64]  # which landmarks of the picture
    mean: Tensor  # (L, 3)
    identity: Tensor  # (L, 3, 80)
    expression: Tensor  # (L, 3, 64)
    normal: Tensor  # (L, 3)
    trust: Tensor  # (L,)


class Sighted(NamedTuple):
    """Landmarks of frames in one numbering: the mesh's 478, then dlib's 68 with the mesh's rough depth."""

    points: NDArray[np.float32]  # (T, 546, 3)
    belief: NDArray[np.float32]  # (T,) 0 to 1
    found: NDArray[np.bool_]  # (T,)


def landmarks_of(
    mesh: NDArray[np.float32], dlib: NDArray[np.float32], confidence: NDArray[np.float32]
) -> Sighted:
    """Join what tracking gives; a frame counts as found when it has a mesh and some confidence."""
    plane = np.where(np.isfinite(dlib), dlib, mesh[:, DLIB_IN_MESH, :2])
    points = np.concatenate([mesh, np.concatenate([plane, mesh[:, DLIB_IN_MESH, 2:]], 2)], 1)
    found = np.isfinite(points).all((1, 2)) & (confidence > 0)
    belief = np.where(found, np.clip(confidence, 0.02, 1), 0).astype(np.float32)
    return Sighted(points.astype(np.float32), belief, found)


def eye_distance(points: Tensor) -> Tensor:
    """Pixels (B,) between the eyes' centres, as if seen from the front."""
    return ((points[:, 33] + points[:, 133] - points[:, 263] - points[:, 362]) / 2).norm(dim=-1)


def view_of(model: MorphableModel) -> View:
    """A model at the landmarks it is fitted to, each trusted as it deserves."""
    trust, irises = mesh_trust()[model.mesh.points], model.mesh.points >= 468
    # A model that has only the irises' centres is told as much about its look as one that has their rims.
    trust[irises] *= 10 / max(int(irises.sum()), 1)
    return view(model, model.mesh, trust)


def view(model: MorphableModel, at: Correspondence, trust: NDArray[np.float32] | None = None) -> View:
    """The rows of a model that landmarks need."""
    normal = at.of(vertex_normals(model.mean, model.triangles))
    arrays = [at.of(a) for a in (model.mean, model.identity, model.expression)]
    believed = np.ones(len(at.points), np.float32) if trust is None else trust
    return View(at.points, *(torch.from_numpy(a) for a in (*arrays, normal, believed)))


class Targets(NamedTuple):
    """What was seen: landmarks, how much each counts, and the pixels of one noise."""

    pixels: Tensor  # (B, L, 2)
    weight: Tensor  # (B, L)
    noise: Tensor  # (B,)


def targets(seen: View, landmarks: Tensor, belief: Tensor, settings: FitSettings, eyes: Tensor) -> Targets:
    """Landmarks (B, N, 2 or 3) of frames that all have a face; `eyes` (B,) is the distance between them."""
    pixels = landmarks[:, torch.from_numpy(seen.points), :2]
    return Targets(pixels, belief[:, None] * seen.trust[None], (settings.noise * eyes).clamp(min=1e-3))


class Sight(NamedTuple):
    """One linearisation: residuals and derivatives, both divided by noise and weighted."""

    residual: Tensor  # (B, L, 2)
    pose: Tensor  # (B, L, 2, 6) by turn and shift
    shape: Tensor  # (B, L, 2, 3) by the landmark's place in the head


def robust(residual: Tensor, outlier: float) -> Tensor:
    """Weights (B, L) of residuals in noises: one for small ones, falling with the square for large ones."""
    return 1 / (1 + (residual**2).sum(-1) / outlier**2)


def _facing(normal: Tensor, r: Tensor, seen: Tensor, settings: FitSettings) -> Tensor:
    towards = -((r @ normal.T).transpose(1, 2) * seen).sum(-1) / seen.norm(dim=-1)
    share = ((towards + 0.15) / 0.5).clamp(0, 1)
    return settings.hidden + (1 - settings.hidden) * share * share * (3 - 2 * share)


def sight(
    head: Tensor,
    r: Tensor,
    t: Tensor,
    normal: Tensor,
    goal: Targets,
    camera: Camera,
    settings: FitSettings,
    patience: float = 1.0,
) -> Sight:
    """Linearise at heads (B, L, 3) posed by R and t.

    `patience` widens what counts as an outlier: before lips have moved, an open mouth looks like one.
    """
    arm = head @ r.transpose(1, 2)
    seen = arm + t[:, None]
    x, y, z = seen.unbind(-1)
    z = z.clamp(min=1.0)
    per = camera.focal / z
    miss = (camera.project(seen) - goal.pixels) / goal.noise[:, None, None]
    weight = goal.weight * robust(miss, patience * settings.outlier) * _facing(normal, r, seen, settings)
    scale = weight.sqrt() / goal.noise[:, None]
    a = scale * per
    zero = torch.zeros_like(a)
    by_place = torch.stack(
        [torch.stack([a, zero, -a * x / z], -1), torch.stack([zero, a, -a * y / z], -1)], -2
    )
    p, q, s = arm.unbind(-1)
    u, v, w = by_place.unbind(-1)
    # The row g of a pixel by the place, turned about the head's origin: g . (step x arm) = step . (arm x g).
    p, q, s = p[..., None], q[..., None], s[..., None]
    by_turn = torch.stack([q * w - s * v, s * u - p * w, p * v - q * u], -1)
    return Sight(miss * weight.sqrt()[..., None], torch.cat([by_turn, by_place], -1), by_place @ r[:, None])
