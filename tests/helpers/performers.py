"""Small performers, and bundles that they learn from: heads that follow what is heard, and blink."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from models.facial.columns import BLINK, COLUMNS, EXPRESSION, Statistics
from models.facial.config_performer import SYMBOLS, PerformerConfig
from models.facial.network_performer import Generator
from models.methods import Heard
from models.morphable.builtin import builtin
from models.training import HELD_OUT, TRAIN, About, Segment, write_bundle

__all__ = ["blinking", "bundle_of", "heard", "in_blocks", "living", "smoke"]


def smoke(**changes: object) -> PerformerConfig:
    """The smallest configuration, changed."""
    return replace(PerformerConfig.preset("smoke"), **changes)  # type: ignore[arg-type]


def living(config: PerformerConfig | None = None, seed: int = 0) -> Generator:
    """A generator whose norms have seen something, so that it does not say the same for every sound."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Generator(config or smoke())
        for _ in range(3):
            net(torch.randn(4, 128, 16, SYMBOLS), torch.randn(4, COLUMNS))
    return net.eval()


def heard(count: int, seed: int = 0) -> Heard:
    """Sound of so many rows at 50 a second."""
    draw = torch.Generator().manual_seed(seed)
    rows = (2 * torch.randn(count, SYMBOLS, generator=draw)).log_softmax(-1)
    return Heard(rows, torch.zeros(count), torch.zeros(count))


def in_blocks(whole: Heard, sizes: Sequence[int]) -> Iterator[Heard]:
    """The same sound, piece by piece."""
    at = k = 0
    while at < len(whole.speech):
        part = slice(at, at + sizes[k % len(sizes)])
        yield Heard(whole.speech[part], whole.loudness[part], whole.voice[part])
        at, k = part.stop, k + 1


def blinking(count: int, every: int, length: int = 4) -> np.ndarray:
    """AU45 of lids that shut for so many rows, every so many rows."""
    out = np.zeros(count, np.float32)
    for at in range(every // 2, count - length - 2, every):
        out[at : at + length] = 5
        out[at - 1] = out[at + length] = 1.5
    return out


def bundle_of(
    path: Path, rows: int = 1500, people: int = 1, config: PerformerConfig | None = None, seed: int = 0
) -> Path:
    """A jaw that follows the first symbol, a head that wanders; of many people where there are more."""
    draw = np.random.default_rng(seed)
    noise = draw.normal(size=(SYMBOLS, rows + 10))
    heard_rows = np.stack([np.convolve(x, np.hanning(11), "valid") for x in noise], 1)
    heard_rows -= np.log(np.exp(heard_rows).sum(1, keepdims=True))
    performed = np.zeros((rows, COLUMNS), np.float32)
    steps = draw.normal(size=(rows + 40, 6))
    performed[:, :6] = np.stack([np.convolve(x, np.hanning(41), "valid") for x in steps.T], 1)
    performed[:, BLINK] = blinking(rows, 90)
    performed[:, EXPRESSION][:, builtin().names.index("jaw_open")] = np.tanh(heard_rows[:, 0] / 2 + 2)
    ends = np.linspace(0, rows, people + 1).astype(int)
    clip = np.repeat(np.arange(people), np.diff(ends)).astype(np.int32)
    own = [Statistics.of(torch.from_numpy(performed[clip == k])) for k in range(people)]
    edge = round(0.8 * rows) if people == 1 else int(ends[-2])
    segments = [Segment("a", 0, edge, 30.0, TRAIN), Segment("b", edge, rows, 30.0, HELD_OUT)]
    arrays = {
        "symbols30": heard_rows.astype(np.float32),
        "performed": performed,
        "trust": np.ones(rows, np.float32),
        "clip": clip,
        "clip_mean": np.stack([x.mean.numpy() for x in own]),
        "clip_std": np.stack([x.std.numpy() for x in own]),
        **({"speaker": clip} if people > 1 else {}),
    }
    told = {"performer": (config or smoke()).as_dict()}
    return write_bundle(path, About("facial", "performer", "smoke", told, seed, {}, segments), arrays)
