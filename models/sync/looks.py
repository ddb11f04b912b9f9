"""Training material made unlike itself: other light, cameras and recordings, and nothing that lips do.

What is changed is changed alike on all frames of a stretch, but for noise and a little unrest of the crop.
Chance is torch's own, which the engine seeds by the step.

Shape legend: P stretches of L frames, K windows, S side of a canvas.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.sync.config import SyncConfig
from models.sync.network import FEATURES, LOUDNESS, MEL, SYMBOLS
from models.sync.sight import SIDE

__all__ = ["kept_features", "other_looks", "other_recording"]

_TURN, _SIZE, _MOVE, _UNREST = 0.12, 0.12, 0.10, 0.012  # radians, shares of the mouth's box
_BLOCK = 8  # pixels that a coder treats alike


def other_looks(canvases: Tensor, config: SyncConfig) -> Tensor:
    """Mouths' canvases (P, L, 3, S, S), -1 to 1, to mouths (P, L, 3, 48, 48)."""
    stretches, frames = canvases.shape[:2]
    mouths = _cropped(canvases).reshape(stretches, frames, 3, SIDE, SIDE)
    mouths = _coarser(mouths, config.blurred)
    return _coloured(mouths, config).clamp(-1.2, 1.2)


def _uniform(reach: float, *shape: int, like: Tensor) -> Tensor:
    return torch.rand(shape, device=like.device).mul_(2).sub_(1).mul_(reach)


def _cropped(canvases: Tensor) -> Tensor:
    """(P * L, 3, 48, 48): around the middle half, turned, moved, sized and mirrored by chance."""
    stretches, frames = canvases.shape[:2]
    angle = _uniform(_TURN, stretches, 1, like=canvases)
    size = 0.5 * (1 + _uniform(_SIZE, stretches, 1, like=canvases))
    mirror = (torch.rand(stretches, 1, device=canvases.device) < 0.5).float() * 2 - 1
    moved = 0.5 * _uniform(_MOVE, stretches, 1, 2, like=canvases)
    unrest = 0.5 * _UNREST * torch.randn(stretches, frames, 2, device=canvases.device)
    cos, sin = (size * torch.cos(angle)).expand(-1, frames), (size * torch.sin(angle)).expand(-1, frames)
    rows = [torch.stack([cos * mirror, -sin], -1), torch.stack([sin * mirror, cos], -1)]
    theta = torch.cat([torch.stack(rows, -2), (moved + unrest)[..., None]], -1).flatten(0, 1)
    flat = canvases.flatten(0, 1)
    grid = functional.affine_grid(theta, [len(flat), 3, SIDE, SIDE], align_corners=False)
    return functional.grid_sample(flat, grid, padding_mode="border", align_corners=False)


def _coarser(mouths: Tensor, share: float) -> Tensor:
    """Some stretches as smaller pictures show them, or as a coder that saves: levels in steps, and blocks."""
    out = mouths.clone()
    for number in torch.nonzero(torch.rand(len(mouths)) < share)[:, 0].tolist():
        small = int(torch.randint(14, SIDE, (1,)))
        less = functional.interpolate(out[number], (small, small), mode="bilinear", antialias=True)
        out[number] = functional.interpolate(less, (SIDE, SIDE), mode="bilinear", align_corners=False)
    for number in torch.nonzero(torch.rand(len(mouths)) < share / 2)[:, 0].tolist():
        out[number] = _blocky(out[number], float(torch.rand(())))
    return out


def _blocky(frames: Tensor, much: float) -> Tensor:
    """What is fine is rounded away, a block's mean stays: as JPEG does it."""
    mean = functional.interpolate(functional.avg_pool2d(frames, _BLOCK), scale_factor=float(_BLOCK))
    step = 0.04 + 0.16 * much
    return mean + torch.round((frames - mean) / step) * step


def _coloured(mouths: Tensor, config: SyncConfig) -> Tensor:
    """Contrast, curve and balance of colours; some without any, all with a little noise."""
    count, reach = len(mouths), config.levels

    def some(*shape: int) -> Tensor:
        return _uniform(reach, count, *shape, like=mouths)

    grey = (torch.rand(count, 1, 1, 1, 1, device=mouths.device) < config.grey).float()
    out = mouths + grey * (mouths.mean(2, keepdim=True) - mouths)
    bright = ((out + 1) / 2).clamp(0.001, 1) ** (2 ** some(1, 1, 1, 1))
    out = (bright * 2 - 1) * (1 + 0.5 * some(1, 3, 1, 1)) + 0.4 * some(1, 3, 1, 1)
    noise = 0.12 * reach * torch.rand(count, 1, 1, 1, 1, device=mouths.device)
    return out + noise * torch.randn_like(out)


def other_recording(sound: Tensor, config: SyncConfig) -> Tensor:
    """Sound (P, K, 13, 2, 111) as another microphone, room and voice would give it."""
    count, reach = len(sound), config.levels
    out = sound.float().clone()
    out[..., LOUDNESS] += 20 * _uniform(reach, count, 1, 1, 1, like=out)
    bands = torch.linspace(-1, 1, MEL.stop - MEL.start, device=out.device)
    tilt = _uniform(2 * reach, count, 1, 1, 1, 1, like=out) * bands
    bump = torch.cos(torch.pi * (2 * bands + 2 * torch.rand(count, 1, 1, 1, 1, device=out.device)))
    mel = out[..., MEL] + tilt + _uniform(reach, count, 1, 1, 1, 1, like=out) * bump
    floor = -4 + 4 * reach * torch.rand(count, 1, 1, 1, 1, device=out.device)
    mel = torch.maximum(mel, floor) + 0.4 * reach * torch.randn_like(mel)
    # Another voice has its formants elsewhere.
    higher = torch.randint(-3, 4, (count,)).tolist()
    out[..., MEL] = torch.stack([part.roll(by, -1) for part, by in zip(mel, higher, strict=True)])
    surer = 2 ** _uniform(reach, count, 1, 1, 1, 1, like=out)
    out[..., SYMBOLS] = out[..., SYMBOLS] * surer + 0.5 * reach * torch.randn_like(out[..., SYMBOLS])
    return out


def kept_features(count: int, share: float, device: torch.device | str = "cpu") -> Tensor:
    """(P, 111): 0 for what a stretch does not hear: its symbols, or its mel, never both."""
    kept = torch.ones(count, FEATURES, device=device)
    chance = torch.rand(count, device=device)
    kept[:, SYMBOLS] = (chance > share / 2).float()[:, None]
    kept[:, MEL] = (chance < 1 - share / 2).float()[:, None]
    return kept
