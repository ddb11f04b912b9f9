"""A perceptual distance without downloaded weights: features of fixed random orthogonal filters.

What random filters see is not what people see, but unlike single pixels they see edges and texture, at
three sizes, and a blurred picture is as far from a sharp one as it should be.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Perception"]


def _filters(out: int, into: int, kernel: int, draw: torch.Generator) -> Tensor:
    """Orthogonal filters; but for the first layer's mean, which keeps colours in."""
    flat = torch.randn(max(out, into * kernel**2), into * kernel**2, generator=draw)
    return torch.linalg.qr(flat)[0][:out].reshape(out, into, kernel, kernel).contiguous()


class Perception(nn.Module):
    """Distance of pictures (B, 3, H, W), -1 to 1: the mean difference of features, layer by layer."""

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64), seed: int = 11) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.layers = nn.ModuleList()
        into = 3
        for depth, width in enumerate(widths):
            first = depth == 0
            conv = nn.Conv2d(into, width, 5 if first else 3, 1 if first else 2, 2 if first else 1)
            with torch.no_grad():
                kernel = _filters(width, into, conv.kernel_size[0], draw)
                if first:
                    # Three quarters of the first filters know no brightness: only how it changes.
                    kernel[width // 4 :] -= kernel[width // 4 :].mean((1, 2, 3), keepdim=True)
                conv.weight.copy_(kernel * 1.6)
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.layers.append(conv)
            into = width
        self.requires_grad_(False)

    def forward(self, made: Tensor, true: Tensor, weight: Tensor | None = None) -> Tensor:
        """`weight` (B, 1, H, W) says where it matters."""
        a, b = made, true.detach()
        total = made.new_zeros(())
        for layer in self.layers:
            a, b = torch.relu(layer(a)), torch.relu(layer(b))
            away = (a - b).abs().mean(1, keepdim=True)
            if weight is None:
                total = total + away.mean()
            else:
                w = nn.functional.adaptive_avg_pool2d(weight, away.shape[-2:])
                total = total + (away * w).sum() / w.sum().clamp(min=1e-6)
        return total
