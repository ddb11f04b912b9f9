"""Pictures of a mouth carried onto another mesh of the same face: exact geometry, no network.

A mesh knows for every other pixel which of its triangles is seen there and how near each corner is; where
those corners lay on another canvas is where the pixel's colour comes from. Called by renderers that remember.

Shape legend: B meshes, k pictures for each, S their side, s = S / 2, V vertices.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas.mesh import mesh_triangles

__all__ = ["carried"]

_CERTAIN = 0.99  # of the four nearest coarse pixels, all show the mesh


def carried(pictures: Tensor, points: Tensor, corners: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (B, k, 3, S, S) as the meshes lie, and where there is mesh (B, 1, S, S); elsewhere zeros.

    `points` (B, k, V, 2) are the pictures' own meshes, in shares of their side; `corners` (B, s, s) and
    `shares` (B, s, s, 2) are a `Meshes`'.
    """
    grid = _finer(_origins(points, corners, shares)) * 2 - 1
    known = (corners >= 0).float()[:, None]
    known = (_finer_channels(known) > _CERTAIN).float()
    found = functional.grid_sample(
        pictures.flatten(0, 1),
        grid.flatten(0, 1),
        mode="bicubic",
        padding_mode="border",
        align_corners=False,
    )
    found = found.clamp(-1, 1).unflatten(0, pictures.shape[:2])
    return found * known[:, None], known


def _origins(points: Tensor, corners: Tensor, shares: Tensor) -> Tensor:
    """Where coarse pixels lay on each picture, (B, k, s, s, 2)."""
    count, found, vertices = points.shape[:3]
    part = shares.float() / 255
    part = torch.cat([part, 1 - part.sum(-1, keepdim=True)], -1)
    three = mesh_triangles().to(points.device)[corners.clamp(min=0).long()]
    three = three + (torch.arange(count, device=points.device) * vertices)[:, None, None, None]
    # All pictures of a vertex beside each other: one look-up serves them.
    table = points.transpose(1, 2).reshape(count * vertices, found * 2)
    rows = table.index_select(0, three.flatten()).view(*three.shape, found * 2)
    return (rows * part[..., None]).sum(3).unflatten(-1, (found, 2)).permute(0, 3, 1, 2, 4)


def _finer(values: Tensor) -> Tensor:
    """Twice the pixels of (B, k, s, s, 2)."""
    fine = _finer_channels(values.permute(0, 1, 4, 2, 3).flatten(0, 1))
    return fine.unflatten(0, values.shape[:2]).permute(0, 1, 3, 4, 2)


def _finer_channels(values: Tensor) -> Tensor:
    """Twice the pixels of (B, C, s, s), of which every given one stays where it was: at even places."""
    side = values.shape[-1]
    fine = functional.interpolate(values, (2 * side - 1, 2 * side - 1), mode="bilinear", align_corners=True)
    return functional.pad(fine, (0, 1, 0, 1), mode="replicate")
