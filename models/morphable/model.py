"""The interface of every morphable model: a mean; modes of shape, expression and colour; its landmarks.

Fitting, rendering and the talking-face systems know only this. Millimetres in the head's own frame, whose
axes are those of the OpenFace camera at rest: x to the picture's right, y down, z away. A coefficient of
one is one standard deviation, so that the prior of every coefficient is the same. Colours are sRGB, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EXPRESSION",
    "GROUPS",
    "IDENTITY",
    "TEXTURE",
    "Correspondence",
    "MorphableModel",
    "padded",
    "vertex_normals",
]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

# Deng et al.'s layout: models with fewer modes are padded with zeros, models with more are cut.
IDENTITY, EXPRESSION, TEXTURE = 80, 64, 80
GROUPS = ("jaw", "lips", "lids", "brows", "cheeks", "gaze", "other")


class Correspondence(NamedTuple):
    """Landmark `points[k]` of a picture lies at the weighted corners of one triangle of the model."""

    points: I64  # (K,)
    corners: I64  # (K, 3)
    weights: F32  # (K, 3)

    def of(self, values: F32) -> F32:
        """Values (V, ...) at the landmarks: (K, ...)."""
        shape = (len(self.points), 3, *([1] * (values.ndim - 1)))
        return np.asarray((values[self.corners] * self.weights.reshape(shape)).sum(1), np.float32)

    @staticmethod
    def at_vertices(points: I64, vertices: I64) -> Correspondence:
        weights = np.zeros((len(points), 3), np.float32)
        weights[:, 0] = 1
        return Correspondence(
            np.asarray(points, np.int64), np.repeat(np.asarray(vertices, np.int64)[:, None], 3, 1), weights
        )


@dataclass(frozen=True, eq=False)
class MorphableModel:
    """One morphable model. Arrays are never changed after it was made."""

    name: str
    mean: F32  # (V, 3)
    identity: F32  # (V, 3, 80)
    expression: F32  # (V, 3, 64)
    colour: F32  # (V, 3)
    texture: F32  # (V, 3, 80)
    triangles: NDArray[np.int32]  # (T, 3), clockwise on a y-down picture when seen from outside
    mesh: Correspondence  # into the 478 landmarks of the face mesh
    dlib: Correspondence  # into the 68 landmarks
    eyes: NDArray[np.bool_]  # (V,) the region that an eye attention map fills
    mouth: I64  # vertices that describe the mouth
    groups: tuple[str, ...] = ("other",) * EXPRESSION  # what each expression coefficient moves
    names: tuple[str, ...] = field(default=tuple(f"expression_{i}" for i in range(EXPRESSION)))

    def __post_init__(self) -> None:
        count = len(self.mean)
        wanted = {
            "mean": (count, 3),
            "identity": (count, 3, IDENTITY),
            "expression": (count, 3, EXPRESSION),
            "colour": (count, 3),
            "texture": (count, 3, TEXTURE),
            "eyes": (count,),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{self.name}: {name} is {getattr(self, name).shape}, not {shape}")
        if len(self.groups) != EXPRESSION or len(self.names) != EXPRESSION:
            raise ValueError(f"{self.name}: every expression coefficient needs a group and a name")

    def shape(self, identity: F32, expression: F32) -> F32:
        """Vertices (V, 3) in the head's frame."""
        return self.mean + self.identity @ identity + self.expression @ expression

    def albedo(self, texture: F32) -> F32:
        """Vertex colours (V, 3) without light."""
        return self.colour + self.texture @ texture

    def coefficients_of(self, groups: Sequence[str]) -> I64:
        """Which expression coefficients move the named groups."""
        return np.flatnonzero([g in groups for g in self.groups])

    def mouth_vertices(self, identity: F32, expressions: F32) -> F32:
        """The mouth in the canonical pose, millimetres: (T, M, 3). Head turns leave it as it is."""
        neutral = self.mean[self.mouth] + self.identity[self.mouth] @ identity
        moved = np.tensordot(expressions, self.expression[self.mouth], axes=([-1], [2]))
        return np.asarray(neutral + moved, np.float32)


def padded(modes: F32, count: int) -> F32:
    """The first `count` modes (V, 3, count), with zeros where the model has fewer."""
    out = np.zeros((*modes.shape[:2], count), np.float32)
    kept = min(count, modes.shape[2])
    out[..., :kept] = modes[..., :kept]
    return out


def vertex_normals(points: F32, triangles: NDArray[np.int32]) -> F32:
    """Area-weighted unit normals that point out of the face: (V, 3)."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    total = np.stack(
        [
            sum(np.bincount(triangles[:, corner], face[:, axis], len(points)) for corner in range(3))
            for axis in range(3)
        ],
        1,
    )
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9), np.float32)
