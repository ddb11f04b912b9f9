"""Pictures of a fitted face: lit vertex colours through the rasteriser, and masks of the same view.

Called for overlays, reports and for systems that take a rendered face as input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.fit.geometry import Camera, rotation
from models.fit.light import shade
from models.morphable.model import MorphableModel, vertex_normals
from models.raster import box_downsample, interpolate, rasterise

__all__ = ["Rendered", "camera_of", "coefficients_at", "posed", "render"]

F32 = NDArray[np.float32]

_KINDS = ("identity", "expression", "texture", "rotation", "light", "translation")


class Rendered(NamedTuple):
    """A picture (H, W, 3), 0 to 1 on black; how much of a pixel is face, and eye region (H, W)."""

    picture: F32
    cover: F32
    eyes: F32


def posed(model: MorphableModel, coefficients: dict[str, F32]) -> F32:
    """Vertices (V, 3) in the camera's frame, from one frame's shape and pose."""
    head = model.shape(coefficients["identity"], coefficients["expression"])
    turn = rotation(torch.from_numpy(np.asarray(coefficients["rotation"], np.float32))).numpy()
    return np.asarray(head @ turn.T + coefficients["translation"], np.float32)


def render(
    model: MorphableModel,
    coefficients: dict[str, F32],
    camera: Camera,
    placement: F32,
    side: int = 256,
    supersample: int = 2,
    colours: F32 | None = None,
) -> Rendered:
    """The face in a square crop whose corner and side in the clip's pixels are `placement`.

    `coefficients` has the six kinds of one frame; `colours` (V, 3) stands in for texture and light.
    """
    seen = posed(model, coefficients)
    if colours is None:
        normal = torch.from_numpy(vertex_normals(seen, model.triangles))
        lit = shade(normal, torch.from_numpy(np.asarray(coefficients["light"], np.float32))).numpy()
        colours = model.albedo(coefficients["texture"]) * lit
    fine = side * supersample
    flat = camera.project(torch.from_numpy(seen)).numpy()
    places = (flat - placement[:2]) * (fine / placement[2])
    shown = rasterise(places.astype(np.float32), seen[:, 2], model.triangles, fine, fine)
    values = np.column_stack([np.clip(colours, 0, 1), np.ones(len(seen)), model.eyes]).astype(np.float32)
    canvas = np.zeros((fine * fine, 5), np.float32)
    canvas[shown.pixel] = interpolate(shown, model.triangles, values)
    small = box_downsample(canvas.reshape(fine, fine, 5), supersample)
    return Rendered(small[..., :3], small[..., 3], small[..., 4])


def coefficients_at(rows: Mapping[str, F32], frame: int) -> dict[str, F32]:
    """One frame's coefficients out of arrays named as a fit's are (`fit/identity` and so on)."""
    return {name: rows[f"fit/{name}"][frame] for name in _KINDS}


def camera_of(lens: F32) -> Camera:
    """The camera of a row of `fit/camera`."""
    return Camera(*(float(v) for v in lens))
