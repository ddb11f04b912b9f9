"""Hair: sheets of strands grown over the skull in several styles, each in a few ragged layers.

A sheet is a grid whose rows run along the strands. The texture's alpha cuts it into strands: nearly
closed in the middle, torn at the hairline and at the tips, more in the outer layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.puppet.figure import figure
from models.puppet.hairline import CENTRE
from models.puppet.hairstyles import STYLES, Build
from models.puppet.head import skin, skull_rings
from models.puppet.identity import Traits, warp
from models.puppet.mesh import grid_triangles, normals

__all__ = ["Hair", "hair"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Hair:
    """Strand sheets as one mesh; `solid` are the triangles that cast shadows on the head."""

    points: F32  # (V, 3)
    normals: F32  # (V, 3)
    tangents: F32  # (V, 3) along the strands
    places: F32  # (V, 2) across and along the strands, 0..1
    cut: F32  # (V,) fragments whose alpha is below this are dropped
    depth: F32  # (V,) darkening: 1 outside, less under other hair
    fall: F32  # (V,) share that stays with the shoulders
    triangles: I32
    solid: I32


def _oriented(points: F32, triangles: I32) -> tuple[F32, I32]:
    """Normals that point away from the skull's middle, and triangles turned to match."""
    n = normals(points, triangles)
    if (n * (points - CENTRE)).sum() < 0:
        return -n, triangles[:, ::-1].copy()
    return n, triangles


@lru_cache(maxsize=1)
def _scalp() -> tuple[F32, F32]:
    """Directions from the skull's middle to the skin, and distances, on the mean head."""
    shape, mean = skin(), figure().mean[:468]
    face = shape.face @ mean
    rim = face[shape.rim]
    p = np.concatenate([face, shape.loft @ np.concatenate([rim, skull_rings(len(rim)).reshape(-1, 3)])])
    ray = p - CENTRE
    far = np.linalg.norm(ray, axis=1)
    return (ray / far[:, None]).astype(np.float32), far.astype(np.float32)


def _above_skin(points: F32) -> F32:
    """Lift hair that the skull's ellipsoid left under the skin; hanging hair is left alone."""
    rays, far = _scalp()
    ray = points - CENTRE
    reach = np.linalg.norm(ray, axis=1)
    unit = ray / reach[:, None]
    near = np.argsort(unit @ rays.T, axis=1)[:, -4:]
    skin_reach = far[near].max(1) + 1.2
    short = (reach < skin_reach) & (points[:, 1] < 40) & (reach > skin_reach - 14)
    out = points.copy()
    out[short] = CENTRE + unit[short] * skin_reach[short, None]
    return out


def _flat(values: F32, like: F32) -> F32:
    return np.broadcast_to(values, like.shape).reshape(-1)


def hair(who: Traits, seed: int) -> Hair:
    """The hair of a person, warped with the head it grows on."""
    build = Build(who, np.random.default_rng([seed, 0x4A12]))
    STYLES[who.style](build)
    out: dict[str, list[NDArray[np.generic]]] = {
        k: [] for k in ("p", "n", "t", "uv", "cut", "depth", "tri", "solid")
    }
    count = 0
    for sheet in build.sheets:
        rows, columns = sheet.points.shape[:2]
        points = warp(_above_skin(sheet.points.reshape(-1, 3)), who)
        n, triangles = _oriented(points, grid_triangles(rows, columns))
        along = np.gradient(points.reshape(rows, columns, 3), axis=0).reshape(-1, 3)
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        u = np.broadcast_to(sheet.across[None], (rows, columns))
        v = np.broadcast_to(np.linspace(0.02, 0.98, rows)[:, None], (rows, columns))
        grid = {"p": points, "n": n, "t": along, "uv": np.stack([u, v], -1).reshape(-1, 2)}
        grid |= {"cut": _flat(sheet.cut, u), "depth": _flat(sheet.depth, u), "tri": triangles + count}
        for key, value in grid.items():
            out[key].append(value)
        if sheet.solid:
            out["solid"].append(triangles + count)
        count += len(points)
    joined = {k: np.concatenate(v) for k, v in out.items()}
    f = {k: joined[k].astype(np.float32) for k in ("p", "n", "t", "uv", "cut", "depth")}
    fall = np.clip((f["p"][:, 1] - 30) / 120, 0, 1) ** 1.2
    return Hair(
        f["p"],
        f["n"],
        f["t"],
        f["uv"],
        f["cut"],
        f["depth"],
        fall.astype(np.float32),
        joined["tri"].astype(np.int32),
        joined["solid"].astype(np.int32),
    )
