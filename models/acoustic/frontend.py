"""Sound to log-mel frames, and the level and colour of a recording taken off them.

Gain falls out exactly: a sliding mean in the logarithm, in which louder frames count more, follows the speech
and not the pauses. Called by `stream` and by `tasks.acoustic`.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from models.acoustic.config import AcousticConfig

__all__ = ["log_mel", "mel_matrix", "normalise"]


def log_mel(sound: Tensor, config: AcousticConfig) -> Tensor:
    """(N,) samples to (N // hop, bands): frame j is centred on sample (j + .5) * hop.

    Needs `margin` samples around what is asked for: the caller pads, with sound or with zeros, by
    (window - hop) / 2 to each side.
    """
    frames = sound.unfold(0, config.window, config.hop) * _hann(config.window)
    power = torch.fft.rfft(frames, n=config.spectrum).abs().square()
    return (power @ mel_matrix(config) + config.quietest).log()


@cache
def _hann(window: int) -> Tensor:
    # Scaled so that the power of a sine does not depend on the window's length.
    hann = torch.hann_window(window, periodic=False)
    return hann / hann.sum()


@cache
def mel_matrix(config: AcousticConfig) -> Tensor:
    """(spectrum / 2 + 1, bands): triangles evenly spaced on the mel scale, each an average."""
    edges = torch.linspace(_mel(config.lowest_hz), _mel(config.highest_hz), config.bands + 2)
    edges_hz = 700.0 * (torch.exp(edges / 1127.0) - 1.0)
    bins_hz = torch.linspace(0.0, config.rate / 2, config.spectrum // 2 + 1)
    rising = (bins_hz[:, None] - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins_hz[:, None]) / (edges_hz[2:] - edges_hz[1:-1])
    triangles = torch.minimum(rising, falling).clamp(min=0.0)
    # The lowest triangles may fall between two bins: their nearest bin stands for them.
    centres = (edges_hz[1:-1] / bins_hz[1]).round().long()
    empty = triangles.sum(0) < 1e-3
    triangles[centres[empty], torch.arange(config.bands)[empty]] = 1.0
    return triangles / triangles.sum(0)


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)


def normalise(mel: Tensor, config: AcousticConfig, inside: Tensor | None = None) -> Tensor:
    """(..., T, bands) minus its sliding mean, clamped; frames not `inside` the sound become zero."""
    exact = mel.double()
    weight = (exact.exp().mean(-1, keepdim=True) + config.quietest).pow(config.mean_power)
    if inside is not None:
        weight = weight * inside[..., None]
    mean = _sliding_sum(weight * exact, config.mean_reach) / _sliding_sum(weight, config.mean_reach).clamp(
        min=1e-30
    )
    scaled = (exact - mean).clamp(config.floor, config.ceiling) * config.scale
    if inside is not None:
        scaled = scaled * inside[..., None]
    return scaled.to(mel.dtype)


def _sliding_sum(values: Tensor, reach: int) -> Tensor:
    """The sum over [t - reach, t + reach], as far as there are frames."""
    total = torch.cat([torch.zeros_like(values[..., :1, :]), values.cumsum(-2)], -2)
    count = values.shape[-2]
    at = torch.arange(count)
    return total[..., (at + reach + 1).clamp(max=count), :] - total[..., (at - reach).clamp(min=0), :]
