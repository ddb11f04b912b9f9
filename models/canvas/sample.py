"""Canvases out of pictures. Only the part of a picture that a canvas shows is touched, however large it is.

Shape legend: B frames, H, W a picture's height and width, S a canvas's side.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["normal_map", "sample", "window"]


def window(places: Tensor, side: int) -> tuple[Tensor, int]:
    """Whole pixels (B, 2) where windows that hold the canvases begin, and the windows' side."""
    corners = torch.tensor([[0.0, 0.0], [side, 0.0], [0.0, side], [side, side]])
    at = corners @ places[:, :, :2].transpose(1, 2) + places[:, None, :, 2]
    low, high = at.amin(1).floor() - 2, at.amax(1).ceil() + 2
    return low.long(), int((high - low).max())


def _cut(pictures: Tensor, begin: Tensor, reach: int) -> Tensor:
    """Windows (B, 3, reach, reach) as floats; outside a picture its edge goes on."""
    height, width = pictures.shape[1:3]
    out = torch.empty(len(pictures), reach, reach, 3, dtype=pictures.dtype)
    for own, picture, (x, y) in zip(out, pictures, begin.tolist(), strict=True):
        if x >= 0 and y >= 0 and x + reach <= width and y + reach <= height:
            own.copy_(picture[y : y + reach, x : x + reach])
        else:
            rows = torch.arange(y, y + reach).clamp(0, height - 1)
            own.copy_(picture[rows][:, torch.arange(x, x + reach).clamp(0, width - 1)])
    return out.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)


def sample(pictures: Tensor, places: Tensor, side: int) -> Tensor:
    """Canvases (B, S, S, 3) uint8 of pictures (B, H, W, 3) uint8."""
    begin, reach = window(places, side)
    cut = _cut(pictures, begin, reach)
    # More than two picture pixels a canvas pixel would be skipped between samples.
    scale = places[:, :, 0].norm(dim=1).max().item()
    shrink = max(math.floor(scale + 0.25), 1)
    if shrink > 1:
        cut = functional.avg_pool2d(cut, shrink, ceil_mode=True)
    matrix = places.clone()
    matrix[:, :, 2] -= begin
    grid = _grid(matrix / shrink, side, cut.shape[-2], cut.shape[-1])
    out = functional.grid_sample(cut, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return out.add_(0.5).clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _grid(matrix: Tensor, side: int, height: int, width: int) -> Tensor:
    """Where canvas pixels (B, S, S) lie in a window, in grid_sample's -1 to 1."""
    return functional.affine_grid(
        normal_map(matrix, side, side, height, width), [len(matrix), 1, side, side], False
    )


def normal_map(matrix: Tensor, out_h: int, out_w: int, in_h: int, in_w: int) -> Tensor:
    """A map between pixels, as one between squares that reach from -1 to 1."""
    a = matrix.clone()
    a[:, :, 2] += (matrix[:, :, :2] * torch.tensor([out_w / 2, out_h / 2])).sum(2)
    a[:, :, :2] *= torch.tensor([out_w / 2, out_h / 2])
    a *= torch.tensor([2 / in_w, 2 / in_h])[:, None]
    a[:, :, 2] -= 1
    return a
