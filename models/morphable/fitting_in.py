"""Brings a foreign model into the house's frame: where it stands, where landmarks lie on it, what it lacks.

Every foreign model has dlib's 68 points; all else is carried over from the built-in model, bent so that
its 68 points fall on the foreign ones. Called by `ict` and `bfm`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.morphable.builtin import builtin
from models.morphable.model import Correspondence, MorphableModel, vertex_normals

__all__ = ["Fitted", "fit_in", "outwards", "placed"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Triangles = NDArray[np.int32]

_TOGETHER_MM = 4.0  # as far as a bent built-in vertex may be from the foreign vertex it stands for


class Fitted(NamedTuple):
    """What the built-in model lends to a foreign one."""

    mesh: Correspondence
    colour: F32  # (V, 3)
    texture: F32  # (V, 3, 80)
    eyes: NDArray[np.bool_]  # (V,)
    mouth: I64


def placed(points: F32, landmarks: F32) -> tuple[F64, F64]:
    """Rotation and shift that lay `landmarks` (68, 3), in millimetres, onto the built-in model's."""
    model = builtin()
    goal = model.dlib.of(model.mean)[17:].astype(np.float64)
    own = landmarks[17:].astype(np.float64)
    a, b = own - own.mean(0), goal - goal.mean(0)
    u, _, v = np.linalg.svd(b.T @ a)
    u[:, 2] *= np.linalg.det(u @ v)
    turn = u @ v
    return turn, goal.mean(0) - turn @ own.mean(0)


def outwards(points: F32, triangles: Triangles, landmarks: I64) -> Triangles:
    """Triangles turned so that the face's normals point at the viewer."""
    towards = vertex_normals(points, triangles)[landmarks, 2].mean()
    return triangles if towards < 0 else np.ascontiguousarray(triangles[:, ::-1])


def fit_in(points: F32, triangles: Triangles, dlib: I64) -> Fitted:
    """Lend the built-in model's correspondences and colours to a mean shape (V, 3) in the house's frame."""
    model = builtin()
    bent = _bent(model, points[dlib])
    normals = vertex_normals(points, triangles)
    front = np.flatnonzero(normals[:, 2] < 0.6)
    mesh = _on_surface(
        bent[:468], vertex_normals(bent, model.triangles)[:468], points, triangles, normals, front
    )
    near, weight, distance = _nearest(points, bent)
    colour = (model.colour[near] * weight[..., None]).sum(1)
    texture = (model.texture[near] * weight[..., None, None]).sum(1)
    eyes = model.eyes[near[:, 0]] & (distance < _TOGETHER_MM)
    corner = mesh.corners[np.arange(468), mesh.weights.argmax(1)]
    return Fitted(mesh, colour.astype(np.float32), texture.astype(np.float32), eyes, corner[model.mouth])


def _bent(model: MorphableModel, goal: F32) -> F32:
    """The built-in mean, bent smoothly so that its 68 points come to lie on `goal`."""
    start = model.dlib.of(model.mean).astype(np.float64)
    count = len(start)
    kernel = np.linalg.norm(start[:, None] - start[None], axis=2)
    plane = np.column_stack([np.ones(count), start])
    # The jaw's points lie anywhere along its edge: they lead, but do not bind.
    slack = np.where(np.arange(count) < 17, 30.0, 0.5)
    system = np.block([[kernel - np.diag(slack), plane], [plane.T, np.zeros((4, 4))]])
    right = np.concatenate([goal - start, np.zeros((4, 3))])
    weights = np.linalg.solve(system, right)
    reach = np.linalg.norm(model.mean[:, None] - start[None], axis=2)
    moved = (
        reach @ weights[:count] + np.column_stack([np.ones(len(model.mean)), model.mean]) @ weights[count:]
    )
    return np.asarray(model.mean + moved, np.float32)


def _nearest(points: F32, among: F32, count: int = 3) -> tuple[I64, F32, F32]:
    """The `count` nearest of `among` to every point, their weights, and the distance to the first."""
    near = np.empty((len(points), count), np.int64)
    far = np.empty((len(points), count), np.float32)
    for at in range(0, len(points), 1024):
        part = slice(at, at + 1024)
        square = ((points[part, None] - among[None]) ** 2).sum(2)
        near[part] = np.argsort(square, axis=1)[:, :count]
        far[part] = np.sqrt(np.take_along_axis(square, near[part], 1))
    weight = 1 / np.maximum(far, 0.2)
    return near, (weight / weight.sum(1, keepdims=True)).astype(np.float32), far[:, 0]


def _on_surface(
    goal: F32, outward: F32, points: F32, triangles: Triangles, normals: F32, front: I64
) -> Correspondence:
    """For every landmark the closest place on a triangle near it that faces the same way."""
    of: dict[int, list[int]] = {}
    for t, corners in enumerate(triangles.tolist()):
        for v in corners:
            of.setdefault(v, []).append(t)
    places = points[front]
    corners, weights = [], []
    for p, n in zip(goal, outward, strict=True):
        cost = ((places - p) ** 2).sum(1) + 30.0 * (1 - normals[front] @ n)
        around = sorted({t for v in front[np.argsort(cost)[:6]].tolist() for t in of.get(v, [])})
        bary = _closest(p.astype(np.float64), points[triangles[around]].astype(np.float64))
        gap = ((bary[..., None] * points[triangles[around]]).sum(1) - p) ** 2
        best = int(gap.sum(1).argmin())
        corners.append(triangles[around[best]])
        weights.append(bary[best])
    return Correspondence(np.arange(len(goal)), np.array(corners, np.int64), np.array(weights, np.float32))


def _closest(p: F64, corner: F64) -> F64:
    """Barycentric weights (T, 3) of the closest place of each triangle (T, 3, 3), to within its corners."""
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    u, v, w = b - a, c - a, p - a
    uu, vv, uv = (u * u).sum(1), (v * v).sum(1), (u * v).sum(1)
    wu, wv = (w * u).sum(1), (w * v).sum(1)
    scale = np.maximum(uu * vv - uv * uv, 1e-12)
    s, t = (vv * wu - uv * wv) / scale, (uu * wv - uv * wu) / scale
    bary = np.clip(np.stack([1 - s - t, s, t], 1), 0, 1)
    return np.asarray(bary / bary.sum(1, keepdims=True))
