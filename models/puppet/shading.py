"""From a posed body to a picture: visibility, light, texture, highlights, anti-aliasing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.puppet.body import Body
from models.puppet.camera import PIVOT, project, rotation
from models.puppet.light import Light, lambert
from models.puppet.paint import linear
from models.puppet.skin_texture import HAIR_TONES
from models.puppet.stage import Stage
from models.raster import Fragments, Visible, box_downsample, interpolate, scan, visible

__all__ = ["Painter"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_ALPHA = ("hair", "lash0", "lash1", "beard")
# Millimetres after which shoulders follow: motion leaves them, another framing takes them along.
_STRIDE = 70.0


class Painter:
    """Renders one body under one light, again and again."""

    def __init__(
        self, body: Body, atlas: F32, light: Light, stage: Stage, rest: F32, size: int, supersample: int
    ) -> None:
        self.body, self.light, self.stage, self.rest = body, light, stage, rest
        self.size, self.supersample, self.side = size, supersample, size * supersample
        self.atlas = np.ascontiguousarray(atlas.reshape(-1, 4))
        self.alpha = np.ascontiguousarray(self.atlas[:, 3])
        self.stride = np.int32(atlas.shape[1])
        self.share = body.neck_share()[:, None]
        self.solid = body.triangles[: body.parts["cavity"].triangles.stop]
        self.sheets = np.concatenate([body.triangles[body.parts[n].triangles] for n in _ALPHA])
        self.triangles = np.concatenate([self.solid, self.sheets])
        # Light on strands takes their colour, except on black and white hair.
        tone = linear(HAIR_TONES[body.who.hair])
        self.sheen = (tone / tone.max()).astype(np.float32) ** 1.2
        if body.who.style in ("cropped", "curly"):
            self.sheen *= np.float32(0.4)  # curls scatter what straight strands line up
        centre = body.rest_points[self.sheets].mean(1)
        # Hair that stands off or hangs shows its inside; close to the skull the far side is always hidden.
        on_skull = (centre[:, 1] < -30) & (np.arange(len(self.sheets)) < len(body.hair.triangles))
        self.closed = on_skull & (body.who.style not in ("curly", "long", "bob"))
        self._stages: dict[tuple[int, ...], tuple[F32, F32]] = {}

    def place(self, points: F32, angles: F64) -> tuple[F32, F64, tuple[int, ...]]:
        """Camera-frame points, the head's turn, where the shoulders stand; the neck bends between."""
        turn = rotation(angles[:3])
        moved = points @ turn.T.astype(np.float32) + angles[3:].astype(np.float32)
        drift = turn @ PIVOT + angles[3:] - PIVOT - self.rest[3:]
        step = tuple(int(k) for k in np.round(drift / _STRIDE))
        still = points + self.shoulders(step)
        return moved + self.share * (still - moved), turn, step

    def shoulders(self, step: tuple[int, ...]) -> F32:
        return (self.rest[3:] + np.float32(_STRIDE) * np.asarray(step, np.float32)).astype(np.float32)

    def behind(self, step: tuple[int, ...]) -> tuple[F32, F32]:
        """Picture and depth of everything that stays still, kept for the next frame."""
        if step not in self._stages:
            if len(self._stages) > 4:
                self._stages.clear()
            self._stages[step] = self.stage.at(self.shoulders(step))
        return self._stages[step]

    def vertex_light(self, normal: F32, row_gap: float, turn: F64) -> F32:
        """Reflected light of every vertex (V, 3): baked shadows, times how the surface has bent since."""
        body = self.body
        c = self.light.coefficients(turn)
        baked = np.stack([body.answers[k] @ c[:, k] for k in range(3)], 1)
        bend = np.maximum(lambert(normal, c), 0.05) / np.maximum(lambert(body.rest_normals, c), 0.05)
        bend[body.rims] = np.maximum(bend[body.rims], 0.9)
        out = np.maximum(baked, 0.012) * np.clip(bend, 0.5, 1.8)
        out[body.inside] *= 0.35 + 0.65 * min(row_gap / 12, 1.0)
        return out

    def __call__(self, row: F32, angles: F64) -> NDArray[np.uint8]:
        body = self.body
        points, uv, gap = body.vertices(row)
        normal = body.current_normals(points)
        camera, turn, step = self.place(points, angles)
        pixels, depth = project(camera, self.side)
        channels = self._channels(row, uv, normal, gap, turn)
        parts = [
            scan(pixels, depth, self.solid, self.side, self.side),
            self._strands(pixels, depth, channels),
        ]
        shown = visible(parts, self.side**2)
        picture, far = self.behind(step)
        picture = picture.copy()
        front = np.flatnonzero(shown.depth < far[shown.pixel])
        shown = Visible(shown.triangle[front], shown.pixel[front], shown.bary[:, front], shown.depth[front])
        picture[shown.pixel] = self._shade(shown, channels)
        return _encode(box_downsample(picture.reshape(self.side, self.side, 3), self.supersample))

    def _channels(self, row: F32, uv: F32, normal: F32, gap: float, turn: F64) -> F32:
        """What is interpolated: atlas place, light, two highlights."""
        body = self.body
        light = self.vertex_light(normal, gap, turn)
        folds = body.folds(row)
        light[: len(folds)] *= folds[:, None]
        half = self.light.half_vectors(turn)
        shine = np.clip(normal @ half[:2].T, 0, 1) * body.openness[:, None] ** 0.3
        part = body.parts["hair"].vertices
        # Strands shine across a band where the half vector is square to them.
        along = body.hair.tangents @ half[:2].T + np.float32([0.18, -0.12])
        facing = np.clip(normal[part] @ half[:2].T + 0.35, 0, 1)
        shine[part] = np.sqrt(np.clip(1 - along**2, 0, 1)) * facing**0.12 * body.hair.depth[:, None] ** 0.3
        return np.concatenate([uv, light, shine], 1).astype(np.float32)

    def _strands(self, pixels: F32, depth: F32, channels: F32) -> Fragments:
        """Hair and lashes, with what lies between the strands cut away."""
        p = pixels[self.sheets]
        a, b = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
        away = self.closed & (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0)
        kept = np.flatnonzero(~away)
        f = scan(pixels, depth, self.sheets[kept], self.side, self.side, cull=False)
        of = kept[f.triangle]
        t = self.sheets[of]
        values = np.concatenate([channels[:, :2], self.body.cut[:, None]], 1)
        w = f.bary
        at = values[t[:, 2]]
        at += (values[t[:, 0]] - at) * w[0][:, None] + (values[t[:, 1]] - at) * w[1][:, None]
        texel = at[:, 1].astype(np.int32) * self.stride + at[:, 0].astype(np.int32)
        whole = Fragments((of + len(self.solid)).astype(np.int32), f.pixel, f.bary, f.depth)
        return whole.keep(self.alpha[texel] >= at[:, 2])

    def _shade(self, shown: Visible, channels: F32) -> F32:
        c = interpolate(shown, self.triangles, channels)
        texel = c[:, 1].astype(np.int32) * self.stride + c[:, 0].astype(np.int32)
        tex = self.atlas[texel]
        s = c[:, 5:7] ** 2
        s *= s
        s *= s
        s *= s
        sharp = s[:, 0] ** 2
        sharp *= sharp
        glint = tex[:, 3] * (0.11 * s[:, 0] + 0.05 * s[:, 1] + 0.16 * sharp)
        wet = shown.triangle < self.body.wet_stop
        wet &= shown.triangle >= self.body.wet_start
        if wet.any():
            glint[wet] = 0.015 * s[wet, 0] + 1.6 * sharp[wet] ** 4 + 0.35 * s[wet, 1] ** 16
        out = tex[:, :3] * c[:, 2:5]
        tint = np.broadcast_to(self.light.colours[0], out.shape)
        strand = shown.triangle >= len(self.solid)
        if strand.any():
            tint = tint.copy()
            tint[strand] *= 0.3 * self.sheen.max() + 0.7 * self.sheen
        out += glint[:, None] * tint
        return out


@lru_cache(maxsize=1)
def _curve() -> NDArray[np.uint8]:
    """Linear light 0..2 to 8-bit sRGB, highlights rolled off softly."""
    x = np.linspace(0, 2, 8192)
    soft = np.where(x < 0.7, x, 0.7 + 0.3 * (1 - np.exp(-(x - 0.7) / 0.3)))
    table = np.where(soft <= 0.0031308, soft * 12.92, 1.055 * soft ** (1 / 2.4) - 0.055)
    return np.round(np.clip(table, 0, 1) * 255).astype(np.uint8)


def _encode(light: F32) -> NDArray[np.uint8]:
    return _curve()[np.clip(light * np.float32(8191 / 2), 0, 8191).astype(np.int32)]
