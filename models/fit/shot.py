"""Who is seen in a shot: one identity for all chosen frames, with an expression and a pose for each.

The frames' own unknowns are eliminated (Schur complement), so that a step costs little more than the
frames alone. Shape legend: B frames, L landmarks, I identity modes, E expression modes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.fit.frames import Frames, rigid
from models.fit.geometry import Camera, first_pose, turned
from models.fit.landmarks import FitSettings, Targets, View, sight

__all__ = ["solve_shot"]

_POSE = 6


def solve_shot(
    seen: View, goal: Targets, depth: Tensor, camera: Camera, settings: FitSettings
) -> tuple[Tensor, Frames]:
    """Identity (I,) and the frames' coefficients."""
    modes, people = seen.expression.shape[2], seen.identity.shape[2]
    rough = torch.cat([goal.pixels, depth[..., None]], -1)
    r, t = first_pose(rough, seen.mean.expand(len(rough), -1, -1), goal.weight + 1e-6, camera)
    f = Frames(torch.zeros(len(rough), modes), r, t)
    who = torch.zeros(people)
    f = rigid(f, seen.mean, seen, goal, camera, settings)
    for k in range(settings.shot_steps):
        # Identity first, then all: an early expression would explain the person away.
        who, f = _step(who, f, seen, goal, camera, settings, k == 0, max(20 * 0.36**k, 1.0))
    return who, f


def _step(
    who: Tensor,
    f: Frames,
    seen: View,
    goal: Targets,
    camera: Camera,
    s: FitSettings,
    still: bool,
    patience: float,
) -> tuple[Tensor, Frames]:
    head = seen.mean + seen.identity @ who
    head = head + (f.expression @ seen.expression.reshape(-1, seen.expression.shape[2]).T).reshape(
        len(f.expression), -1, 3
    )
    now = sight(head, f.rotation, f.translation, seen.normal, goal, camera, s, patience)
    own = torch.cat([now.pose, now.shape @ seen.expression], -1).flatten(1, 2)
    shared = (now.shape @ seen.identity).flatten(1, 2)
    miss = now.residual.flatten(1, 2)[..., None]
    # What tracking gets wrong about a face it gets wrong in every frame: more frames say no more about it.
    held = s.identity * len(f.expression)
    prior = torch.cat(
        [torch.full((_POSE,), 1e-4), torch.full((own.shape[2] - _POSE,), 1e8 if still else s.expression)]
    )
    a = own.transpose(1, 2) @ own + torch.diag(prior)
    c = own.transpose(1, 2) @ shared
    g = (own.transpose(1, 2) @ miss)[..., 0]
    g[:, _POSE:] += s.expression * f.expression
    factor = torch.linalg.cholesky(a)
    solved = torch.cholesky_solve(torch.cat([c, g[..., None]], 2), factor)
    system = (shared.transpose(1, 2) @ shared).sum(0) - (c.transpose(1, 2) @ solved[..., :-1]).sum(0)
    pull = (shared.transpose(1, 2) @ miss).sum(0)[:, 0] + held * who
    pull = pull - (c.transpose(1, 2) @ solved[..., -1:]).sum(0)[:, 0]
    step = -torch.linalg.solve(system + held * torch.eye(len(who)), pull)
    own_step = -(solved[..., -1] + solved[..., :-1] @ step)
    return who + step, Frames(
        f.expression + own_step[:, _POSE:],
        turned(f.rotation, own_step[:, :3]),
        f.translation + own_step[:, 3:_POSE],
    )
