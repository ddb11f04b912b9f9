"""What DINet is told to say, five rows for a frame: the mouth's shape by an ear, or symbols of the sound.

Called by `material`, `painter` and `method`.

Shape suffixes: n rows of a stream.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.acoustic.symbols import SPACE
from models.methods import Motion, Sound

__all__ = ["AROUND", "SYMBOLS", "evened", "listen_symbols", "silent_symbols"]

AROUND = 2  # rows to each side of a frame's own
SYMBOLS = 29
_SURE, _UNIT = 8.0, 4.0  # log-probabilities about their middle, in the unit that networks like
_UNHEARD = -12.0


def evened(symbols: Tensor) -> Tensor:
    """Log-probabilities as numbers around zero."""
    return (symbols.float().clamp(min=-20) + _SURE) / _UNIT


def silent_symbols() -> Tensor:
    """(5 x 29,) of a sound in which nobody says anything."""
    row = torch.full((SYMBOLS,), _UNHEARD)
    row[SPACE] = 0.0
    return evened(row).repeat(2 * AROUND + 1)


def listen_symbols(sound: Sound) -> Iterator[Motion]:
    """Windows for every row of 25 a second, however the sound comes; looks two rows ahead."""
    held = torch.zeros(0, SYMBOLS)
    for rows in _paired(sound):
        # The first row has been there for ever.
        held = torch.cat([held if len(held) else rows[:1].repeat(AROUND, 1), rows])
        if len(held) > 2 * AROUND:
            yield _windows(held)
            held = held[-2 * AROUND :]
    if len(held):
        last = torch.cat([held, held[-1:].repeat(AROUND, 1)])
        yield _windows(last)


def _windows(rows: Tensor) -> Motion:
    windows = rows.unfold(0, 2 * AROUND + 1, 1).transpose(1, 2).flatten(1)
    return Motion(windows.new_zeros(len(windows), 64), heard=windows.clone())


def _paired(sound: Sound) -> Iterator[Tensor]:
    """Blocks (n, 29) at 25 a second; a last half stands for both."""
    held = torch.zeros(0, SYMBOLS)
    for heard in sound:
        held = torch.cat([held, heard.speech.float()])
        whole = len(held) // 2 * 2
        if whole:
            yield evened(held[:whole].unflatten(0, (-1, 2)).mean(1))
        held = held[whole:]
    if len(held):
        yield evened(held)
