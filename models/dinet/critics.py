"""Who tells drawn pictures from true ones: by patches, one frame or five frames on top of each other.

Trained beside the drawing network and left behind when its weights travel. Private to `models.dinet`.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Critic"]

_SLOPE = 0.2


class Critic(nn.Module):
    """Pictures (B, C, H, W) to scores (B, 1, h, w): no padding, no norm, smaller block by block."""

    def __init__(self, into: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for depth, width in enumerate(widths):
            layers += [nn.Conv2d(into, width, 4), nn.LeakyReLU(_SLOPE)]
            if depth < len(widths) - 1:
                layers.append(nn.AvgPool2d(2))
            into = width
        self.body = nn.Sequential(*layers, nn.Conv2d(into, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)
