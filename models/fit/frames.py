"""Expression and pose of every frame, identity known: batched Gauss-Newton with neighbours in time.

The expensive part, the normal matrix of a frame, is made after a rigid fit and twice more on the way;
steps between use exact gradients with it. A frame feels its neighbours only through their last step, so a
result depends on no frame farther away than the number of steps.

Shape legend: B frames in time order, L landmarks, E expression modes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.fit.geometry import Camera, first_pose, turned
from models.fit.landmarks import FitSettings, Sight, Targets, View, sight

__all__ = ["Frames", "normal_matrix", "rigid", "solve_frames"]

_AT_ONCE = 32
_POSE = 6
_HELD = 2e-3
_AFRESH = (0, 1, 4)  # steps that make the normal matrix again
_ALL = 1e4  # patience with which nothing is an outlier
_PATIENCE = (20.0, 20.0, 8.0, 4.0, 2.0, 1.0)


class Frames(NamedTuple):
    """Coefficients of frames."""

    expression: Tensor  # (B, E)
    rotation: Tensor  # (B, 3, 3)
    translation: Tensor  # (B, 3)


def _gradient(s: Sight, basis: Tensor) -> Tensor:
    """Derivative (B, 6 + E) of half the squared residuals."""
    pose = torch.einsum("blij,bli->bj", s.pose, s.residual)
    pull = (s.shape * s.residual[..., None]).sum(2).reshape(len(s.residual), -1)
    return torch.cat([pose, pull @ basis.reshape(-1, basis.shape[2])], 1)


def normal_matrix(s: Sight, basis: Tensor) -> Tensor:
    """J^T J (B, 6 + E, 6 + E); few frames at a time, for each frame's J is some 300 KB."""
    out = []
    for at in range(0, len(s.residual), _AT_ONCE):
        part = slice(at, at + _AT_ONCE)
        shape = s.shape[part]
        moved = shape[..., :1] * basis[:, None, 0]
        moved += shape[..., 1:2] * basis[:, None, 1]
        moved += shape[..., 2:3] * basis[:, None, 2]
        j = torch.cat([s.pose[part], moved], -1).flatten(1, 2)
        out.append(j.transpose(1, 2) @ j)
    return torch.cat(out)


def _towards_neighbours(f: Frames, links: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (B, 6 + E) and curvature (B,) of changes in time; links (B - 1,) join frames that follow."""
    step = f.rotation[1:] @ f.rotation[:-1].transpose(1, 2)
    turn = torch.stack(
        [step[:, 2, 1] - step[:, 1, 2], step[:, 0, 2] - step[:, 2, 0], step[:, 1, 0] - step[:, 0, 1]], -1
    )
    change = torch.cat(
        [turn / 2, f.translation[1:] - f.translation[:-1], f.expression[1:] - f.expression[:-1]], 1
    )
    pull = change * links[:, None]
    gradient = torch.zeros(len(f.expression), change.shape[1])
    gradient[1:] += pull
    gradient[:-1] -= pull
    count = torch.zeros(len(f.expression))
    count[1:] += links
    count[:-1] += links
    return gradient * weights, count


def _moved(f: Frames, step: Tensor) -> Frames:
    return Frames(
        f.expression + step[:, _POSE:], turned(f.rotation, step[:, :3]), f.translation + step[:, 3:_POSE]
    )


def rigid(f: Frames, neutral: Tensor, seen: View, goal: Targets, camera: Camera, s: FitSettings) -> Frames:
    """Poses of a face that does not move, by three steps."""
    head = neutral.expand(len(goal.pixels), -1, -1)
    for _ in range(3):
        now = sight(head, f.rotation, f.translation, seen.normal, goal, camera, s, _PATIENCE[0])
        j = now.pose.flatten(1, 2)
        system = j.transpose(1, 2) @ j + 1e-6 * torch.eye(_POSE)
        pull = (j * now.residual.flatten(1, 2)[..., None]).sum(1)
        step = -torch.linalg.solve(system, pull)
        f = Frames(f.expression, turned(f.rotation, step[:, :3]), f.translation + step[:, 3:])
    return f


def solve_frames(
    seen: View,
    goal: Targets,
    depth: Tensor,
    neutral: Tensor,
    links: Tensor,
    camera: Camera,
    settings: FitSettings,
) -> Frames:
    """Fit frames with a known neutral shape (L, 3).

    `depth` (B, L) is each landmark's rough depth in pixels, for the first pose only; `links` (B - 1,) is 1
    where a frame follows the one before it and 0 across cuts and gaps.
    """
    basis = seen.expression
    modes = basis.shape[2]
    rough = torch.cat([goal.pixels, depth[..., None]], -1)
    r, t = first_pose(rough, neutral.expand(len(rough), -1, -1), goal.weight + 1e-6, camera)
    f = Frames(torch.zeros(len(rough), modes), r, t)
    f = rigid(f, neutral, seen, goal, camera, settings)
    smooth = torch.cat(
        [
            torch.full((3,), settings.smooth_turn),
            torch.full((3,), settings.smooth_place),
            torch.full((modes,), settings.smooth_expression),
        ]
    )
    prior = torch.cat([torch.zeros(_POSE), torch.full((modes,), settings.expression)])
    flat = basis.reshape(-1, modes)
    factor = torch.empty(0)
    for k in range(settings.steps):
        head = neutral + (f.expression @ flat.T).reshape(len(rough), -1, 3)
        patience = _PATIENCE[min(k, len(_PATIENCE) - 1)]
        now = sight(head, f.rotation, f.translation, seen.normal, goal, camera, settings, patience)
        pull, count = _towards_neighbours(f, links, smooth)
        if k in _AFRESH:
            # Without the robust weights: they grow as frames come to fit, and a matrix made with small ones
            # would then make steps that overshoot.
            bold = sight(head, f.rotation, f.translation, seen.normal, goal, camera, settings, _ALL)
            curve = prior + count[:, None] * smooth + 1e-4
            matrix = normal_matrix(bold, basis)
            # The matrix serves several steps: what it hardly holds must not run away between them.
            held = _HELD * matrix.diagonal(dim1=1, dim2=2)
            factor = torch.linalg.cholesky(matrix + torch.diag_embed(curve + held))
        known = torch.cat([torch.zeros(len(rough), _POSE), settings.expression * f.expression], 1)
        gradient = _gradient(now, basis) + pull + known
        f = _moved(f, -torch.cholesky_solve(gradient[..., None], factor)[..., 0])
    return f
