"""What tests of sound to expression share: sounds that nobody made, networks that have something to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from models.memface.config_expression import ExpressionConfig
from models.memface.expression import new_expression
from models.memface.listening import listen, paired
from models.memface.network_expression import BANDS, ExpressionNet
from models.methods import Heard

__all__ = ["SMOKE", "all_of", "in_blocks", "living", "rows_of", "sound"]

SMOKE = replace(ExpressionConfig.preset("smoke"), slots=32, layers=1, hidden=64)


def sound(rows: int, seed: int = 0) -> Heard:
    """Features that no speech has."""
    chance = torch.Generator().manual_seed(seed)
    speech = torch.randn(rows, 29, generator=chance).log_softmax(-1)
    mel = torch.randn(1 + rows * 80 // 50, BANDS, generator=chance)
    loud, voice = -30 + 5 * torch.randn(rows, generator=chance), torch.rand(rows, generator=chance)
    return Heard(speech, loud, voice, mel)


def rows_of(whole: Heard) -> Tensor:
    return torch.cat([whole.speech, whole.loudness[:, None], whole.voice[:, None]], 1)


def in_blocks(whole: Heard, sizes: Sequence[int]) -> Iterator[Heard]:
    """The sound piece by piece; log-mel comes by its own clock, a little later."""
    assert whole.mel is not None
    at, mel, k = 0, 0, 0
    while at < len(whole.speech):
        stop = min(at + sizes[k % len(sizes)], len(whole.speech))
        until = len(whole.mel) if stop == len(whole.speech) else int(stop * 1.6)
        yield Heard(
            whole.speech[at:stop], whole.loudness[at:stop], whole.voice[at:stop], whole.mel[mel:until]
        )
        at, mel, k = stop, until, k + 1


def living(config: ExpressionConfig = SMOKE, *, mel: bool = True, lead: int = 0) -> ExpressionNet:
    """A network all of whose parts have something to say."""
    net = new_expression(config, 3)
    chance = torch.Generator().manual_seed(1)
    heard = net.told_apart(
        paired(rows_of(sound(300, 7)))[None], torch.randn(1, 150, BANDS, generator=chance)
    )[0]
    net.moments.settle(heard, torch.arange(20, 120, 3), heard.mean(0), heard.std(0), mel)
    net.moments.values.normal_(generator=chance)
    net.lead.fill_(lead)
    return net.eval()


def all_of(net: ExpressionNet, blocks: Iterator[Heard]) -> Tensor:
    return torch.cat(list(listen(net, blocks)))
