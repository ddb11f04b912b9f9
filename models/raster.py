"""A z-buffer rasteriser in numpy: triangles in pixels go in, visible samples with barycentrics come out.

Any model may use it: it knows nothing of faces, light or textures. Work is laid out as ragged arrays
(triangle -> rows -> samples), so that no Python loop runs over triangles or pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fragments", "Visible", "box_downsample", "interpolate", "rasterise", "scan", "visible"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Fragments:
    """Every covered sample of every triangle, before depth is compared."""

    triangle: I32  # (F,)
    pixel: I32  # (F,) row * width + column
    bary: F32  # (2, F) weights of the triangle's first and second vertex
    depth: F32  # (F,)

    def keep(self, mask: NDArray[np.bool_]) -> Fragments:
        at = np.flatnonzero(mask)
        return Fragments(self.triangle[at], self.pixel[at], self.bary[:, at], self.depth[at])


@dataclass(frozen=True)
class Visible:
    """The nearest triangle of every covered sample."""

    triangle: I32  # (P,)
    pixel: I32  # (P,)
    bary: F32  # (3, P)
    depth: F32  # (P,)


def _ragged(counts: I64) -> tuple[I64, I64]:
    """Owner and running number inside the owner, for owners with `counts` items each."""
    owner = np.repeat(np.arange(len(counts)), counts)
    start = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - start[owner]


def _edge(low: F32, high: F32) -> tuple[F32, F32, F32]:
    """A falling edge as (x at its start, y at its start, x per row)."""
    fall = high[:, 1] - low[:, 1]
    return low[:, 0], low[:, 1], (high[:, 0] - low[:, 0]) / np.where(fall > 0, fall, 1)


def _spans(corner: F32, height: int, width: int) -> tuple[I64, I64, I64, I64]:
    """Rows crossed by each triangle: (triangle, row, first column, column count)."""
    # Both triangles at an edge walk it from the same end, so they agree on every crossing bit for bit.
    each = np.arange(len(corner))
    highest, lowest = corner[..., 1].argmin(1), corner[..., 1].argmax(1)
    top, bottom = corner[each, highest], corner[each, lowest]
    middle = corner[each, np.where(highest == lowest, highest, 3 - highest - lowest)]
    first = np.clip(np.ceil(top[:, 1] - np.float32(0.5)), 0, height).astype(np.int64)
    last = np.clip(np.ceil(bottom[:, 1] - np.float32(0.5)), 0, height).astype(np.int64)
    owner, step = _ragged(np.maximum(last - first, 0))
    row = first[owner] + step
    y = row.astype(np.float32) + np.float32(0.5)
    long, upper, lower = _edge(top, bottom), _edge(top, middle), _edge(middle, bottom)
    pick = owner + len(corner) * (y >= middle[owner, 1])
    ends = []
    for x0, y0, slope, at in (
        (*long, owner),
        (*(np.concatenate(e) for e in zip(upper, lower, strict=True)), pick),
    ):
        ends.append(x0[at] + (y - y0[at]) * slope[at])
    start = np.clip(np.ceil(np.minimum(*ends) - np.float32(0.5)), 0, width).astype(np.int64)
    stop = np.clip(np.ceil(np.maximum(*ends) - np.float32(0.5)), 0, width).astype(np.int64)
    some = np.flatnonzero(stop > start)
    return owner[some], row[some], start[some], (stop - start)[some]


def scan(points: F32, depth: F32, triangles: I32, height: int, width: int, *, cull: bool = True) -> Fragments:
    """All covered samples; `cull` drops triangles whose corners turn clockwise on a y-down picture."""
    corner = points[triangles].astype(np.float32, copy=False)
    edge1, edge2 = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    z = depth[triangles].astype(np.float32, copy=False)
    usable = (area < -1e-6) if cull else (np.abs(area) > 1e-6)
    chosen = np.flatnonzero(usable & np.isfinite(area) & (z > 0).all(1))
    corner, inverse, z = corner[chosen], 1 / area[chosen], z[chosen]
    of, row, start, count = _spans(corner, height, width)
    # Weights and depth are affine in x and y: evaluate them where a span starts, then step along it.
    p, q, r = corner[:, 0], corner[:, 1], corner[:, 2]
    step = np.stack([(q[:, 1] - r[:, 1]) * inverse, (r[:, 1] - p[:, 1]) * inverse])
    rise = np.stack([(r[:, 0] - q[:, 0]) * inverse, (p[:, 0] - r[:, 0]) * inverse])
    step_of = step[:, of]
    dx = start.astype(np.float32) + np.float32(0.5) - r[of, 0]
    dy = row.astype(np.float32) + np.float32(0.5) - r[of, 1]
    base = step_of * dx + rise[:, of] * dy
    z0, z1, z2 = z[of, 0] - z[of, 2], z[of, 1] - z[of, 2], z[of, 2]
    along = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    step_x = along.astype(np.float32)
    bary = np.repeat(step_of, count, axis=1)
    bary *= step_x
    bary += np.repeat(base, count, axis=1)
    value = np.repeat(z0 * step_of[0] + z1 * step_of[1], count)
    value *= step_x
    value += np.repeat(z2 + z0 * base[0] + z1 * base[1], count)
    pixel = np.repeat((row * width + start).astype(np.int32), count) + along.astype(np.int32)
    return Fragments(np.repeat(chosen[of].astype(np.int32), count), pixel, bary, value)


def visible(parts: list[Fragments], samples: int) -> Visible:
    """The nearest fragment at every sample; `samples` is height times width."""
    triangle, pixel = (np.concatenate([getattr(p, n) for p in parts]) for n in ("triangle", "pixel"))
    bary = np.concatenate([p.bary for p in parts], axis=1)
    depth = np.concatenate([p.depth for p in parts])
    # Positive floats order like their bits, so depth and owner fit one integer and one minimum.
    key = depth.view(np.uint32).astype(np.uint64) << np.uint64(32) | np.arange(len(depth), dtype=np.uint64)
    nearest = np.full(samples, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(nearest, pixel, key)
    covered = np.flatnonzero(nearest != np.iinfo(np.uint64).max).astype(np.int32)
    winner = (nearest[covered] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    two = bary[:, winner]
    weights = np.concatenate([two, 1 - two[:1] - two[1:]])
    return Visible(triangle[winner], covered, weights, depth[winner])


def rasterise(
    points: F32, depth: F32, triangles: I32, height: int, width: int, *, cull: bool = True
) -> Visible:
    """Scan and resolve in one call."""
    return visible([scan(points, depth, triangles, height, width, cull=cull)], height * width)


def interpolate(shown: Visible, triangles: I32, values: F32) -> F32:
    """Vertex values (V, C) at the visible samples: (P, C)."""
    corners = triangles[shown.triangle]
    out = values[corners[:, 0]] * shown.bary[0][:, None]
    out += values[corners[:, 1]] * shown.bary[1][:, None]
    out += values[corners[:, 2]] * shown.bary[2][:, None]
    return out


def box_downsample(picture: F32, factor: int) -> F32:
    """Mean over factor x factor samples: (H * factor, W * factor, C) -> (H, W, C)."""
    if factor == 1:
        return picture
    rows = sum(picture[i::factor] for i in range(factor))
    return sum(rows[:, i::factor] for i in range(factor)) * np.float32(1 / factor**2)
