"""From a posed body to a picture: visibility, light, texture, highlights, anti-aliasing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.backdrop import backdrop
from models.puppet.body import Body
from models.puppet.camera import FOCAL, PIVOT, project, rest_pose, rotation
from models.puppet.light import Light, lambert
from models.puppet.paint import linear
from models.raster import Fragments, box_downsample, scan, visible

__all__ = ["Painter"]

F32 = NDArray[np.float32]
_SOLID = ("skin", "ear0", "ear1", "eye0", "eye1", "margin0", "margin1", "teeth0", "teeth1", "tongue", "cavity")
_ALPHA = ("hair", "lash0", "lash1")


class Painter:
    """Renders one body under one light, again and again."""

    def __init__(self, body: Body, atlas: F32, light: Light, size: int, supersample: int, background: int) -> None:
        self.body, self.light, self.size, self.supersample = body, light, size, supersample
        self.side = size * supersample
        self.atlas = atlas.reshape(-1, 4)
        self.stride = atlas.shape[1]
        self.background = backdrop(background, self.side)
        self.share = body.neck_share()[:, None]
        self.uncull = np.concatenate([body.triangles[body.parts[n].triangles] for n in _ALPHA])
        self.cull = body.triangles[: body.parts["cavity"].triangles.stop]

    def pose(self, points: F32, angles: NDArray[np.float64]) -> tuple[F32, NDArray[np.float64]]:
        """Camera-frame points; the base of the neck stays with the shoulders."""
        turn = rotation(angles[:3])
        moved = points @ turn.T.astype(np.float32) + angles[3:].astype(np.float32)
        rest = rest_pose()[3:]
        drift = (turn @ PIVOT + angles[3:] - PIVOT - rest) * 0.4
        still = points + (rest + drift).astype(np.float32)
        return moved + self.share * (still - moved), turn

    def vertex_light(self, points: F32, row_normals: F32, turn: NDArray[np.float64]) -> F32:
        """Reflected light of every vertex (V, 3): baked shadows, times how the surface has bent since."""
        body = self.body
        c = self.light.coefficients(turn)
        baked = np.stack([body.answers[k] @ c[:, k] for k in range(3)], 1)
        bend = np.maximum(lambert(row_normals, c), 0.05) / np.maximum(lambert(body.rest_normals, c), 0.05)
        return np.maximum(baked, 0.015) * np.clip(bend, 0.5, 1.7)

    def __call__(self, row: F32, angles: NDArray[np.float64]) -> NDArray[np.uint8]:
        body = self.body
        points, uv = body.vertices(row)
        normal = body.current_normals(points)
        camera, turn = self.pose(points, angles)
        pixels, depth = project(camera, self.side)
        channels = self._channels(points, uv, normal, turn)
        parts = [scan(pixels, depth, self.cull, self.side, self.side)]
        parts.append(self._alpha(scan(pixels, depth, self.uncull, self.side, self.side, cull=False), channels))
        alpha = parts[1]
        parts[1] = Fragments(alpha.triangle + len(self.cull), alpha.pixel, alpha.bary, alpha.depth)
        shown = visible(parts, self.side**2)
        picture = self.background.reshape(-1, 3).copy()
        picture[shown.pixel] = self._shade(shown, channels)
        out = box_downsample(picture.reshape(self.side, self.side, 3), self.supersample)
        return _encode(out)

    def _channels(self, points: F32, uv: F32, normal: F32, turn: NDArray[np.float64]) -> F32:
        light = self.vertex_light(points, normal, turn)
        half = self.light.half_vectors(turn)
        shine = np.clip(normal @ half[:2].T, 0, 1) * np.sqrt(self.body.openness)[:, None]
        return np.concatenate([uv, light, shine], 1).astype(np.float32)

    def _alpha(self, fragments: Fragments, channels: F32) -> Fragments:
        t = self.uncull[fragments.triangle]
        w = fragments.bary
        uv = channels[:, :2]
        at = uv[t[:, 0]] * w[0][:, None] + uv[t[:, 1]] * w[1][:, None] + uv[t[:, 2]] * (1 - w[0] - w[1])[:, None]
        texel = at[:, 1].astype(np.int64) * self.stride + at[:, 0].astype(np.int64)
        return fragments.keep(self.atlas[texel, 3] > 0.4)

    def _shade(self, shown: object, channels: F32) -> F32:
        triangles = np.concatenate([self.cull, self.uncull])
        from models.raster import interpolate

        c = interpolate(shown, triangles, channels)
        texel = c[:, 1].astype(np.int64) * self.stride + c[:, 0].astype(np.int64)
        tex = self.atlas[texel]
        key = self.light.colours[0]
        s = c[:, 5:7] ** 2
        s = s * s
        s = s * s
        broad = s * s
        spec = tex[:, 3] * (0.10 * broad[:, 0] + 0.04 * broad[:, 1] + 0.14 * broad[:, 0] ** 4)
        return tex[:, :3] * c[:, 2:5] + spec[:, None] * key


_CURVE = None


def _encode(light: F32) -> NDArray[np.uint8]:
    """Linear light to 8-bit sRGB through a table, highlights rolled off softly."""
    global _CURVE
    if _CURVE is None:
        x = np.linspace(0, 2, 8192)
        soft = np.where(x < 0.7, x, 0.7 + 0.3 * (1 - np.exp(-(x - 0.7) / 0.3)))
        table = np.where(soft <= 0.0031308, soft * 12.92, 1.055 * soft ** (1 / 2.4) - 0.055)
        _CURVE = np.round(np.clip(table, 0, 1) * 255).astype(np.uint8)
    return _CURVE[np.clip(light * (8191 / 2), 0, 8191).astype(np.int32)]


__all__ += ["FOCAL", "linear"]
