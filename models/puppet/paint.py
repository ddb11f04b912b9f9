"""A canvas for baked textures: noise, soft shapes, strokes. Coordinates are chart millimetres."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from models.puppet.figure import figure
from models.puppet.head import skin, skull_rings
from models.raster import interpolate, rasterise

__all__ = ["CHART_SCALE", "Canvas", "blur", "canvas", "linear", "noise", "smoothstep", "srgb"]

F32 = NDArray[np.float32]

CHART_SCALE = np.array([158, 132], np.float32)


def linear(rgb: object) -> F32:
    """sRGB 0..255 to linear light 0..1."""
    c = np.asarray(rgb, np.float32) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def srgb(light: F32) -> F32:
    """Linear light 0..1 to sRGB 0..1."""
    c = np.clip(light, 0, 1)
    return np.where(c <= 0.0031308, c * 12.92, 1.055 * c ** (1 / 2.4) - 0.055).astype(np.float32)


def smoothstep(value: F32, low: float, high: float) -> F32:
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> F32:
    """Smooth noise with about `cells` bumps a side, mean 0 and deviation near 1."""
    grid = torch.from_numpy(rng.standard_normal((1, 1, *cells)).astype(np.float32))
    wide = torch.nn.functional.interpolate(grid, size=shape, mode="bicubic", align_corners=False)
    return wide[0, 0].numpy() * np.float32(1.3)


def blur(picture: F32, radius: float) -> F32:
    """Gaussian blur of (H, W) or (H, W, C)."""
    reach = max(int(3 * radius), 1)
    x = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / radius) ** 2)
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1)
    data = torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.atleast_3d(picture), -1, 0)))[:, None]
    mode = "replicate"
    data = torch.nn.functional.pad(data, (reach, reach, 0, 0), mode=mode)
    data = torch.nn.functional.conv2d(data, kernel[:, :, None, :])
    data = torch.nn.functional.pad(data, (0, 0, reach, reach), mode=mode)
    data = torch.nn.functional.conv2d(data, kernel[:, :, :, None])
    return np.moveaxis(data[:, 0].numpy(), 0, -1).reshape(picture.shape)


class Canvas:
    """The skin chart as a grid of texels, with the mean head's position at each."""

    def __init__(self, side: int) -> None:
        self.side = side
        x = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
        self.x, self.y = np.meshgrid(x * CHART_SCALE[0], x * CHART_SCALE[1])
        shape = skin()
        mean = figure().mean[:468]
        face = shape.face @ mean
        rim = face[shape.rim]
        points = np.concatenate(
            [face, shape.loft @ np.concatenate([rim, skull_rings(len(rim)).reshape(-1, 3)])]
        )
        pixels = ((shape.chart + 1) / 2 * side).astype(np.float32)
        shown = rasterise(pixels, np.ones(len(pixels), np.float32), shape.triangles, side, side, cull=False)
        self.position = np.full((side * side, 3), 1e4, np.float32)
        self.position[shown.pixel] = interpolate(shown, shape.triangles, points.astype(np.float32))
        self.position = self.position.reshape(side, side, 3)
        self.landmarks = (shape.chart[:468] * CHART_SCALE).astype(np.float32)

        # Noise is looked up around the head: on the chart it would be stretched at the border.
        azimuth = np.arctan2(self.position[..., 0], 88 - self.position[..., 2])
        under = self.position[..., 1] + 0.6 * self.position[..., 2] * smoothstep(
            self.position[..., 1], 55, 85
        )
        self._column = np.clip((azimuth / (2 * np.pi) + 0.5) * (2 * side), 0, 2 * side - 1).astype(np.int32)
        self._row = np.clip((under + 160) * (side / 260), 0, 2 * side - 1).astype(np.int32)

    def skin_noise(self, rng: np.random.Generator, millimetres: float) -> F32:
        """Noise with bumps of about this size all over the skin, mean 0 and deviation near 1."""
        fine = max(millimetres, 520 / (2 * self.side))
        cells = max(int(520 / fine), 2), max(int(520 / fine), 2)
        return noise(rng, (2 * self.side, 2 * self.side), cells)[self._row, self._column]

    def _window(self, low: F32, high: F32) -> tuple[slice, slice]:
        a = np.clip(((low / CHART_SCALE + 1) / 2 * self.side).astype(int), 0, self.side)
        b = np.clip(((high / CHART_SCALE + 1) / 2 * self.side).astype(int) + 2, 0, self.side)
        return slice(a[1], b[1]), slice(a[0], b[0])

    def blob(self, centre: tuple[float, float], size: tuple[float, float]) -> F32:
        """A Gaussian spot."""
        return np.exp(-0.5 * (((self.x - centre[0]) / size[0]) ** 2 + ((self.y - centre[1]) / size[1]) ** 2))

    def distance(self, line: F32, reach: float, *, closed: bool = False) -> F32:
        """Millimetres to a polyline, exact up to `reach`, more beyond."""
        out = np.full((self.side, self.side), reach * 4, np.float32)
        ends = np.roll(line, -1, 0) if closed else line[1:]
        for a, b in zip(line, ends, strict=False):
            win = self._window(np.minimum(a, b) - reach, np.maximum(a, b) + reach)
            px, py = self.x[win] - a[0], self.y[win] - a[1]
            ab = b - a
            t = np.clip((px * ab[0] + py * ab[1]) / max(float(ab @ ab), 1e-9), 0, 1)
            out[win] = np.minimum(out[win], np.hypot(px - t * ab[0], py - t * ab[1]))
        return out

    def inside(self, polygon: F32) -> NDArray[np.bool_]:
        """Texels inside a closed polygon."""
        out = np.zeros((self.side, self.side), bool)
        win = self._window(polygon.min(0), polygon.max(0))
        x, y = self.x[win], self.y[win]
        hit = np.zeros(x.shape, bool)
        for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            if a[1] != b[1]:
                crosses = (y < a[1]) != (y < b[1])
                hit ^= crosses & (x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0])
        out[win] = hit
        return out

    def region(self, polygon: F32, soft: float) -> F32:
        """1 inside the polygon, 0 outside, soft over `soft` millimetres on both sides."""
        d = self.distance(polygon, soft * 1.5, closed=True)
        return smoothstep(np.where(self.inside(polygon), d, -d), -soft, soft)

    def splat(self, points: F32, strength: F32) -> F32:
        """Add up points (N, 2) with weights (N,), spread over their four nearest texels."""
        at = (points / CHART_SCALE + 1) / 2 * self.side - 0.5
        base = np.floor(at).astype(np.int64)
        f = (at - base).astype(np.float32)
        out = np.zeros(self.side * self.side, np.float32)
        for dx in (0, 1):
            for dy in (0, 1):
                w = (f[:, 0] if dx else 1 - f[:, 0]) * (f[:, 1] if dy else 1 - f[:, 1]) * strength
                cell = np.clip(base + np.array((dx, dy)), 0, self.side - 1)
                out += np.bincount(cell[:, 1] * self.side + cell[:, 0], w, len(out)).astype(np.float32)
        return out.reshape(self.side, self.side)

    def hairs(self, roots: F32, tips: F32, bend: F32, strength: F32) -> F32:
        """Thin curved strokes from roots to tips (N, 2), tapering."""
        steps = 28
        t = np.linspace(0, 1, steps, dtype=np.float32)[None, :, None]
        path = roots[:, None] * (1 - t) + tips[:, None] * t + bend[:, None] * (4 * t * (1 - t))
        taper = (1 - 0.75 * t[..., 0]) * strength[:, None]
        return self.splat(path.reshape(-1, 2), taper.ravel())


@lru_cache(maxsize=3)
def canvas(side: int) -> Canvas:
    return Canvas(side)
