"""What does not move with the head: backdrop, shoulders and clothes, rendered once with their depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppet.backdrop import backdrop
from models.puppet.camera import project
from models.puppet.cloth import Wardrobe
from models.puppet.identity import Traits
from models.puppet.light import Light, transfer
from models.puppet.mesh import normals, smooth_vertices
from models.puppet.torso import collar, throat, torso
from models.raster import interpolate, scan, visible

__all__ = ["Stage"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Stage:
    """Shoulders under a light; `at` places them before the camera and draws what is behind the head."""

    def __init__(
        self, who: Traits, seed: int, light: Light, head: tuple[F32, I32], side: int, background: int
    ) -> None:
        self.wardrobe = Wardrobe(who, seed)
        self.side = side
        self.light = light
        body, triangles = torso(who)
        pieces = [(body, triangles, np.zeros(len(body), np.float32), 0.0)]
        if self.wardrobe.collar:
            band, band_tri, around = collar(who, self.wardrobe.collar)
            pieces.append((band, band_tri, around, 1.0))
        plug, plug_tri = throat(who)
        pieces.append((plug, plug_tri, np.zeros(len(plug), np.float32), 2.0))
        starts = np.cumsum([0] + [len(p[0]) for p in pieces])
        self.points = np.concatenate([p[0] for p in pieces]).astype(np.float32)
        self.triangles = np.concatenate([p[1] + s for p, s in zip(pieces, starts, strict=False)]).astype(
            np.int32
        )
        normal = normals(self.points, self.triangles)
        if (normal * (self.points - [0, 250, 110]))[: len(body)].sum() < 0:
            self.triangles, normal = self.triangles[:, ::-1].copy(), -normal
        blockers = (
            np.concatenate([self.points, head[0]]),
            np.concatenate([self.triangles, head[1] + len(self.points)]),
        )
        answer = transfer(self.points, normal, blockers)
        answer = smooth_vertices(answer, self.triangles, 1)
        shade = answer @ light.coefficients(np.eye(3)) * np.clip(answer[:, :1] / 0.282, 0.1, 1) ** 0.5
        around = np.concatenate([p[2] for p in pieces])
        kind = np.concatenate([np.full(len(p[0]), p[3]) for p in pieces])
        # Clothes' insides face away from every lamp, and the throat is lit by the neck beside it:
        # neither is as black as the shadows alone would have it.
        usual = np.median(shade[: len(body)], axis=0)
        shade = np.maximum(shade, np.where(kind > 1.5, 0.62, 0.22)[:, None] * usual)
        self.values = np.column_stack([self.points, np.maximum(shade, 0.01), around, kind]).astype(np.float32)
        self.room = backdrop(background, side).reshape(-1, 3)

    def at(self, place: F32) -> tuple[F32, F32]:
        """Colours (side * side, 3) and depths (side * side,) with the head's origin at `place`."""
        pixels, depth = project(self.points + place.astype(np.float32), self.side)
        shown = visible([scan(pixels, depth, self.triangles, self.side, self.side, cull=False)], self.side**2)
        v = interpolate(shown, self.triangles, self.values)
        albedo = self.wardrobe.body(v[:, :3])
        band = (v[:, 7] > 0.5) & (v[:, 7] < 1.5)
        albedo[v[:, 7] > 1.5] = self.wardrobe.skin
        if band.any():
            albedo[band] = self.wardrobe.band(v[band, :3], v[band, 6])
        picture = self.room.copy()
        picture[shown.pixel] = albedo * v[:, 3:6]
        far = np.full(self.side**2, np.inf, np.float32)
        far[shown.pixel] = shown.depth
        return picture, far
