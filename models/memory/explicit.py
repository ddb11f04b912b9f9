"""The explicit memory: which mouths of a person to keep, and how to find again what is like one.

Keys are canonical mouth vertices, values pictures. `select` chooses keys that differ as much as can be: the
smallest distance between any two of them is made larger by one swap at a time. `nearest` reads. Called by
`tasks.remember`, by methods, and by benchmarks.

Shape legend: F frames, N or M slots, D numbers of a key, Q queries, k found slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Selection", "blend", "excluded", "first_temperature", "gates", "nearest", "select", "smallest"]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

_BLOCK = 64  # slots whose nearest is looked at first: the rest of a block can only be farther


class Selection(NamedTuple):
    """Rows of the chosen keys, their smallest distance (root mean square), and how it grew."""

    rows: I64
    distance: float
    history: tuple[float, ...]


class _Chosen:
    """Squared distances between the chosen; each knows who is nearest to it."""

    def __init__(self, keys: F32) -> None:
        self.keys = keys
        self.square = np.einsum("nd,nd->n", keys, keys)
        between = self.square[:, None] + self.square - 2 * keys @ keys.T
        np.fill_diagonal(between, np.inf)
        self.between = np.maximum(between, 0)
        self.who = self.between.argmin(1)
        self.least = self.between.min(1)

    def pair(self) -> tuple[int, int, float]:
        """The two that are most alike."""
        one = int(self.least.argmin())
        return one, int(self.who[one]), float(self.least[one])

    def replace(self, at: int, key: F32, distance: F32) -> None:
        """Put another key in a place; `distance` (N,) is its squared distance to all."""
        self.keys[at], self.square[at] = key, key @ key
        distance[at] = np.inf
        self.between[at] = self.between[:, at] = distance
        self.who[at], self.least[at] = distance.argmin(), distance.min()
        nearer = distance < self.least
        self.who[nearer], self.least[nearer] = at, distance[nearer]
        stale = np.flatnonzero((self.who == at) & ~nearer)
        stale = stale[stale != at]
        if len(stale):
            self.who[stale] = self.between[stale].argmin(1)
            self.least[stale] = self.between[stale].min(1)


def smallest(keys: F32) -> float:
    """The smallest root-mean-square distance between any two keys (N, D)."""
    if len(keys) < 2:
        return 0.0
    return math.sqrt(_Chosen(_centred(keys)).pair()[2] / keys.shape[1])


def _centred(keys: F32) -> F32:
    # Squares of small differences between large numbers would lose their last digits.
    return np.asarray(keys - keys.mean(0), np.float64).astype(np.float32)


def select(
    keys: F32, count: int, seed: int = 0, rounds: int = 12, told: Callable[[int], None] | None = None
) -> Selection:
    """`count` of these keys (F, D), so that the nearest two are as far apart as swaps can bring them.

    Every frame is offered once a round in place of either of the two nearest; a swap is made where that
    helps. Rounds end when none did. A frame costs O(count).
    """
    frames = len(keys)
    if frames <= count:
        return Selection(np.arange(frames), smallest(keys), ())
    keys = _centred(keys)
    draw = np.random.default_rng(seed)
    rows = np.sort(draw.choice(frames, count, replace=False))
    chosen = _Chosen(keys[rows].copy())
    square = np.einsum("fd,fd->f", keys, keys)
    history = [chosen.pair()[2]]
    for _ in range(rounds):
        if not _one_round(keys, square, chosen, rows, draw.permutation(frames), history, told):
            break
    scale = 1 / math.sqrt(keys.shape[1])
    order = np.argsort(rows)
    return Selection(rows[order], smallest(keys[rows]), tuple(math.sqrt(d) * scale for d in history))


def _one_round(
    keys: F32,
    square: F32,
    chosen: _Chosen,
    rows: I64,
    offered: I64,
    history: list[float],
    told: Callable[[int], None] | None,
) -> bool:
    swapped = False
    one, other, least = chosen.pair()
    for frame in offered:
        distance = square[frame] + chosen.square - 2 * (chosen.keys @ keys[frame])
        first, second = _two_least(distance, one, other)
        # Whoever is farther from all others than these two from each other: the smallest distance does not
        # shrink, and one pair fewer has it. Asking it to grow at once would stop where there are duplicates.
        if max(first, second) <= least * (1 + 1e-6) + 1e-9:
            continue
        gone = one if first >= second else other
        chosen.replace(gone, keys[frame], np.maximum(distance, 0))
        rows[gone], swapped = frame, True
        one, other, least = chosen.pair()
        history.append(least)
        if told is not None:
            told(int(frame))
    return swapped


def _two_least(distance: F32, one: int, other: int) -> tuple[float, float]:
    """The smallest distance when `one` is not counted, and when `other` is not."""
    a, b = distance[one], distance[other]
    distance[one] = distance[other] = np.inf
    rest = float(distance.min())
    distance[one], distance[other] = a, b
    return min(rest, float(b)), min(rest, float(a))


def gates(
    keys: F32,
    sharpness: F32,
    confidence: F32,
    error: F32,
    rotation: F32,
    least: int,
) -> NDArray[np.bool_]:
    """Which frames (F,) may be remembered: sharp, sure, well fitted, frontal enough, and no leaps.

    Where fewer than `least` would be left, the head may be turned further.
    """
    finite = np.isfinite(keys).all((1, 2)) & np.isfinite(error) & (confidence > 0)
    if not finite.any():
        return finite
    usual = np.median(sharpness[finite])
    good = finite & (confidence >= 0.5) & (sharpness >= 0.75 * usual)
    good &= error <= max(2.5 * float(np.median(error[finite])), 0.03)
    good &= ~_leaps(keys, finite)
    for yaw, pitch in ((25, 22), (40, 30)):
        turned = np.degrees(np.abs(rotation[:, :2]))
        kept = good & (turned[:, 0] < pitch) & (turned[:, 1] < yaw)
        if kept.sum() >= least:
            return np.asarray(kept)
    return good if good.any() else finite


def _leaps(keys: F32, finite: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames that go somewhere and come straight back: no mouth does, trackers do."""
    out = np.zeros(len(keys), bool)
    flat = keys.reshape(len(keys), -1)
    inner = finite[:-2] & finite[1:-1] & finite[2:]
    if not inner.any():
        return out
    bend = np.zeros(len(keys))
    bend[1:-1] = np.where(inner, np.linalg.norm(flat[1:-1] - (flat[:-2] + flat[2:]) / 2, axis=1), 0)
    usual = max(float(np.median(bend[1:-1][inner])), 1e-3)
    # Those beside a leap bend half as much, and are innocent.
    out[1:-1] = (bend[1:-1] > 6 * usual) & (bend[1:-1] >= np.maximum(bend[:-2], bend[2:]))
    return out


