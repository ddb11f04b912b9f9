"""What turning the head does to the landmarks of a mouth, told apart from what the mouth does.

Landmarks of a turned face slide a little, and a fit explains that as a mouth that changes with the turn:
drawn aside one way or the other, or wider. Within a shot this is measured on many frames and taken off
every frame. What is uneven, left against right, goes as far as it is measured, for speech is even; of even
moves only as much as chance cannot explain. Shape legend: B frames, E expression modes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.fit.landmarks import View
from models.morphable.builtin import mesh_mirror
from models.morphable.model import MorphableModel

__all__ = ["measure", "mouth_modes", "uneven"]

_LITTLE = 0.03  # sine of yaw: a head that turns less than about this says nothing
_FEWEST, _LOOKS = 3.0, 3.0  # independent looks that prove nothing, and how many more prove enough
_CHANCE = 0.7  # squared correlation, in those that chance gives, below which an even move is left alone


def mouth_modes(model: MorphableModel) -> Tensor:
    """The expression coefficients that move a mouth; models that do not name theirs give them all."""
    return torch.from_numpy(model.coefficients_of(("jaw", "lips", "other")))


def uneven(model: MorphableModel, seen: View) -> Tensor:
    """(E, E): from coefficients to those of their uneven part, where the two sides of a mouth differ."""
    meshed = np.flatnonzero(seen.points < 478)
    place = np.full(478, -1)
    place[seen.points[meshed]] = meshed
    basis = seen.expression[torch.from_numpy(meshed)]
    partner = torch.from_numpy(place[mesh_mirror()[seen.points[meshed]]])
    flipped = seen.expression[partner] * torch.tensor([-1.0, 1.0, 1.0])[:, None]
    chosen = mouth_modes(model)
    own, half = (a.flatten(0, 1)[:, chosen] for a in (basis, (basis - flipped) / 2))
    matrix = torch.linalg.solve(own.T @ own + 1e-3 * torch.eye(len(chosen)), own.T @ half)
    out = torch.zeros(basis.shape[2], basis.shape[2])
    out[chosen[:, None], chosen[None]] = matrix
    return out


def _independent(sine: Tensor, moves: Tensor) -> Tensor:
    """How many independent looks (E,) evenly spaced frames give at a correlation of yaw with each move.

    One slow turn during one slow smile is a single look, however many frames it lasts.
    """
    count = len(sine)
    reach = max(count // 3, 1)

    def memory(a: Tensor) -> Tensor:
        wave = torch.fft.rfft(a, n=2 * count, dim=0)
        power = torch.fft.irfft(wave.abs() ** 2, n=2 * count, dim=0)[: reach + 1]
        return power / power[:1].clamp(min=1e-9)

    together = (memory(sine)[:, None] * memory(moves))[1:].clamp(min=0)
    return count / (1 + 2 * together.sum(0))


def measure(model: MorphableModel, seen: View, expression: Tensor, sine: Tensor) -> tuple[Tensor, float]:
    """Expression (E,) for each unit of yaw's sine (B,), and the sine about which it was measured.

    Frames are in time order and evenly spaced.
    """
    away = sine - sine.mean()
    spread = (away**2).sum()
    odd = expression @ uneven(model, seen).T
    even = torch.zeros_like(expression)
    modes = mouth_modes(model)
    even[:, modes] = (expression - odd)[:, modes]
    even = even - even.mean(0)
    slope = (away[:, None] * even).sum(0) / spread.clamp(min=1e-9)
    share = (slope**2 * spread / (even**2).sum(0).clamp(min=1e-9)).clamp(max=0.999)
    looks = (_independent(away, even) - _FEWEST).clamp(min=0)
    chances = looks * share / (1 - share)
    believed = (1 - _CHANCE / chances.clamp(min=1e-9)).clamp(min=0) * (looks / _LOOKS).clamp(max=1)
    little = spread / (spread + len(sine) * _LITTLE**2)
    aside = (away[:, None] * (odd - odd.mean(0))).sum(0) / spread.clamp(min=1e-9)
    return (aside + believed * slope) * little, float(sine.mean())
