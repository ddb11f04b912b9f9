"""What the paper holds its warp against: attention, a dense flow, and no deformation at all.

They take what `models.dinet.adaat.AdaAT` takes, and are chosen by `Widths.warp` and `Widths.deform`; only
benchmarks do so.

Shape suffixes: B batch, C channels, h, w height and width, D numbers of a code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.dinet.blocks import Same

__all__ = ["Attention", "Flow", "Unmoved"]


class Unmoved(nn.Module):
    """Features stay where they are."""

    def forward(self, features: Tensor, source: Tensor, code: Tensor) -> Tensor:
        return features.expand(len(source), -1, -1, -1)


class Attention(nn.Module):
    """Every place of the source looks for what it needs among all places of the references."""

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.told = nn.Linear(code, channels)
        self.ask, self.key, self.value = (nn.Conv2d(channels, channels, 1) for _ in range(3))

    def forward(self, features: Tensor, source: Tensor, code: Tensor) -> Tensor:
        told = self.told(code)[..., None, None]
        asked = self.ask(source + told.to(source.dtype))
        features = features.expand(len(source), -1, -1, -1)
        rows = [x.flatten(2).transpose(1, 2) for x in (asked, self.key(features), self.value(features))]
        found = functional.scaled_dot_product_attention(*rows)
        return found.transpose(1, 2).reshape_as(features)


class Flow(nn.Module):
    """One shift for every place, of all channels alike."""

    def __init__(self, channels: int, code: int, norm: bool) -> None:
        super().__init__()
        self.told = nn.Linear(code, channels)
        self.find = nn.Sequential(Same(2 * channels, channels, 3, norm), nn.Conv2d(channels, 2, 3, padding=1))
        last = self.find[1]
        assert isinstance(last, nn.Conv2d)
        nn.init.normal_(last.weight, 0, 1e-3)

    def forward(self, features: Tensor, source: Tensor, code: Tensor) -> Tensor:
        features = features.expand(len(source), -1, -1, -1)
        told = self.told(code)[..., None, None]
        both = torch.cat([source + told.to(source.dtype), features], 1)
        shift = torch.tanh(self.find(both).float()).permute(0, 2, 3, 1)
        still = torch.eye(2, 3, device=shift.device).expand(len(shift), -1, -1)
        grid = functional.affine_grid(still, list(features.shape), align_corners=True) + shift
        with torch.autocast(features.device.type, enabled=False):
            out = functional.grid_sample(features.float(), grid, align_corners=True)
        return out.to(features.dtype)
