"""The implicit memory: learned keys and values that a sequence asks, trained with the rest of a network.

Shape legend: B batch, T rows in time, W width, M slots.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ImplicitMemory"]


class ImplicitMemory(nn.Module):
    """M slots of width W, read by soft attention over all of them: softmax(QWq (KWk)^T / sqrt W) V."""

    def __init__(self, slots: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.randn(slots, width))
        self.values = nn.Parameter(torch.randn(slots, width) / math.sqrt(width))
        self.ask = nn.Linear(width, width, bias=False)
        self.answer = nn.Linear(width, width, bias=False)
        self.dropout = dropout

    def forward(self, query: Tensor) -> Tensor:
        """What is remembered (B, T, W) for queries (B, T, W)."""
        return functional.scaled_dot_product_attention(
            self.ask(query),
            self.answer(self.keys).expand(len(query), -1, -1),
            self.values.expand(len(query), -1, -1),
            dropout_p=self.dropout if self.training else 0.0,
        )

    def attention(self, query: Tensor) -> Tensor:
        """How much each slot is listened to: (B, T, M), rows sum to one."""
        like: Tensor = self.ask(query) @ self.answer(self.keys).T / math.sqrt(query.shape[-1])
        return like.softmax(-1)

    def entropy(self, query: Tensor) -> Tensor:
        """Mean entropy of the attention over log M: 1 where all slots are used alike."""
        share = self.attention(query)
        return -(share * share.clamp(min=1e-12).log()).sum(-1).mean() / math.log(len(self.keys))

    def likeness(self) -> Tensor:
        """Mean cosine of different slots' keys, plus that of their values: what decorrelation makes small."""
        return _likeness(self.keys) + _likeness(self.values)


def _likeness(rows: Tensor) -> Tensor:
    # The sum of all cosines is the square of the summed unit vectors: no M x M matrix is needed.
    unit = functional.normalize(rows.float(), dim=-1)
    count = len(rows)
    return ((unit.sum(0) ** 2).sum() - count) / max(count * (count - 1), 1)
