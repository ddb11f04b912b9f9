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


def _crossing(a: F32, b: F32, y: F32) -> tuple[F32, NDArray[np.bool_]]:
    """Where the edge a-b crosses each row's sample line."""
    # Both triangles at an edge must compute the same crossing bit for bit, or cracks open: order by y.
    swap = (a[:, 1] > b[:, 1]) | ((a[:, 1] == b[:, 1]) & (a[:, 0] > b[:, 0]))
    low, high = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
    hit = (y >= low[:, 1]) & (y < high[:, 1])
    slope = (high[:, 0] - low[:, 0]) / np.where(hit, high[:, 1] - low[:, 1], 1)
    return low[:, 0] + (y - low[:, 1]) * slope, hit


def _spans(points: F32, chosen: I64, height: int, width: int) -> tuple[I64, I64, I64, I64]:
    """Rows crossed by each triangle: (index into chosen, row, first column, column count)."""
    ys = points[..., 1]
    first = np.clip(np.ceil(ys.min(1) - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(ys.max(1) - 0.5), 0, height).astype(np.int64)
    owner, step = _ragged(np.maximum(last - first, 0))
    row = first[owner] + step
    y = (row + 0.5).astype(np.float32)
    corner = points[owner]
    left = np.full(len(owner), np.inf, np.float32)
    right = np.full(len(owner), -np.inf, np.float32)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        x, hit = _crossing(corner[:, i], corner[:, j], y)
        np.minimum(left, x, out=left, where=hit)
        np.maximum(right, x, out=right, where=hit)
    empty = left > right
    start = np.clip(np.ceil(np.where(empty, 0, left) - 0.5), 0, width).astype(np.int64)
    stop = np.clip(np.ceil(np.where(empty, 0, right) - 0.5), 0, width).astype(np.int64)
    return owner, row, start, np.maximum(stop - start, 0)


def scan(
    points: F32, depth: F32, triangles: I32, height: int, width: int, *, cull: bool = True
) -> Fragments:
    """All covered samples; `cull` drops triangles whose corners turn clockwise on a y-down picture."""
    corner = points[triangles].astype(np.float32)
    edge1, edge2 = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    usable = (area < -1e-6) if cull else (np.abs(area) > 1e-6)
    usable &= np.isfinite(area) & (depth[triangles] > 0).all(1)
    chosen = np.flatnonzero(usable)
    corner, inverse = corner[chosen], 1 / area[chosen]
    span_of, row, start, count = _spans(corner, chosen, height, width)
    # Weights of vertices 0 and 1 are affine in x and y: evaluate at the span's start, then step along x.
    p, q, r = corner[:, 0], corner[:, 1], corner[:, 2]
    step = np.stack([q[:, 1] - r[:, 1], r[:, 1] - p[:, 1]]) * inverse
    rise = np.stack([r[:, 0] - q[:, 0], p[:, 0] - r[:, 0]]) * inverse
    dx = start + np.float32(0.5) - r[span_of, 0]
    dy = row + np.float32(0.5) - r[span_of, 1]
    base = (step[:, span_of] * dx + rise[:, span_of] * dy).astype(np.float32)
    owner, along = _ragged(count)
    of = span_of[owner]
    bary = base[:, owner] + step[:, of].astype(np.float32) * along.astype(np.float32)
    z = depth[triangles[chosen]].astype(np.float32)
    value = z[of, 2] + bary[0] * (z[:, 0] - z[:, 2])[of] + bary[1] * (z[:, 1] - z[:, 2])[of]
    pixel = (row * width + start)[owner] + along
    return Fragments(chosen[of].astype(np.int32), pixel.astype(np.int32), bary, value)


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
