"""Audio features out of log-mel of any length, in bounded memory: one row for every 25th of a second.

Called by `models.synctalkface.method` where sound is heard as the paper has it.

Shape legend: m rows of log-mel at 80 a second, n frames at 25 a second.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.methods import Sound

__all__ = ["FLOOR", "RATE", "STEPS", "mel_windows"]

RATE = 25.0
STEPS = 16
FLOOR = -4.0  # what log-mel says of silence
_MEL_RATE, _BLOCK = 80.0, 100


def mel_windows(sound: Sound) -> Iterator[Tensor]:
    """Blocks (n, 16, 80): a fifth of a second around the middle of each frame, as bundles hold it.

    ValueError for sound without log-mel. Beyond its ends the first and last row hold on.
    """
    held, base, frame, halves = torch.zeros(0, 80), 0, 0, 0
    for heard in sound:
        if heard.mel is None:
            raise ValueError("these weights read log-mel, and the sound comes without it")
        held, halves = torch.cat([held, heard.mel.float()]), halves + len(heard.speech)
        while base + len(held) > _last(frame + _BLOCK - 1) and frame + _BLOCK <= halves // 2:
            yield _read(held, base, frame, frame + _BLOCK)
            frame += _BLOCK
            drop = max(_first(frame) - base, 0)
            held, base = held[drop:], base + drop
    stop = (halves + 1) // 2
    for start in range(frame, stop, _BLOCK):
        yield _read(held, base, start, min(start + _BLOCK, stop))


def _first(frame: int) -> int:
    return max(int((frame + 0.5) / RATE * _MEL_RATE - STEPS / 2) - 1, 0)


def _last(frame: int) -> int:
    return int((frame + 0.5) / RATE * _MEL_RATE + STEPS / 2) + 1


def _read(held: Tensor, base: int, start: int, stop: int) -> Tensor:
    """Row i of `held` is centred on (base + i) / 80 s."""
    middle = (torch.arange(start, stop) + 0.5) / RATE * _MEL_RATE
    at = middle[:, None] + torch.arange(STEPS) - (STEPS - 1) / 2 - base
    at = at.clamp(0, max(len(held) - 1, 0))
    low = at.floor().long()
    part = (at - low)[..., None]
    return held[low] * (1 - part) + held[(low + 1).clamp(max=len(held) - 1)] * part
