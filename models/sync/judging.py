"""What the trainee is judged by, beside its losses: is the true shift found among others?

Private to `models.sync.training`. Shape legend: P stretches of K windows, D embeddings.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["REACH", "SECOND", "Told", "choices"]

REACH = 7  # shifts to each side among which the true one is to be found
SECOND = 21  # windows that are averaged: 25 frames


class Told(NamedTuple):
    """What is known of stretches."""

    seen: Tensor  # (P, K, D)
    heard: Tensor  # (P, K, D)
    spoken: Tensor  # (P, K) share of the time in which somebody speaks


def choices(told: Told, weight: Tensor) -> dict[str, float]:
    """How often the true shift, or one beside it, is the likeliest of fifteen: by windows, and by seconds."""
    middle = slice(REACH, REACH + SECOND)
    heard = told.heard.unfold(1, 2 * REACH + 1, 1)  # (P, 21, D, 15)
    scores = (told.seen[:, middle, :, None] * heard).sum(2)
    own = weight[:, middle]
    near = (scores.argmax(-1) - REACH).abs() <= 1
    second = (scores.mean(1).argmax(-1) - REACH).abs() <= 1
    spoken = (own.mean(1) > 0.5).float()
    return {
        "choice": float((near * own).sum() / own.sum().clamp(min=1)),
        "choice_1s": float((second * spoken).sum() / spoken.sum().clamp(min=1)),
    }
