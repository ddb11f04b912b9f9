"""Expression from sound of any length, in bounded memory: the same rows whatever the blocks.

Rows are made in tiles of a grid that starts with the sound, each with all that its rows depend on; tiles
have one size, so that not even rounding depends on how the sound came. Looks ahead by a tile and a halo.
Called by `models.memface.expression`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.memface.network_expression import BANDS, FEATURES, SLIDING, ExpressionNet, even
from models.methods import Sound

__all__ = ["RATE", "at_halves", "listen", "paired"]

RATE = 25.0
_HALVES = FEATURES + BANDS  # what is known at 50 a second: the symbols' row, and log-mel read there


def at_halves(mel: Tensor, first: int, count: int, base: int = 0) -> Tensor:
    """Log-mel (m, 80) at 80 a second, beginning with row `base`, read at rows [first, first + count) of 50.

    Row j of 50 a second is centred on (j + .5) / 50 s, row i of 80 on i / 80 s; the ends hold on.
    """
    at = ((torch.arange(first, first + count) + 0.5) * 1.6 - base).clamp(0, max(len(mel) - 1, 0))
    low = at.floor().long()
    part = (at - low)[:, None].float()
    return mel[low] * (1 - part) + mel[(low + 1).clamp(max=len(mel) - 1)] * part


def paired(rows: Tensor) -> Tensor:
    """(n, F) at 50 a second to (ceil(n / 2), 2, F) at 25; a last half stands for both."""
    whole = torch.cat([rows, rows[-1:]]) if len(rows) % 2 else rows
    return whole.reshape(-1, 2, rows.shape[1])


def listen(net: ExpressionNet, sound: Sound) -> Iterator[Tensor]:
    """Blocks (n, 64) of expression at 25 a second, for a whole sound; ValueError without mel it needs."""
    net.eval()
    tile, halo = net.config.tile, net.config.halo + (SLIDING if net.reads_mel else 0)
    held, first, done = torch.zeros(0, 2, _HALVES), 0, 0
    for more in _pairs(_halves(sound, net.reads_mel)):
        held = torch.cat([held, more])
        while first + len(held) >= done + tile + halo:
            yield _tile(net, held, first, done, done + tile, halo)
            done += tile
            drop = max(done - halo - first, 0)
            held, first = held[drop:].clone(), first + drop
    while done < first + len(held):
        stop = min(done + tile, first + len(held))
        yield _tile(net, held, first, done, stop, halo)
        done = stop


def _halves(sound: Sound, needs_mel: bool) -> Iterator[Tensor]:
    """Blocks (n, 111) at 50 a second; symbols wait for log-mel, which comes by a clock of its own."""
    rows, mel = torch.zeros(0, FEATURES), torch.zeros(0, BANDS)
    first = base = 0
    for heard in sound:
        block = torch.cat([heard.speech, heard.loudness[:, None], heard.voice[:, None]], 1).float()
        if not needs_mel:
            yield torch.cat([block, block.new_zeros(len(block), BANDS)], 1)
            continue
        if heard.mel is None:
            raise ValueError("this person's weights read log-mel, and the sound comes without it")
        rows, mel = torch.cat([rows, block]), torch.cat([mel, heard.mel.float()])
        # The row after the one asked for must be there: only the sound's end may hold on.
        ready = min(len(rows), max(int((base + len(mel) - 2) / 1.6 - 0.5) - first, 0))
        if ready:
            yield torch.cat([rows[:ready], at_halves(mel, first, ready, base)], 1)
            rows, first = rows[ready:], first + ready
            drop = max(int((first + 0.5) * 1.6) - base, 0)
            mel, base = mel[drop:], base + min(drop, len(mel))
    if len(rows):
        yield torch.cat([rows, at_halves(mel, first, len(rows), base)], 1)


def _pairs(halves: Iterator[Tensor]) -> Iterator[Tensor]:
    """Blocks (n, 2, 111)."""
    held = torch.zeros(0, _HALVES)
    for rows in halves:
        held = torch.cat([held, rows])
        ready = len(held) // 2 * 2
        yield paired(held[:ready])
        held = held[ready:]
    if len(held):
        yield paired(held)


@torch.inference_mode()
def _tile(net: ExpressionNet, held: Tensor, first: int, start: int, stop: int, halo: int) -> Tensor:
    tile, begin = net.config.tile, start - halo
    window, valid = torch.zeros(tile + 2 * halo, 2, _HALVES), torch.zeros(tile + 2 * halo)
    low, high = max(begin, first), min(begin + len(window), first + len(held))
    window[low - begin : high - begin] = held[low - first : high - first]
    valid[low - begin : high - begin] = 1
    mel = even(window[..., FEATURES:].mean(1), valid)[None] if net.reads_mel else None
    inner = slice(halo - net.config.halo, len(window) - halo + net.config.halo)
    told = [x[None, inner].to(net.mean.device) for x in (window[..., :FEATURES], valid)]
    number = torch.tensor([begin + inner.start], device=net.mean.device)
    found = net(*told, number, None if mel is None else mel[:, inner].to(net.mean.device))
    return net.as_expression(found)[0, net.config.halo :][: stop - start].cpu().clone()
