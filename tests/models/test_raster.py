"""The rasteriser against a brute-force reading of what a triangle covers."""

from __future__ import annotations

import numpy as np
import pytest

from models.raster import box_downsample, interpolate, rasterise, scan, visible


def brute_force(points: np.ndarray, depth: np.ndarray, triangles: np.ndarray, height: int, width: int):
    """Nearest triangle and depth at every pixel centre, by testing every triangle at every pixel."""
    owner = np.full((height, width), -1)
    nearest = np.full((height, width), np.inf)
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    for k, corners in enumerate(triangles):
        (ax, ay), (bx, by), (cx, cy) = points[corners].astype(np.float64)
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-6:
            continue
        u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
        v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
        w = 1 - u - v
        z = u * depth[corners[0]] + v * depth[corners[1]] + w * depth[corners[2]]
        hit = (u > 0) & (v > 0) & (w > 0) & (z < nearest)
        owner[hit], nearest[hit] = k, z[hit]
    return owner, nearest


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = 37, 53
    points = rng.uniform(-15, 65, (60, 2)).astype(np.float32)
    depth = rng.uniform(10, 100, 60).astype(np.float32)
    triangles = rng.integers(0, 60, (40, 3)).astype(np.int32)
    shown = rasterise(points, depth, triangles, height, width, cull=False)
    owner, nearest = brute_force(points, depth, triangles, height, width)
    ours = np.full(height * width, -1)
    ours[shown.pixel] = shown.triangle
    assert (ours.reshape(height, width) == owner).mean() > 0.998  # centres on an edge may fall either way
    same = ours[shown.pixel] == owner.ravel()[shown.pixel]
    np.testing.assert_allclose(shown.depth[same], nearest.ravel()[shown.pixel][same], rtol=1e-3)


def test_a_mesh_has_no_cracks_and_no_double_cover() -> None:
    rng = np.random.default_rng(5)
    n = 12
    grid = np.stack(np.meshgrid(np.linspace(2, 62, n), np.linspace(2, 62, n)), -1)
    grid[1:-1, 1:-1] += rng.uniform(-2, 2, (n - 2, n - 2, 2))
    a = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    triangles = np.concatenate(
        [np.stack([a, a + 1, a + n], 1), np.stack([a + 1, a + n + 1, a + n], 1)]
    ).astype(np.int32)
    points = grid.reshape(-1, 2).astype(np.float32)
    found = scan(points, np.ones(n * n, np.float32), triangles, 64, 64, cull=False)
    cover = np.bincount(found.pixel, minlength=64 * 64).reshape(64, 64)
    assert (cover[2:62, 2:62] == 1).all()
    assert cover.sum() == 60 * 60


def test_culling_keeps_one_side() -> None:
    points = np.array([[5, 5], [25, 5], [5, 25]], np.float32)
    depth = np.ones(3, np.float32)
    facing, turned = np.array([[0, 2, 1]], np.int32), np.array([[0, 1, 2]], np.int32)
    assert len(scan(points, depth, facing, 32, 32).pixel) > 100
    assert len(scan(points, depth, turned, 32, 32).pixel) == 0
    assert len(scan(points, depth, turned, 32, 32, cull=False).pixel) > 100


def test_what_is_outside_or_behind_the_camera_is_left_out() -> None:
    points = np.array([[-50, -50], [-10, -50], [-50, -10], [5, 5], [25, 5], [5, 25]], np.float32)
    depth = np.array([1, 1, 1, -1, 2, 2], np.float32)
    triangles = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    assert len(rasterise(points, depth, triangles, 32, 32, cull=False).pixel) == 0


def test_interpolation_reproduces_an_affine_function() -> None:
    rng = np.random.default_rng(9)
    points = rng.uniform(0, 40, (9, 2)).astype(np.float32)
    triangles = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]], np.int32)
    shown = rasterise(points, np.ones(9, np.float32), triangles, 40, 40, cull=False)
    values = interpolate(shown, triangles, points)
    centres = np.stack([shown.pixel % 40 + 0.5, shown.pixel // 40 + 0.5], 1)
    np.testing.assert_allclose(values, centres, atol=1e-3)


def test_kept_fragments_decide_visibility() -> None:
    points = np.array([[0, 0], [20, 0], [0, 20]], np.float32)
    near = scan(points, np.full(3, 1, np.float32), np.array([[0, 1, 2]], np.int32), 20, 20, cull=False)
    far = scan(points, np.full(3, 2, np.float32), np.array([[0, 1, 2]], np.int32), 20, 20, cull=False)
    holes = near.keep(near.pixel % 2 == 0)
    shown = visible([holes, far], 400)
    assert set(np.unique(shown.depth[shown.pixel % 2 == 0])) == {1.0}
    assert set(np.unique(shown.depth[shown.pixel % 2 == 1])) == {2.0}


def test_downsampling_takes_the_mean() -> None:
    picture = np.random.default_rng(1).random((8, 12, 3)).astype(np.float32)
    small = box_downsample(picture, 2)
    assert small.shape == (4, 6, 3)
    np.testing.assert_allclose(small[1, 2], picture[2:4, 4:6].mean((0, 1)), rtol=1e-5)
