"""What of a fitted identity is the person, and what is only how this clip was tracked.

Landmarks of one face differ from clip to clip with what the face does: skin that a tracker moves along with
a mouth looks like another person. On puppets, whose clips show one person for certain, it was measured how
a clip's mean expression leaks into identity and how much is left after that, within people and between
them (`python -m tests.bench.fitting_calibration`). Called when a person is met.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

__all__ = ["learn", "told"]

_LIGHT = 3.0  # ridge of the leak, in squared deviations of a clip's mean expression
_PLAIN = 0.35  # share of each covariance that is taken to lie in single coefficients: few people, many modes


@lru_cache(maxsize=4)
def _measured(name: str) -> dict[str, Tensor] | None:
    place = Path(__file__).with_name(f"{name}.safetensors")
    return load_file(place) if place.is_file() else None


def told(name: str, identity: Tensor, expression: Tensor) -> Tensor:
    """The likely identity (I,) of a person fitted as `identity` while showing `expression` (B, E).

    Models that nobody measured keep what was fitted.
    """
    measured = _measured(name)
    if measured is None:
        return identity
    return measured["kept"] @ (identity - expression.mean(0) @ measured["leak"])


def learn(identity: Tensor, expression: Tensor, caution: float = 3.0) -> dict[str, Tensor]:
    """`leak` (E, I) and `kept` (I, I) from fits of people, each in several clips: (P, C, I) and (P, C, E).

    `caution` is how many times the noise of these clips others are taken to have.
    """
    people, takes, modes = identity.shape
    leak = _leak(identity, expression)
    # Everybody's rest is what a leak learned from all the others leaves: else noise would look too small.
    groups = torch.arange(people) % min(people, 15)
    rest = torch.empty_like(identity)
    for group in groups.unique():
        own = groups == group
        rest[own] = identity[own] - expression[own] @ _leak(identity[~own], expression[~own])
    centre = rest.mean(1, keepdim=True)
    away = (rest - centre).reshape(-1, modes)
    within = away.T @ away / (people * (takes - 1))
    apart = (centre - centre.mean(0))[:, 0]
    between = apart.T @ apart / (people - 1) - within / takes
    values, vectors = torch.linalg.eigh(_plainer(between, 2e-3))
    between = (vectors * values.clamp(min=1e-4)) @ vectors.T
    kept = between @ torch.linalg.inv(between + caution * _plainer(within, 0.0))
    return {"leak": leak.contiguous(), "kept": kept.contiguous()}


def _leak(identity: Tensor, expression: Tensor) -> Tensor:
    """How identity (P, C, I) changes with expression (P, C, E) within people."""
    who, moved = ((a - a.mean(1, keepdim=True)).flatten(0, 1) for a in (identity, expression))
    return torch.linalg.solve(moved.T @ moved + _LIGHT * torch.eye(moved.shape[1]), moved.T @ who)


def _plainer(covariance: Tensor, least: float) -> Tensor:
    single = torch.diag(covariance.diagonal().clamp(min=least))
    return (1 - _PLAIN) * covariance + _PLAIN * single
