"""The network itself: normalised mel frames at 100 a second to 29 log-probabilities at 50 a second."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.acoustic.config import AcousticConfig
from models.acoustic.symbols import SYMBOLS

__all__ = ["Network"]


class _Block(nn.Module):
    """A residual convolution over time; the norm keeps statistics of training, so frames stay independent."""

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + functional.gelu(self.norm(self.conv(x)))


class Network(nn.Module):
    """(B, 2 T, bands) to hidden (B, T, bottleneck) and log-probabilities (B, T, 29)."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = config
        self.entry = nn.Conv1d(config.bands, config.width, 4, stride=2, padding=1)
        self.entry_norm = nn.BatchNorm1d(config.width)
        self.blocks = nn.Sequential(*(_Block(config.width, config.kernel, d) for d in config.dilations))
        self.narrow = nn.Conv1d(config.width, config.bottleneck, 1)
        self.narrow_norm = nn.BatchNorm1d(config.bottleneck)
        self.symbols = nn.Linear(config.bottleneck, len(SYMBOLS))

    def hidden(self, mel: Tensor) -> Tensor:
        """(B, 2 T, bands) to (B, T, bottleneck)."""
        x = functional.gelu(self.entry_norm(self.entry(mel.transpose(1, 2))))
        return self.narrow_norm(self.narrow(self.blocks(x))).transpose(1, 2)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(mel)
        return hidden, torch.log_softmax(self.symbols(hidden).float(), -1)
