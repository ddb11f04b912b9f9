"""A performance for sound of any length, in bounded memory: the same rows whatever the blocks.

Windows stand on a grid that begins with the sound; each is told the row that was performed where it begins,
and fades in over the one before. The last is aligned with the sound's end. Rows are then made as lively as
the person (`models.facial.liveliness`) and leave in the person's own units. Called by `models.facial`.

Shape legend: n rows, T rows of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from models.facial.columns import COLUMNS, EXPRESSION, Statistics
from models.facial.config_performer import AROUND, RATE, SYMBOLS, PerformerConfig
from models.facial.liveliness import lively
from models.facial.network_performer import Generator
from models.methods import Sound
from models.training.checkpoint import load_network

__all__ = [
    "NETWORK",
    "around",
    "load_performer",
    "perform",
    "perform_symbols",
    "performed_raw",
    "plain",
]

NETWORK = "performer"
_HEARD_RATE = 50.0
_UNLIKELY = -8.0
_BEFORE, _AFTER = AROUND // 2, AROUND // 2 - 1


def load_performer(config: PerformerConfig, tensors: Mapping[str, Tensor]) -> Generator:
    """From tensors by NETWORK/PARAMETER; ValueError if they do not fit."""
    net = Generator(config)
    own = {name: value for name, value in tensors.items() if name.startswith(f"{NETWORK}/")}
    load_network(net, NETWORK, own)
    return net.eval()


def plain(symbols: Tensor) -> Tensor:
    """Log-probabilities (..., 29) as numbers of about unit size."""
    return symbols.clamp(min=_UNLIKELY) / 4 + 1


def around(rows: Tensor) -> Tensor:
    """(..., T + 15, 29) with the rows before and after to each row's own window, (..., T, 16, 29)."""
    return rows.unfold(-2, AROUND, 1).transpose(-1, -2)


def perform(generator: Generator, sound: Sound, statistics: Statistics | None = None) -> Iterator[Tensor]:
    """Blocks (n, 71) at 30 a second, unscored, for a whole sound.

    `statistics` are of whom is shown, where they are not the trained person's: a template's own pose.
    """
    yield from _lively(generator, _windows(generator, _at_thirty(sound)), statistics)


def perform_symbols(
    generator: Generator, symbols: Tensor, statistics: Statistics | None = None
) -> Iterator[Tensor]:
    """The same for log-probabilities (n, 29) at 30 a second that are all at hand."""
    yield from _lively(generator, _windows(generator, iter([plain(symbols)])), statistics)


def _lively(generator: Generator, blocks: Iterator[Tensor], known: Statistics | None) -> Iterator[Tensor]:
    """Scored rows as lively as the person, in the person's own units."""
    manner, config = generator.eval().manner, generator.config
    for rows in lively(blocks, manner, moments=config.moments, shown=config.blinks):
        out = (known or manner.statistics).unscore(rows)
        if config.centred:
            out[:, EXPRESSION] += manner.mean[EXPRESSION].to(out)
        yield out


def performed_raw(generator: Generator, symbols: Tensor) -> Tensor:
    """Scored rows (n, 71) for plain symbols (n, 29) at 30 a second that are all at hand, as they come."""
    return torch.cat([torch.zeros(0, COLUMNS), *_windows(generator, iter([symbols]))])


# Sound ----------------------------------------------------------------------------------------------------


def _at_thirty(sound: Sound) -> Iterator[Tensor]:
    """Plain symbols (n, 29): row j is read at (j + .5) / 30 s between rows centred at (i + .5) / 50 s."""
    held, first, done = torch.zeros(0, SYMBOLS), 0, 0
    for heard in sound:
        held = torch.cat([held, heard.speech.float()])
        have = first + len(held)
        # The row after the one asked for must be there: only the sound's end may hold on.
        ready = max(int((have - 0.5) * RATE / _HEARD_RATE - 0.5), done)
        if ready > done:
            yield _read(held, first, done, ready)
            done = ready
            drop = max(int((done + 0.5) * _HEARD_RATE / RATE - 0.5) - 1 - first, 0)
            held, first = held[drop:], first + drop
    total = round((first + len(held)) * RATE / _HEARD_RATE)
    if total > done:
        yield _read(held, first, done, total)


def _read(held: Tensor, first: int, start: int, stop: int) -> Tensor:
    at = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * (_HEARD_RATE / RATE) - 0.5
    at = at.clamp(0, first + len(held) - 1)
    low = at.floor().long()
    part = (at - low)[:, None].float()
    low -= first
    rows = held[low] * (1 - part) + held[(low + 1).clamp(max=len(held) - 1)] * part
    return plain(rows - rows.logsumexp(-1, keepdim=True))


# Windows --------------------------------------------------------------------------------------------------


class _Stage:
    """What was heard and performed so far, as much of it as is still needed."""

    def __init__(self, net: Generator) -> None:
        self.net, self.size, self.joint = net, net.config.window, net.config.joint
        self.heard, self.first = torch.zeros(0, SYMBOLS), 0
        self.rows, self.begin = torch.zeros(0, COLUMNS), 0  # of the last window, faded in
        self.told = 0  # rows that have left

    @property
    def have(self) -> int:
        return self.first + len(self.heard)

    @torch.inference_mode()
    def play(self, start: int) -> None:
        """The window that begins at this row."""
        device = self.net.manner.mean.device
        at = torch.arange(start - _BEFORE, start + self.size + _AFTER).clamp(0, self.have - 1)
        state = self.rows[start - self.begin] if len(self.rows) else torch.zeros(COLUMNS)
        sound = around(self.heard[at - self.first])
        made = self.net(sound[None].to(device), state[None].to(device))[0].float().cpu()
        if len(self.rows):
            made = self._faded(made, start)
        self.rows, self.begin = made, start
        drop = max(start - _BEFORE - self.first, 0)
        self.heard, self.first = self.heard[drop:], self.first + drop

    def _faded(self, made: Tensor, start: int) -> Tensor:
        """What has left stays; after that the window before gives way over the joint."""
        before = self.rows[start - self.begin :]
        gone = self.told - start
        part = ((torch.arange(len(before)) - gone + 1) / (self.joint + 1)).clamp(0, 1)[:, None]
        return torch.cat([torch.lerp(before, made[: len(before)], part), made[len(before) :]])

    def leave(self, stop: int) -> Tensor:
        """Rows up to this one, which no later window changes."""
        out = self.rows[self.told - self.begin : stop - self.begin]
        self.told = stop
        return out.clone()


def _windows(net: Generator, symbols: Iterator[Tensor]) -> Iterator[Tensor]:
    """Blocks of scored rows."""
    stage = _Stage(net.eval())
    size, hop = stage.size, stage.size - stage.joint
    for rows in symbols:
        stage.heard = torch.cat([stage.heard, rows])
        while stage.have >= stage.told + size + _AFTER:
            stage.play(stage.told)
            yield stage.leave(stage.told + hop)
    while stage.told + size <= stage.have:
        stage.play(stage.told)
        yield stage.leave(stage.told + hop)
    if stage.told < stage.have:
        last = max(stage.have - size, 0)
        if last > stage.begin or not len(stage.rows):
            stage.play(last)
        yield stage.leave(stage.have)
