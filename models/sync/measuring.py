"""How well a whole clip is in step, from what was seen and heard in every window of it.

    runs = evened([(expert.see_run(mouths), expert.hear_run(sound)), ...])    # each without a cut
    step = measured([apart(seen, heard) for seen, heard in runs])

The figures are those of the public protocol (the mean distance at each shift; its least value, and by how
much that lies below the median), but of this expert's own unit vectors: they compare clips with each other,
not with anybody's LSE. A clip's own mean is taken off first: what never changes is the person and the
recording, and tells nothing of being in step. Called by `tasks.in_sync`, and by benchmarks.

Shape legend: n windows, D embeddings, S = 31 shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["REACH", "Run", "Step", "apart", "evened", "measured"]

REACH = 15  # frames to each side
Run = tuple[Tensor, Tensor]  # what is seen and heard in its windows, (n, D) each


class Step(NamedTuple):
    """Not numbers where a clip is too short to tell."""

    sync_c: float  # how far the least distance lies below the median one: the higher the surer
    sync_d: float  # the least mean distance
    offset: float  # frames; > 0: the sound is late


def evened(runs: Sequence[Run]) -> list[Run]:
    """A clip's runs without what is the same in all of it, unit vectors again."""
    if not len(runs):
        return []
    means = [torch.cat(side).mean(0) for side in zip(*runs, strict=True)]
    return [
        (functional.normalize(seen - means[0], dim=-1), functional.normalize(heard - means[1], dim=-1))
        for seen, heard in runs
    ]


def apart(seen: Tensor, heard: Tensor, reach: int = REACH) -> Tensor:
    """(n, S) distances of each window's mouth to the sound `shift` windows later; NaN beyond the run."""
    out = torch.full((len(seen), 2 * reach + 1), torch.nan)
    for column, shift in enumerate(range(-reach, reach + 1)):
        start, stop = max(0, -shift), min(len(seen), len(heard) - shift)
        if start < stop:
            away = (seen[start:stop] - heard[start + shift : stop + shift]).float().norm(dim=-1)
            out[start:stop, column] = away.cpu()
    return out


def measured(runs: Sequence[Tensor]) -> Step:
    """Of the distances (n, S) of a clip's runs."""
    if not len(runs):
        return Step(*(float("nan"),) * 3)
    curve = torch.cat(list(runs)).nanmean(0)
    known = curve[curve.isfinite()]
    # Fewer shifts than that have no median worth the name.
    if len(known) < len(curve):
        return Step(*(float("nan"),) * 3)
    best = int(curve.argmin())
    least, reach = float(curve[best]), len(curve) // 2
    return Step(float(known.median()) - least, least, best - reach + _between(curve, best))


def _between(curve: Tensor, best: int) -> float:
    """Where the least value lies between its neighbours, frames: a parabola through three."""
    if not 0 < best < len(curve) - 1:
        return 0.0
    left, middle, right = curve[best - 1 : best + 2].tolist()
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend > 0 else 0.0
