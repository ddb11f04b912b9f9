"""What a person's lips did beside what the general network says, kept by moments that were heard.

    expression(t) = general(t) + sum over moments m of alike(heard around t, heard around m) * values(m)

Moments are rows of the person's own footage; two are alike when the symbols around them are, or the log-mel.
What sounds like nothing that was ever heard is left to the general network. `values` are solved, not trained
step by step: see `models.memface.adaptation`. Used by `models.memface.network_expression`.

Shape legend: B batch, T rows, R rows of footage, M moments, E expression coefficients, F numbers heard of a
row, K rows of a window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["REACH", "Moments"]

REACH = 5  # rows to each side that are compared
_FADE = 2.0  # rows in which what is further away counts less
# How far apart windows are that are hardly alike; chosen in folds of 48 s and 20 s of two people.
_SYMBOLS_APART, _BANDS_APART = 0.7, 1.4
_AT_ONCE = 1024


class Moments(nn.Module):
    """Kernel regression on windows of sound; knows nothing until `settle`."""

    rows: Tensor
    at: Tensor
    values: Tensor
    mean: Tensor
    scale: Tensor
    bands: Tensor

    def __init__(self, symbols: int, bands: int, out: int, rows: int = 0, moments: int = 0) -> None:
        super().__init__()
        self._symbols = symbols
        # Footage as it was heard, with `REACH` rows around every run; where in it moments are; what they say.
        self.register_buffer("rows", torch.zeros(rows, symbols + bands))
        self.register_buffer("at", torch.zeros(moments, dtype=torch.int64))
        self.register_buffer("values", torch.zeros(moments, out))
        self.register_buffer("mean", torch.zeros(symbols + bands))
        self.register_buffer("scale", torch.ones(symbols + bands))
        # Whether log-mel was there, and has to be heard.
        self.register_buffer("bands", torch.zeros((), dtype=torch.int64))
        fade = torch.exp(-0.5 * (torch.arange(-REACH, REACH + 1) / _FADE) ** 2)
        self.register_buffer("fade", fade / fade.norm(), persistent=False)

    def __len__(self) -> int:
        return len(self.at)

    @property
    def needs_bands(self) -> bool:
        return bool(int(self.bands))

    def settle(self, rows: Tensor, at: Tensor, mean: Tensor, scale: Tensor, bands: bool) -> None:
        """Take over standardised rows (R, F) and where moments are in them; their values are 0."""
        self.rows, self.at, self.mean, self.scale = rows, at, mean, scale
        self.values = rows.new_zeros(len(at), self.values.shape[1])
        self.bands.fill_(int(bands))

    def forward(self, heard: Tensor) -> Tensor:
        """(B, T, E) of standardised rows (B, T + 2 REACH, F)."""
        windows = heard.unfold(1, 2 * REACH + 1, 1).transpose(2, 3).flatten(0, 1)
        moments = self.windows(self.at)
        parts = [self.alike(part, moments) @ self.values for part in windows.split(_AT_ONCE)]
        return torch.cat(parts).unflatten(0, (len(heard), -1))

    def windows(self, at: Tensor) -> Tensor:
        """(n, K, F) around rows of the footage."""
        return self.rows[at[:, None] + torch.arange(-REACH, REACH + 1, device=at.device)]

    def alike(self, one: Tensor, other: Tensor) -> Tensor:
        """(n, m) from 0 to 1, of windows (n, K, F) and (m, K, F)."""
        s = self._symbols
        out = self._near(one[..., :s], other[..., :s], _SYMBOLS_APART)
        if self.needs_bands:
            out = (out + self._near(one[..., s:], other[..., s:], _BANDS_APART)) / 2
        return out

    def _near(self, one: Tensor, other: Tensor, apart: float) -> Tensor:
        weight = self.fade[:, None] / one.shape[-1] ** 0.5
        a, b = ((x * weight).flatten(1) for x in (one, other))
        square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return torch.exp(square.clamp(min=0) / (-2 * apart**2))
