"""DINet's inference as it is first written down, to be held against ours with the very same weights.

One frame at a time, in float32; references are encoded for each frame anew; features are moved by a sampler
in three dimensions whose third coordinate is the channel's number. Called by `tests.bench.dinet`.

Shape suffixes: B batch, which is one, C channels, h, w height and width of a feature map.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.dinet.adaat import AdaAT
from models.dinet.blocks import averaged
from models.dinet.network import Drawer

__all__ = ["in_three_dimensions", "straightforward"]


def in_three_dimensions(x: Tensor, scale: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
    """Features (B, C, h, w) moved by scales and angles (B, C) and shifts (B, C, 2)."""
    ends = [torch.linspace(-1, 1, count, dtype=x.dtype) for count in x.shape[1:]]
    z, y, across = torch.meshgrid(*ends, indexing="ij")
    told = (scale * turn.cos(), scale * turn.sin(), *shift.unbind(-1))
    c, s, right, down = (value[:, :, None, None] for value in told)
    moved = (c * across - s * y + right, s * across + c * y + down, z.expand(len(x), *z.shape))
    return functional.grid_sample(x[:, None], torch.stack(moved, -1), align_corners=False)[:, 0]


@torch.inference_mode()
def straightforward(drawer: Drawer, source: Tensor, told: Tensor, references: Tensor) -> Tensor:
    """Crops (B, 3, H, W) of a source with a hole, what is told (B, 5, K), and references (B, 5, 3, H, W)."""
    assert isinstance(drawer.warp, AdaAT)
    seen, shown = drawer.source(source), drawer.reference(references.flatten(1, 2))
    pair = torch.cat([seen, shown], 1)
    code = torch.cat([averaged(drawer.align(pair)), averaged(drawer.sound(told.transpose(1, 2)))], 1)
    moved = in_three_dimensions(drawer.before(shown), *drawer.warp.transforms(code))
    for block in drawer.after:
        moved = block(moved)
    made: Tensor = drawer.decoder(torch.cat([seen, moved], 1), code)
    return made
