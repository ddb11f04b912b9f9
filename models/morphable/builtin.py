"""The built-in morphable model: made by this project from its own figure, rig and painter.

Anyone may use it. Its data lie beside this file and are made again by `python -m models.morphable.make`.
The first 468 vertices are the face mesh's landmarks themselves.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from models.morphable.model import Correspondence, MorphableModel
from models.track.subset68 import DLIB_IN_MESH

__all__ = ["builtin", "mesh_mirror", "mesh_trust"]

F32 = NDArray[np.float32]

_LIP_RINGS = (
    [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375],
    [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324],
)


def _on_patch(
    points: F32, mean: F32, triangles: NDArray[np.int32], patch: NDArray[np.int64]
) -> Correspondence:
    """Where iris points lie between the lids, seen from the front."""
    inside = np.isin(triangles, patch).any(1)
    corners = triangles[inside].astype(np.int64)
    a, b, c = (mean[corners[:, i], :2].astype(np.float64) for i in range(3))
    found, weights = [], []
    for p in points[:, :2].astype(np.float64):
        v0, v1, v2 = b - a, c - a, p - a
        area = v0[:, 0] * v1[:, 1] - v0[:, 1] * v1[:, 0]
        u = (v2[:, 0] * v1[:, 1] - v2[:, 1] * v1[:, 0]) / area
        v = (v0[:, 0] * v2[:, 1] - v0[:, 1] * v2[:, 0]) / area
        bary = np.stack([1 - u - v, u, v], 1)
        # Iris points may lie under a lid: the least outside triangle then stands for them.
        best = int(bary.min(1).argmax())
        inner = np.clip(bary[best], 0, 1)
        found.append(corners[best])
        weights.append(inner / inner.sum())
    return Correspondence(np.arange(468, 468 + len(points)), np.array(found), np.array(weights, np.float32))


@lru_cache(maxsize=1)
def _stored() -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    with safe_open(Path(__file__).with_name("builtin.safetensors"), framework="np") as stored:
        return {key: stored.get_tensor(key) for key in stored.keys()}, stored.metadata()  # noqa: SIM118


def mesh_mirror() -> NDArray[np.int64]:
    """Each of the 478 landmarks' partner on the other side of the face."""
    return _stored()[0]["mirror"].astype(np.int64)


def mesh_trust() -> F32:
    """How much each of the 478 landmarks is believed, 1 for most of the skin."""
    return _stored()[0]["trust"].astype(np.float32)


@lru_cache(maxsize=1)
def builtin() -> MorphableModel:
    """The model, read once."""
    arrays, notes = _stored()
    mean, triangles, patch = arrays["mean"], arrays["triangles"], arrays["eyes"].astype(np.int64)
    face = Correspondence.at_vertices(np.arange(468), np.arange(468))
    irises = _on_patch(arrays["irises"], mean, triangles, patch)
    mesh = Correspondence(*(np.concatenate(pair) for pair in zip(face, irises, strict=True)))
    eyes = np.zeros(len(mean), bool)
    eyes[patch] = True
    return MorphableModel(
        name="builtin",
        mean=mean,
        identity=arrays["identity"].astype(np.float32),
        expression=arrays["expression"].astype(np.float32),
        colour=arrays["colour"],
        texture=arrays["texture"].astype(np.float32),
        triangles=triangles,
        mesh=mesh,
        dlib=Correspondence.at_vertices(np.arange(68), DLIB_IN_MESH),
        eyes=eyes,
        mouth=np.array([v for ring in _LIP_RINGS for v in ring]),
        groups=tuple(json.loads(notes["groups"])),
        names=tuple(json.loads(notes["names"])),
    )
