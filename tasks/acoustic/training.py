"""The training loop: frames of synthesized speech to symbols, with weights averaged over the last steps.

What is asked of the network: which symbols (its 29 outputs), which phone (its hidden layer); and from the
29 outputs alone, by linear maps, the phone once more, the lips, and the shape of the spectrum: so that they
keep how far a mouth opens, which no symbol says. Called by `tasks.acoustic.work`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.acoustic.config import AcousticConfig
from models.acoustic.frontend import normalise
from models.acoustic.network import Network
from models.acoustic.symbols import NOISE, PHONES, SYMBOLS, lip_gap_of, symbols_of
from tasks.acoustic.store import Shard

__all__ = ["Recipe", "Trained", "train"]

_LIP_REACH = 4
_CEPSTRA = 13


@dataclass(frozen=True)
class Recipe:
    """How long and how hard; `batch` is in takes of 24 seconds."""

    steps: int
    batch: int = 4
    rate: float = 2e-3
    warm_up: float = 0.05
    decay: float = 0.01
    smoothing: float = 0.05
    phone_weight: float = 0.5
    kept_weight: float = 2.0
    lips_weight: float = 10.0
    shape_weight: float = 5.0
    averaged_steps: int = 300
    # How much of what is drawn is English; none means as the takes come.
    english: float = 0.0
    noise: float = 0.06
    seed: int = 0
    bf16: bool = True


@dataclass(frozen=True)
class Trained:
    """The averaged network, ready to be saved, and how the losses went."""

    network: Network
    losses: tuple[float, ...]
    accuracy: float


class _Heads(nn.Module):
    """What only training needs: it is thrown away with the optimiser."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.phone = nn.Linear(config.bottleneck, len(PHONES))
        self.kept = nn.Linear(len(SYMBOLS), len(PHONES))
        self.lips = nn.Conv1d(len(SYMBOLS), 2, 2 * _LIP_REACH + 1, padding=_LIP_REACH)
        self.shape = nn.Linear(len(SYMBOLS), _CEPSTRA)


class _Tables:
    """Targets by phone."""

    def __init__(self, smoothing: float) -> None:
        shares = torch.tensor([symbols_of(phone) for phone in range(len(PHONES))])
        self.symbols = (1 - smoothing) * shares + smoothing / len(SYMBOLS)
        self.gaps = torch.tensor([lip_gap_of(phone) for phone in range(len(PHONES))])
        self.smoothing = smoothing

    def lips(self, phones: Tensor, loud: Tensor) -> Tensor:
        """(B, T) phones to (B, 2, T) gaps, smoothed over 100 ms: as such, and wider where it is louder."""
        gaps = self.gaps[phones]
        both = torch.stack([gaps, gaps * (1.0 + 0.4 * loud.clamp(-2.0, 2.0))], 1).flatten(0, 1)[:, None]
        kernel = torch.tensor([[[1.0, 2.0, 3.0, 2.0, 1.0]]]) / 9.0
        moved = functional.conv1d(functional.pad(both, (2, 2), mode="replicate"), kernel)
        return moved.reshape(len(phones), 2, -1)


def train(
    data: Iterable[Shard],
    config: AcousticConfig,
    recipe: Recipe,
    tell: Callable[[int, float, float], None] = lambda step, loss, accuracy: None,
    start: Network | None = None,
) -> Trained:
    """Train from nothing; `tell` hears of every 100th step."""
    torch.manual_seed(recipe.seed)
    takes = _Takes(data, recipe.english)
    network, heads, tables = (
        copy.deepcopy(start) if start else Network(config),
        _Heads(config),
        _Tables(recipe.smoothing),
    )
    network.train()
    weights = [*network.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=recipe.rate, weight_decay=recipe.decay, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, recipe))
    averaged = copy.deepcopy(network)
    draw = torch.Generator().manual_seed(recipe.seed)
    losses: list[float] = []
    right = 0.0
    for step in range(recipe.steps):
        batch = _batch(takes, recipe, config, draw)
        loss, now = _loss(network, heads, tables, batch, recipe)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(weights, 5.0)
        optimiser.step()
        schedule.step()
        _average(averaged, network, min(1 - 1 / recipe.averaged_steps, step / (step + 10)))
        losses.append(float(loss.detach()))
        right = now if step == 0 else 0.98 * right + 0.02 * now
        if step % 100 == 0 or step == recipe.steps - 1:
            tell(step, float(np.mean(losses[-50:])), right)
    return Trained(averaged.eval(), tuple(losses), right)


class _Takes:
    """All takes in memory, and how likely each is drawn."""

    def __init__(self, data: Iterable[Shard], english: float) -> None:
        parts = list(data)
        self.mel = np.concatenate([part.mel for part in parts])
        self.phones = np.concatenate([part.phones for part in parts])
        self.likely = torch.ones(len(self.mel))
        is_english = torch.from_numpy(np.concatenate([part.languages for part in parts]) == "en")
        if english and 0 < is_english.sum() < len(is_english):
            self.likely[is_english] = english / is_english.sum()
            self.likely[~is_english] = (1 - english) / (~is_english).sum()

    def drawn(self, count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.multinomial(self.likely, count, replacement=True, generator=draw).numpy()
        mel = torch.from_numpy(self.mel[chosen].astype(np.float32))
        return mel, torch.from_numpy(self.phones[chosen].astype(np.int64))


def _pace(step: int, recipe: Recipe) -> float:
    warm = max(1, round(recipe.steps * recipe.warm_up))
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, recipe.steps - warm)))


