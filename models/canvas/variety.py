"""Pictures made more various by chance, all of a sample alike: another light, another lens, a face kneaded.

Made-up people have their mouths just where the face model has them, and a network that is taught by them
alone puts everybody's there. Kneaded ones make it look where a person's own pictures have it: a mouth a
little elsewhere, wider or taller. Their pictures are also sharper than filmed ones, and what is learned from
fine grain says nothing about people. Called by trainees of networks that are shown pictures of a person.

Shape legend: B samples, n pictures of each, C channels, H, W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from models.canvas.places import MOUTH_BOX

__all__ = ["kneaded", "varied", "varieties"]

# Deviations, in sides of the mouth's canvas or for each of them.
_MOVED, _STRETCHED, _LEANT = 0.03, 0.08, 0.04
_MOST = 2.0  # deviations
_REACH = 0.3  # how far it is felt, in sides of the mouth's canvas
_BLUR, _BLUR_REACH, _SHARPER = 1.5, 4, 0.25  # pixels, pixels, and how much of a blur is taken off at most
_LIFTED = 0.4  # of colours, by an offset, beside what a gain does


def varieties(
    count: int, light: float, soft: float, share: float, draw: torch.Generator
) -> dict[str, Tensor]:
    """What is done to samples: gains and offsets of colours, blur, and how a share of faces is kneaded."""
    out = {}
    if light > 0:
        own = torch.randn(count, 2, 3, generator=draw) + torch.randn(count, 2, 1, generator=draw)
        still = torch.tensor([[1.0], [0.0]])
        out["light"] = still + light * own * torch.tensor([[1.0], [_LIFTED]])
    if soft > 0:
        out["soft"] = soft * ((1 + _SHARPER) * torch.rand(count, generator=draw) - _SHARPER)
    if share > 0:
        by = torch.randn(count, 5, generator=draw).clamp(-_MOST, _MOST)
        by = by * torch.tensor([_MOVED, _MOVED, _STRETCHED, _STRETCHED, _LEANT])
        out["kneaded"] = by * (torch.rand(count, 1, generator=draw) < share)
    return out


def varied(
    pictures: Tensor, by: Mapping[str, Tensor], mouth: tuple[slice, slice], dark: float = 0.0
) -> Tensor:
    """Pictures (B, n, 3, H, W), `dark` to 1, whose `mouth` is there, changed by what `varieties` said."""
    if "light" in by:
        gain, offset = by["light"][:, None, :, :, None, None].unbind(2)
        pictures = ((pictures - dark) * gain + offset * (1 - dark) + dark).clamp(dark, 1)
    if "soft" in by:
        pictures = _softened(pictures, by["soft"]).clamp(dark, 1)
    return kneaded(pictures, by["kneaded"], mouth) if "kneaded" in by else pictures


def _softened(pictures: Tensor, share: Tensor) -> Tensor:
    """Pictures (B, n, C, H, W), by a share (B,) blurred; a negative one sharpens."""
    at = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, device=pictures.device)
    line = torch.exp(-0.5 * (at / _BLUR) ** 2)
    line = line / line.sum()
    flat = pictures.flatten(0, 2)[:, None]
    across = functional.conv2d(_wider(flat, 0), line[None, None, None])
    down = functional.conv2d(_wider(across, 1), line[None, None, :, None])
    away = down.reshape(pictures.shape) - pictures
    return pictures + share[:, None, None, None, None] * away


def _wider(pictures: Tensor, axis: int) -> Tensor:
    around = [_BLUR_REACH, _BLUR_REACH, 0, 0]
    return functional.pad(pictures, around if axis == 0 else around[2:] + around[:2], mode="replicate")


def kneaded(pictures: Tensor, by: Tensor, mouth: tuple[slice, slice]) -> Tensor:
    """Pictures (B, n, C, H, W), whose mouth is there, kneaded by (B, 5)."""
    if not by.any():
        return pictures
    times, (high, wide) = pictures.shape[1], pictures.shape[-2:]
    away = _displacement(by, high, wide, mouth).repeat_interleave(times, 0)
    still = functional.affine_grid(torch.eye(2, 3, device=by.device)[None], [1, 1, high, wide], False)
    grid = still + away * 2 / away.new_tensor([wide, high])
    out = functional.grid_sample(pictures.flatten(0, 1), grid, padding_mode="border", align_corners=False)
    return out.unflatten(0, (-1, times))


def _displacement(by: Tensor, high: int, wide: int, mouth: tuple[slice, slice]) -> Tensor:
    """Where pixels (B, H, W, 2) come from, in pixels from where they are."""
    rows, columns = mouth
    side = (rows.stop - rows.start) / (MOUTH_BOX[3] - MOUTH_BOX[1])
    middle = [(columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2]
    y, x = torch.meshgrid(torch.arange(high) + 0.5, torch.arange(wide) + 0.5, indexing="ij")
    at = ((torch.stack([x, y], -1) - torch.tensor(middle)) / side).to(by.device)
    felt = torch.exp(-at.square().sum(-1) / (2 * _REACH**2))
    moved, stretched, leant = by[:, None, None, :2], by[:, None, None, 2:4], by[:, None, None, 4:]
    away = moved + stretched * at + leant * at.flip(-1) * at.new_tensor([1.0, -1.0])
    return -side * felt[..., None] * away
