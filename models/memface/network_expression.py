"""MemFace's first network: rows of speech features to expression coefficients, with an implicit memory.

    expression = mean + scale * (decode(Q + memory(Q)) + moments(sound)),  Q = encode(speech) + positions

`moments` are a person's (`models.memface.moments`); general weights have none.
Every layer sees a few rows to each side, so that an hour needs no more memory than a second; positions are
sinusoids that begin anew after a period without a seam. Rows are 25 a second, each with two of the sound's.

Shape legend: B batch, T rows, W width, E expression coefficients, F features of a row.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.memface.config_expression import ExpressionConfig
from models.memface.moments import REACH, Moments
from models.memory.implicit import ImplicitMemory

__all__ = [
    "BANDS",
    "EXPRESSION",
    "FEATURES",
    "LOUDNESS",
    "SLIDING",
    "VOICE",
    "ExpressionNet",
    "even",
    "made_plain",
]

FEATURES, EXPRESSION, BANDS = 31, 64, 80
SLIDING = 75  # rows to each side over which log-mel is evened out
LOUDNESS, VOICE = 29, 30
_UNLIKELY = -8.0


def made_plain(speech: Tensor) -> Tensor:
    """Rows (..., 2, 31) of log-probabilities, LUFS and voice to (..., 62) numbers of about unit size."""
    symbols = speech[..., :LOUDNESS].clamp(min=_UNLIKELY) / 4 + 1
    loud = ((speech[..., LOUDNESS:VOICE] + 30) / 15).clamp(-2.5, 2)
    return torch.cat([symbols, loud, speech[..., VOICE:]], -1).flatten(-2)


def even(mel: Tensor, valid: Tensor) -> Tensor:
    """Log-mel (..., T, 80) less its mean over `SLIDING` valid rows to each side: levels and rooms go out."""
    weight = valid[..., None].to(mel.dtype)
    sums = [
        functional.pad((x * weight).double().cumsum(-2), (0, 0, 1, 0)) for x in (mel, torch.ones_like(mel))
    ]
    count = mel.shape[-2]
    at = torch.arange(count, device=mel.device)
    low, high = (at - SLIDING).clamp(min=0), (at + SLIDING + 1).clamp(max=count)
    total, rows = (x[..., high, :] - x[..., low, :] for x in sums)
    return ((mel - (total / rows.clamp(min=1)).to(mel.dtype)) / 2) * weight


class _Layer(nn.Module):
    """Attention to near rows, then a small network on each; both are added to what was there."""

    def __init__(self, config: ExpressionConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.before = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, config.hidden), nn.Linear(config.hidden, width)

    def forward(self, x: Tensor, near: Tensor) -> Tensor:
        b, t, w = x.shape
        q, k, v = (
            self.mix(self.before(x)).reshape(b, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, near[:, None])
        x = x + self._drop(self.join(seen.transpose(1, 2).reshape(b, t, w)))
        return x + self._drop(self.narrow(functional.gelu(self.widen(self.between(x)))))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class ExpressionNet(nn.Module):
    """(B, T, 2, 31) to (B, T, 64); coefficients that are not of the mouth's groups are 0."""

    mean: Tensor
    scale: Tensor
    lead: Tensor
    chosen: Tensor

    def __init__(self, config: ExpressionConfig, chosen: Tensor, rows: int = 0, moments: int = 0) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.encode = nn.Conv1d(2 * FEATURES, width, 2 * config.taps + 1)
        self.settle = nn.LayerNorm(width)
        self.memory = ImplicitMemory(config.slots, width, config.dropout) if config.slots else None
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.last = nn.LayerNorm(width)
        self.out = nn.Linear(width, EXPRESSION)
        self.register_buffer("chosen", chosen.float())
        self.register_buffer("mean", torch.zeros(EXPRESSION))
        self.register_buffer("scale", torch.ones(EXPRESSION))
        # Half rows by which what was learned in general reads the sound later; a person's own.
        self.register_buffer("lead", torch.zeros((), dtype=torch.int64))
        self.moments = Moments(2 * FEATURES, BANDS, EXPRESSION, rows, moments)

    @property
    def reads_mel(self) -> bool:
        """Whether sound has to come with log-mel."""
        return self.moments.needs_bands

    def queries(self, speech: Tensor, valid: Tensor, first: Tensor) -> Tensor:
        """Q (B, T, W); `valid` (B, T) rows exist, `first` (B,) is the number of each window's first row."""
        taps = self.config.taps
        there = valid[..., None]
        rows = (self._led(made_plain(speech) * there) * there).transpose(1, 2)
        encoded = self.encode(functional.pad(rows, (taps, taps))).transpose(1, 2)
        encoded = functional.dropout(
            self.settle(functional.relu(encoded)), self.config.dropout, self.training
        )
        return encoded + self._positions(first, speech.shape[1])

    def _led(self, rows: Tensor) -> Tensor:
        """Plain rows (B, T, 62) read `lead` half rows later; beyond the ends there is nothing."""
        lead = int(self.lead)
        batch, count, width = rows.shape
        halves = rows.reshape(batch, 2 * count, width // 2)
        moved = functional.pad(halves, (0, 0, max(-lead, 0), max(lead, 0)))[:, max(lead, 0) :]
        return moved[:, : 2 * count].reshape(batch, count, width)

    def hidden(self, speech: Tensor, valid: Tensor, first: Tensor) -> Tensor:
        """What the last layer reads, (B, T, W)."""
        query = self.queries(speech, valid, first)
        x = query if self.memory is None else query + self.memory(query)
        near = self._near(valid)
        for layer in self.layers:
            x = layer(x, near)
        out: Tensor = self.last(x)
        return out

    @staticmethod
    def told_apart(speech: Tensor, mel: Tensor | None = None) -> Tensor:
        """What moments are told apart by, (..., T, 142); `mel` (..., T, 80) was evened out."""
        bands = speech.new_zeros(*speech.shape[:-2], BANDS) if mel is None else mel
        return torch.cat([made_plain(speech), bands], -1)

    def heard(self, speech: Tensor, valid: Tensor, mel: Tensor | None = None) -> Tensor:
        """The same, standardised, (B, T + 2 REACH, 142): as much later as this person's lips are early."""
        rows = (self.told_apart(speech, mel) - self.moments.mean) / self.moments.scale
        lead = round(int(self.lead) / 2)
        return functional.pad(rows * valid[..., None], (0, 0, REACH - lead, REACH + lead))

    def forward(self, speech: Tensor, valid: Tensor, first: Tensor, mel: Tensor | None = None) -> Tensor:
        """Standardised coefficients (B, T, 64), 0 for those that are not predicted."""
        found = self.general(speech, valid, first)
        if len(self.moments):
            found = found + self.moments(self.heard(speech, valid, mel))
        return found * self.chosen

    def general(self, speech: Tensor, valid: Tensor, first: Tensor) -> Tensor:
        """The same without moments, of all coefficients."""
        found: Tensor = self.out(self.hidden(speech, valid, first))
        return found

    def as_expression(self, standard: Tensor) -> Tensor:
        """Coefficients of the morphable model."""
        return (self.mean + self.scale * standard) * self.chosen

    def _near(self, valid: Tensor) -> Tensor:
        """(B, T, T): whom each row may look at; always at itself, for nobody may look at nothing."""
        at = torch.arange(valid.shape[1], device=valid.device)
        apart = (at[:, None] - at[None]).abs()
        return ((apart <= self.config.reach) & valid[:, None].bool()) | (apart == 0)

    def _positions(self, first: Tensor, count: int) -> Tensor:
        width, period = self.config.width, self.config.period
        at = torch.remainder(first[:, None] + torch.arange(count, device=first.device), period)
        # Whole turns a period: the position's end meets its beginning.
        turns = torch.unique_consecutive(
            torch.logspace(0, math.log2(period / 4), width // 2, base=2.0, device=first.device).round()
        )
        turns = turns.repeat(-(-(width // 2) // len(turns)))[: width // 2]
        angle = 2 * math.pi / period * at[..., None] * turns
        return torch.cat([angle.sin(), angle.cos()], -1)