@dataclass(frozen=True)
class _Batch:
    """x: (B, 2 T, bands) as heard; phones: (B, T); shape: (B, T, cepstra), before more was spoilt."""

    x: Tensor
    phones: Tensor
    shape: Tensor


def _batch(takes: _Takes, recipe: Recipe, config: AcousticConfig, draw: torch.Generator) -> _Batch:
    heard, phones = takes.drawn(recipe.batch, draw)
    x = _warped(heard, draw)
    for i in torch.nonzero(torch.rand(len(x), generator=draw) < recipe.noise)[:, 0]:
        x[i], phones[i] = _gusts(x[i], draw), NOISE
    shape = _shape(normalise(x, config))
    x = _masked(normalise(_floored(x, draw), config), draw)
    return _Batch(x, phones, shape)


def _gusts(x: Tensor, draw: torch.Generator) -> Tensor:
    """(2 T, bands) of speech to noise of its colour that swells and fades as fast as speech, or slower."""
    knots = int(torch.randint(8, 160, (), generator=draw))
    swell = torch.randn(1, 2, knots, generator=draw) * torch.rand(1, 2, 1, generator=draw) * 3
    level, tilt = functional.interpolate(swell, len(x), mode="linear", align_corners=True)[0]
    slope = torch.linspace(-0.5, 0.5, x.shape[1])
    grain = -torch.rand(x.shape, generator=draw).clamp(min=1e-4).log()
    noise: Tensor = x.mean(0) + level[:, None] + tilt[:, None] * slope + (grain + grain.roll(1, 0)).log()
    return noise


def _shape(x: Tensor) -> Tensor:
    """Cepstra: how loud a frame is and how its spectrum bends, each of about the same size."""
    pairs = 0.5 * (x[:, ::2] + x[:, 1::2])
    bands = torch.arange(x.shape[-1]) + 0.5
    waves = torch.cos(math.pi / x.shape[-1] * torch.arange(_CEPSTRA)[:, None] * bands)
    cepstra: Tensor = pairs @ waves.T / x.shape[-1]
    return cepstra / cepstra.std((0, 1), keepdim=True).clamp(min=1e-3)


def _warped(x: Tensor, draw: torch.Generator) -> Tensor:
    """Longer and shorter throats: the mel axis stretched, take by take."""
    bands = x.shape[-1]
    stretch = 1.0 + 0.12 * (2 * torch.rand(len(x), generator=draw) - 1)
    at = ((torch.arange(bands)[None] + 6.0) * stretch[:, None] - 6.0).clamp(0, bands - 1)
    low = at.floor().long().clamp(max=bands - 2)
    part = at - low
    matrix = (
        functional.one_hot(low, bands) * (1 - part)[..., None]
        + functional.one_hot(low + 1, bands) * part[..., None]
    )
    return x @ matrix.transpose(1, 2)


def _floored(x: Tensor, draw: torch.Generator) -> Tensor:
    """Steady noise below the speech, for many of the takes."""
    loud = x.amax((1, 2), keepdim=True)
    floor = loud - 4.5 - 10.0 * torch.rand(len(x), 1, 1, generator=draw)
    shape = torch.randn(len(x), 1, x.shape[-1], generator=draw)
    used = torch.rand(len(x), 1, 1, generator=draw) < 0.4
    return torch.where(used, torch.logaddexp(x, floor + shape), x)


def _masked(x: Tensor, draw: torch.Generator) -> Tensor:
    """Bands and moments that the network has to do without."""
    frames, bands = x.shape[1:]
    for take in x:
        for _ in range(2):
            wide = int(torch.randint(0, bands // 6 + 1, (), generator=draw))
            low = int(torch.randint(0, bands - wide, (), generator=draw))
            take[:, low : low + wide] = 0.0
        for _ in range(frames // 160):
            long = int(torch.randint(0, 16, (), generator=draw))
            first = int(torch.randint(0, frames - long, (), generator=draw))
            take[first : first + long] = 0.0
    return x


def _loss(
    network: Network, heads: _Heads, tables: _Tables, batch: _Batch, recipe: Recipe
) -> tuple[Tensor, float]:
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
        hidden, symbols = network(batch.x)
        phone = heads.phone(hidden).float()
        kept = heads.kept(symbols).float()
    y = batch.phones
    loss = -(tables.symbols[y] * symbols).sum(-1).mean()
    for weight, logits in ((recipe.phone_weight, phone), (recipe.kept_weight, kept)):
        loss = loss + weight * functional.cross_entropy(
            logits.flatten(0, 1), y.flatten(), label_smoothing=tables.smoothing
        )
    lips = heads.lips(symbols.transpose(1, 2))
    loss = loss + recipe.lips_weight * functional.mse_loss(lips, tables.lips(y, batch.shape[..., 0]))
    loss = loss + recipe.shape_weight * functional.mse_loss(heads.shape(symbols), batch.shape)
    return loss, float((phone.argmax(-1) == y).float().mean())


@torch.no_grad()
def _average(averaged: Network, network: Network, keep: float) -> None:
    for old, new in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)