def nearest(queries: Tensor, keys: Tensor, count: int, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The `count` keys (M, D) nearest to each query (Q, D): RMS distances and slots, (Q, k), nearest first.

    `hidden` (Q, M) may not be found; fewer than `count` left gives infinite distances.
    """
    count = min(count, len(keys))
    middle = keys.mean(0)
    q, k = queries - middle, keys - middle
    square = torch.addmm((k * k).sum(1), q, k.T, alpha=-2.0)
    if hidden is not None:
        square = square.masked_fill(hidden, torch.inf)
    least, slots = _smallest_of(square, count)
    exact = least + (q * q).sum(1, keepdim=True)
    return (exact.clamp(min=0) / keys.shape[1]).sqrt(), slots


def _smallest_of(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """topk of the smallest, by blocks: the smallest k lie in the k blocks with the smallest minima."""
    width = values.shape[1]
    if width < 4 * _BLOCK * count:
        return values.topk(count, 1, largest=False)
    whole = width // _BLOCK * _BLOCK
    blocks = values[:, :whole].unflatten(1, (-1, _BLOCK))
    among = blocks.amin(2).topk(count, 1, largest=False)[1]
    found = blocks.gather(1, among[..., None].expand(-1, -1, _BLOCK)).flatten(1)
    where = (among[..., None] * _BLOCK + torch.arange(_BLOCK, device=values.device)).flatten(1)
    rest = values[:, whole:]
    found = torch.cat([found, rest], 1)
    tail = torch.arange(whole, width, device=values.device).expand(len(values), -1)
    least, at = found.topk(count, 1, largest=False)
    return least, torch.cat([where, tail], 1).gather(1, at)


def excluded(rows: Tensor, slot_rows: Tensor, around: int = 5) -> Tensor:
    """(Q, M): slots that are a row itself or one of its neighbours in time; -1 is no row of theirs."""
    near = (rows[:, None] - slot_rows[None]).abs() <= around
    return near & (slot_rows >= 0)[None]


def blend(distances: Tensor, temperature: Tensor) -> Tensor:
    """Weights (Q, k) of found slots from k + 1 distances (Q, k + 1), nearest first.

    A slot's weight has sunk to nothing when another takes its place, so that over time nothing jumps.
    Slots at infinity have none.
    """
    # Infinities go before the maths: masked afterwards, their gradients would still be no numbers.
    known = torch.isfinite(distances[:, :-1])
    near, bound = distances[:, :-1].where(known, 0.0), distances[:, -1:].clamp(min=1e-6)
    rest = torch.where(torch.isfinite(bound), (1 - near / bound).clamp(min=1e-4), torch.ones_like(near))
    weights = torch.exp((near[:, :1] - near).where(known, 0.0) / temperature) * rest * known
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-9)


def first_temperature(distances: Tensor, share: float = 0.5) -> float:
    """With this, the nearest of found slots (Q, k + 1) usually has this share of the weight."""
    usable = distances[torch.isfinite(distances).all(1)]
    if not len(usable) or usable.shape[1] < 3:
        return 1.0
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = math.sqrt(low * high)
        first = blend(usable, torch.tensor(middle))[:, 0].median().item()
        low, high = (middle, high) if first > share else (low, middle)
    return math.sqrt(low * high)
