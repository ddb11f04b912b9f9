"""A discriminator of patches: which parts of a picture look made? Conditional on what it was made from."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["PatchDiscriminator"]


class PatchDiscriminator(nn.Module):
    """Pictures (B, C, H, W) to scores (B, 1, h, w)."""

    def __init__(self, into: int, widths: tuple[int, ...] = (64, 128, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [spectral_norm(nn.Conv2d(into, width, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True)]
            into = width
        layers.append(spectral_norm(nn.Conv2d(into, 1, 3, 1, 1)))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)
