"""Weights that a stage learns from but does not change: they travel in its bundle.

    tensors = teacher_of(bundle, "sync")           # by NETWORK/PARAMETER

Called by trainees. What they are is in the recipe, like the weights that a training starts from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from models.training.bundle import Bundle

__all__ = ["as_arrays", "teacher_of"]

_TEACHER = "teacher/"


def as_arrays(name: str, weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The weights called `name` as arrays of a bundle."""
    return {f"{_TEACHER}{name}/{key}": values for key, values in weights.items()}


def teacher_of(bundle: Bundle, name: str) -> dict[str, Tensor]:
    """The weights of this name in 32 bits; ValueError where the bundle does not bring them."""
    begin = f"{_TEACHER}{name}/"
    keys = [key for key in bundle.arrays if key.startswith(begin)]
    if not keys:
        raise ValueError(f"{bundle.path}: does not bring the weights {name!r}; export it again")
    found = {key.removeprefix(begin): bundle.tensor(key, ...) for key in keys}
    return {key: value.float() if value.is_floating_point() else value for key, value in found.items()}
