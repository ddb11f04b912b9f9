"""A long short-term memory whose gates are convolutions: state over frames of a feature map.

Shape suffixes: B batch, L frames of a window, C channels, H, W height and width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ConvLSTM"]

State = tuple[Tensor, Tensor]


class ConvLSTM(nn.Module):
    """One layer, 3 x 3."""

    def __init__(self, into: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.gates = nn.Conv2d(into + width, 4 * width, 3, 1, 1)
        # Remembering is the habit from which learning starts.
        with torch.no_grad():
            self.gates.bias[width : 2 * width] = 1.0  # type: ignore[index]

    def step(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """One frame (B, C, H, W)."""
        if state is None:
            nothing = x.new_zeros(len(x), self.width, *x.shape[2:])
            state = (nothing, nothing)
        taken, kept, shown, new = self.gates(torch.cat([x, state[0]], 1)).chunk(4, 1)
        cell = torch.sigmoid(kept) * state[1] + torch.sigmoid(taken) * torch.tanh(new)
        hidden = torch.sigmoid(shown) * torch.tanh(cell)
        return hidden, (hidden, cell)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Windows (B, L, C, H, W) from a state; all hidden states and the last state."""
        out = []
        for frame in x.unbind(1):
            hidden, state = self.step(frame, state)
            out.append(hidden)
        assert state is not None
        return torch.stack(out, 1), state
