"""Batch norms that may stand still: a few frames of one person would only spoil what they have counted."""

from __future__ import annotations

from typing import Self

from torch import nn

__all__ = ["Still"]


class Still(nn.Module):
    """A network whose norms go on using what they have counted, also in training, where `still` is set."""

    still = False

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.still:
            for part in self.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        return self
