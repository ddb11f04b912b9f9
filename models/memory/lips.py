"""The audio-lip memory: values are what lips look like, keys are what they sound like.

While it is trained both are at hand: lips address the values and are to be recalled from them (`stored`), and
sound is to give the keys the same address (`aligned`). When it is used there is only sound: it addresses the
keys and recalls a lip feature by that. Called by `models.synctalkface` and by benchmarks.

Shape legend: n rows, C width, S slots.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["AudioLipMemory", "aligned", "centres", "stored"]

_LEAST = 1e-13  # what is added to addresses before their logarithm
_DEVIATION = 0.5  # of slots that nothing has filled yet
_ROUNDS = 12
_FOLLOWS = 0.05  # how fast running statistics follow
_ENOUGH = 8  # rows that tell by themselves what is common
_LEAST_SPREAD = 1e-3


class Level(nn.Module):
    """Rows (n, C) about their mean, in units of their deviation.

    Cosines of features that all have much in common are all nearly 1, and soon one slot takes everything.
    Rows that are trained on are taken about their own mean if they are enough to tell it: what features have
    in common drifts with every step, farther than young features differ.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))

    def forward(self, rows: Tensor) -> Tensor:
        rows = rows.float()
        if self.training and len(rows) > 1:
            self.settle(rows, _FOLLOWS)
            if len(rows) >= _ENOUGH:
                return functional.batch_norm(rows, None, None, training=True, eps=_LEAST_SPREAD**2)
        return (rows - self.middle) / self.spread.clamp(min=_LEAST_SPREAD)

    @torch.no_grad()
    def settle(self, rows: Tensor, share: float = 1.0) -> None:
        """Take over so much of what these rows say."""
        rows = rows.float()
        self.middle.lerp_(rows.mean(0), share)
        # Deviations from what has been common so far: a batch is of few people and sounds.
        self.spread.lerp_((rows - self.middle).square().mean(0).sqrt(), share)


class AudioLipMemory(nn.Module):
    """S slots of C numbers twice over, addressed by cosine; and what joins sound with what it recalls."""

    def __init__(self, slots: int = 96, width: int = 512, scale: float = 16.0, dropout: float = 0.5) -> None:
        super().__init__()
        self.scale = scale
        self.keys = nn.Parameter(_DEVIATION * torch.randn(slots, width))
        self.values = nn.Parameter(_DEVIATION * torch.randn(slots, width))
        self.ask = nn.Linear(width, width)  # W_q
        self.see = nn.Sequential(nn.Linear(width, width), Level(width))  # W_v
        self.dropout = nn.Dropout(dropout)
        self.join = nn.Linear(2 * width, width)

    def by_lips(self, lips: Tensor) -> Tensor:
        """Addresses (n, S) of lip features (n, C) that went through `see`."""
        return self._addresses(lips, self.values)

    def by_sound(self, heard: Tensor) -> Tensor:
        """Addresses (n, S) of what was heard (n, C)."""
        return self._addresses(self.ask(heard), self.keys)

    def recall(self, address: Tensor) -> Tensor:
        """Lip features (n, C) at addresses (n, S)."""
        with torch.autocast(address.device.type, enabled=False):
            return address.float() @ self.values.float()

    def joined(self, heard: Tensor, lips: Tensor) -> Tensor:
        """What a decoder is told (n, C) of sound and lips (n, C)."""
        told: Tensor = self.join(self.dropout(torch.cat([heard, lips.to(heard.dtype)], 1)))
        return told

    def _addresses(self, rows: Tensor, slots: Tensor) -> Tensor:
        # The scale makes of half precision's last digit a tenth of a slot's share.
        with torch.autocast(rows.device.type, enabled=False):
            near = functional.normalize(rows.float(), dim=1) @ functional.normalize(slots.float(), dim=1).T
            return (self.scale * near).softmax(1)

    @torch.no_grad()
    def fill(self, features: Tensor, heard: Tensor, seed: int = 0) -> None:
        """Slots from what is really seen (n, C), before `see`, and heard with it (n, C).

        Random slots lie far from all lips: a few would take everything, the others stay out of use.
        """
        linear, level = self.see
        assert isinstance(level, Level)
        level.settle(linear(features))
        # As when judging: filling is no step that statistics are to follow.
        lips = (linear(features).float() - level.middle) / level.spread.clamp(min=_LEAST_SPREAD)
        middles, which = centres(lips, len(self.values), seed)
        # A key of zeros would have no direction, and a gradient without bounds.
        own = torch.bincount(which, minlength=len(middles)) > 0
        self.values[: len(middles)][own] = middles[own]
        asked = functional.normalize(self.ask(heard).float(), dim=1)
        sums = torch.zeros_like(middles).index_add_(0, which, asked)
        self.keys[: len(middles)][own] = functional.normalize(sums[own], dim=1) * lips.norm(dim=1).mean()

    @torch.no_grad()
    def used(self, address: Tensor) -> float:
        """Share of slots whose mean address is more than a fifth of an even one."""
        return float((address.mean(0) > 1 / (5 * address.shape[1])).float().mean())


def stored(lips: Tensor, recalled: Tensor) -> Tensor:
    """How badly lips are recalled by their own address. They stand still: slots are to come to them."""
    return functional.mse_loss(recalled, lips.detach().float())


def aligned(by_lips: Tensor, by_sound: Tensor) -> Tensor:
    """Divergence of the sound's address from the lips', which stands still; mean over rows."""
    true = by_lips.detach()
    away = true * ((true + _LEAST).log() - (by_sound + _LEAST).log())
    return away.sum(1).mean()


@torch.no_grad()
def centres(rows: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """At most `count` rows amid these (n, C), by direction; and which of them each is nearest to (n,)."""
    rows = rows.float()
    unit = functional.normalize(rows, dim=1)
    draw = torch.Generator().manual_seed(seed)
    first = torch.randperm(len(rows), generator=draw)[:count].sort().values.to(rows.device)
    middles, which = rows[first], torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for _ in range(_ROUNDS):
        which = (unit @ functional.normalize(middles, dim=1).T).argmax(1)
        sums = torch.zeros_like(middles).index_add_(0, which, rows)
        size = torch.bincount(which, minlength=len(middles))[:, None]
        middles = torch.where(size > 0, sums / size.clamp(min=1), middles)
    return middles, which
