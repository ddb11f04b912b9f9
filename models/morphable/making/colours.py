"""Colours of the built-in model: a mean and modes over many made-up people, plus smooth tints.

The puppet's painter gives lips, brows, beards, lids and skin tones of any number of invented people; their
principal modes are the model's, so that a fitted texture has lips and brows where a face has them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.morphable.making.modes import principal, without
from models.morphable.making.surface import Surface
from models.puppet.figure import LIP_RINGS, figure
from models.puppet.head import skin
from models.puppet.identity import traits
from models.puppet.mesh import smooth_vertices
from models.puppet.paint import srgb
from models.puppet.skin_texture import skin_texture

__all__ = ["colours"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_SIDE = 512
_DRAWN = 14  # modes from the painter; the rest are smooth tints
_WHITE = np.array([0.74, 0.70, 0.68])
# Brown ones are the most usual: where a crop is too small to tell, they are what is shown.
_IRISES = np.array([[0.16, 0.10, 0.07], [0.19, 0.12, 0.08], [0.30, 0.19, 0.11], [0.33, 0.40, 0.47]])


def _sampled(picture: F32, at: F32) -> F32:
    """Bilinear values of (S, S, C) at texel places (N, 2)."""
    place = np.clip(at - 0.5, 0, len(picture) - 1.001)
    low = place.astype(np.int64)
    f = place - low
    out = np.zeros((len(at), picture.shape[2]))
    for dx in (0, 1):
        for dy in (0, 1):
            w = (f[:, 0] if dx else 1 - f[:, 0]) * (f[:, 1] if dy else 1 - f[:, 1])
            out += w[:, None] * picture[low[:, 1] + dy, low[:, 0] + dx]
    return np.asarray(out, np.float32)


def _eye(surface: Surface, patch: NDArray[np.int64], iris: F64, irises: F32) -> F64:
    """White with an iris about the landmark of its centre."""
    away = np.linalg.norm((surface.mean[patch] - irises)[:, :2], axis=1)
    inside = np.clip((6.1 - away) / 1.2, 0, 1)[:, None]
    pupil = np.clip((2.6 - away) / 1.0, 0, 1)[:, None]
    return np.asarray((_WHITE * (1 - inside) + iris * inside) * (1 - 0.8 * pupil))


def _person(seed: int, surface: Surface, irises: F32) -> F64:
    # Freckles are a person's own: as modes they would be blotches on everybody.
    who = replace(traits(seed), freckles=0.0)
    texture = skin_texture(who, seed, _SIDE, (0.0, 0.0))[..., :3]
    chart = (skin().chart[: surface.skin] + 1) / 2 * _SIDE
    out = np.zeros((len(surface.mean), 3))
    out[: surface.skin] = srgb(_sampled(texture, chart))
    iris = _IRISES[np.random.default_rng([seed, 0x1215]).integers(len(_IRISES))]
    for patch, centre in zip(surface.eyes, irises, strict=True):
        out[patch] = _eye(surface, patch, iris, centre)
    return out


def _bearded(surface: Surface) -> F64:
    """1 where a beard may grow and lips are not near, 0 elsewhere."""
    lips = figure().mean[np.unique(LIP_RINGS)]
    away = np.sqrt(((surface.mean[:, None] - lips[None]) ** 2).sum(2).min(1))
    below = np.clip((surface.mean[:, 1] - 4) / 10, 0, 1)
    return np.asarray(below * np.clip((away - 3) / 4, 0, 1))


def colours(surface: Surface, irises: F32, waves: F64, people: int, count: int) -> tuple[F64, F64]:
    """Mean (V, 3) and modes (V, 3, count)."""
    painted = np.stack([_person(1000 + k, surface, irises) for k in range(people)])
    flipped = surface.mean * np.float32([-1, 1, 1])
    partner = ((flipped[:, None] - surface.mean[None]) ** 2).sum(2).argmin(1)
    # The same on both sides: what is left of pores and blotches halves.
    even = (painted + painted[:, partner]) / 2
    # Single hairs of a beard would come back as speckles on faces that have none.
    calm = np.stack([smooth_vertices(person, surface.triangles, 2) for person in even])
    seen = even + _bearded(surface)[:, None] * (calm - even)
    mean = seen.mean(0)
    drawn = principal((seen - mean).reshape(people, -1).T / np.sqrt(people), _DRAWN)
    tints = np.array([[1, 1, 1], [1, -0.4, -0.6], [0.2, 0.3, -1.0]]) * [[0.035], [0.02], [0.012]]
    smooth = [
        np.outer(waves[:, k] / (1 + 0.05 * k), tint).ravel() for k in range(waves.shape[1]) for tint in tints
    ]
    rest = principal(without(np.stack(smooth, 1), drawn), count - drawn.shape[1])
    modes = np.concatenate([drawn, rest], 1)
    return mean, modes.reshape(-1, 3, count)
