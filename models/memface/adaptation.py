"""What general weights are told of a person before they are trained: when, around what, how far.

From a few seconds on: by how much this person's lips run ahead of the sound, and the mean and the gain of
every coefficient. On top of that a linear reading of the sound and of the last layer is solved, as strong as
the material supports. All of it is chosen inside the rows that are given. Called when a personal training
begins.

Shape legend: N rows, W width, E expression coefficients, D numbers that are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from models.memface.network_expression import BANDS, FEATURES, ExpressionNet, even

__all__ = ["Material", "adapt"]

Runs = Sequence[tuple[int, int]]
_RIDGES = (300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, 100_000.0)
_TRUSTS = (1.0, 8.0)  # in what general training learned, against a raw sound's numbers
_MELS = (1.0, 1.5, 2.5)  # and in log-mel against symbols
_FOLDS = 5
_GAIN_DOUBT = 50.0  # rows that speak for a gain of one


class Material(NamedTuple):
    """A person's rows, as a bundle has them."""

    speech: Tensor  # (N, 2, 31)
    mel: Tensor | None  # (N, 2, 80)
    expression: Tensor  # (N, E)
    trust: Tensor  # (N,)


@torch.no_grad()
def adapt(
    net: ExpressionNet, own: Material, runs: Runs, others: Runs = (), mouth: Tensor | None = None
) -> Tensor | None:
    """Change `net` in place by what the runs say; gives all rows of evened log-mel, if there is any.

    `others` are runs that tell nothing, because they are held out, but are to be read alike. `mouth` (E, K)
    says what a coefficient moves: strengths are chosen by misses there.
    """
    net.eval()
    rows = torch.cat([torch.arange(start, stop) for start, stop in runs])
    known = rows[own.trust[rows] > 0]
    reach = net.config.furthest_lead
    scored = {k: _score(net, k, own, runs, known) for k in range(-reach, reach + 1)}
    net.lead.fill_(max(scored, key=lambda k: scored[k]))
    mel = None if own.mel is None else _evened(own.mel, [*runs, *others])
    net.reads.fill_(1 if mel is None else 2)
    _solve(net, own.speech, mel, own.expression[known], runs, known, mouth)
    return mel


def _evened(mel: Tensor, runs: Runs) -> Tensor:
    out = torch.zeros(len(mel), BANDS)
    for start, stop in runs:
        out[start:stop] = even(mel[start:stop].mean(1), torch.ones(stop - start))
    return out


def _hidden(net: ExpressionNet, speech: Tensor, runs: Runs) -> Tensor:
    """(N, W), zeros outside the runs."""
    out = torch.zeros(len(speech), net.config.width)
    for start, stop in runs:
        first = torch.zeros(1, dtype=torch.int64)
        out[start:stop] = net.hidden(speech[None, start:stop], torch.ones(1, stop - start), first)[0]
    return out


def _score(net: ExpressionNet, lead: int, own: Material, runs: Runs, known: Tensor) -> float:
    """How alike prediction and truth move: explained variance summed over coefficients."""
    net.lead.fill_(lead)
    found = net.out(_hidden(net, own.speech, runs)[known]) * net.scale * net.chosen
    wanted = own.expression[known] * net.chosen
    found, wanted = found - found.mean(0), wanted - wanted.mean(0)
    together = (found * wanted).sum(0)
    return float((together.clamp(min=0) ** 2 / (found**2).sum(0).clamp(min=1e-6)).sum())


def _read(net: ExpressionNet, speech: Tensor, mel: Tensor | None, runs: Runs) -> Tensor:
    """(N, D): what the own reading reads of each row, standardised by what is set in `net`."""
    taps = 2 * net.config.taps + 1
    out = torch.zeros(len(speech), taps * (2 * FEATURES + BANDS))
    for start, stop in runs:
        bands = None if mel is None else mel[None, start:stop]
        heard = net.heard(speech[None, start:stop], torch.ones(1, stop - start), bands)[0]
        out[start:stop] = heard.unfold(1, taps, 1).permute(1, 0, 2).flatten(1)
    return out


def _solve(
    net: ExpressionNet,
    speech: Tensor,
    mel: Tensor | None,
    expression: Tensor,
    runs: Runs,
    known: Tensor,
    mouth: Tensor | None,
) -> None:
    """The general last layer with gains, plus what ridge regression on it and on the sound adds."""
    net.mean.copy_(expression.mean(0))
    wanted = (expression - net.mean) / net.scale
    hidden = _hidden(net, speech, runs)[known]
    middle = hidden.mean(0)
    deep = hidden - middle
    gained = net.out.weight * _gains(deep @ net.out.weight.T, wanted)[:, None]
    _standardise(net, speech, mel, runs, known)
    wide = _read(net, speech, mel, runs)[known]
    left = wanted - deep @ gained.T
    scale = deep.std(0).mean().clamp(min=1e-6)
    moves = torch.diag(net.scale * net.chosen) @ (torch.eye(len(net.scale)) if mouth is None else mouth)
    taps = 2 * net.config.taps + 1
    symbols = 2 * FEATURES * taps
    trust, bands, ridge = _strengths(deep / scale, wide[:, :symbols], wide[:, symbols:], left @ moves)
    share = torch.ones(wide.shape[1])
    share[symbols:] = bands
    x = torch.cat([trust * deep / scale, wide * share], 1)
    solved = x.T @ torch.linalg.solve(x @ x.T + ridge * torch.eye(len(x)), left)
    inner, outer = solved.split([deep.shape[1], wide.shape[1]])
    outer = outer * share[:, None]
    net.out.weight.copy_(gained + (trust / scale * inner).T)
    net.out.bias.copy_(-(net.out.weight @ middle) - wide.mean(0) @ outer)
    net.own.weight.copy_(outer.T.reshape(-1, 2 * FEATURES + BANDS, taps))


def _standardise(net: ExpressionNet, speech: Tensor, mel: Tensor | None, runs: Runs, known: Tensor) -> None:
    net.own_mean.zero_()
    net.own_scale.fill_(1)
    taps = net.config.taps
    wide = _read(net, speech, mel, runs)[known].reshape(len(known), -1, 2 * taps + 1)[..., taps]
    net.own_mean.copy_(wide.mean(0))
    net.own_scale.copy_(wide.std(0).clamp(min=0.05))


def _gains(found: Tensor, wanted: Tensor) -> Tensor:
    doubt = _GAIN_DOUBT * found.var(0)
    gain = ((found * wanted).sum(0) + doubt) / ((found**2).sum(0) + doubt).clamp(min=1e-6)
    return gain.clamp(0.0, 3.0)


def _strengths(deep: Tensor, symbols: Tensor, bands: Tensor, left: Tensor) -> tuple[float, float, float]:
    """Trust, log-mel's weight and ridge that do best on parts of the material, each held out in turn."""
    own = [x @ x.T for x in (deep, symbols, bands)]
    missed: dict[tuple[float, float, float], float] = {}
    for trust, mel in product(_TRUSTS, _MELS if bool(bands.any()) else (1.0,)):
        total = _missed(trust**2 * own[0] + own[1] + mel**2 * own[2], left)
        missed |= {(trust, mel, ridge): float(total[i]) for i, ridge in enumerate(_RIDGES)}
    return min(missed, key=lambda one: missed[one])


def _missed(alike: Tensor, left: Tensor) -> Tensor:
    """Squared misses of every ridge for rows that are as alike as that."""
    parts = torch.arange(len(alike)).tensor_split(_FOLDS)
    total = torch.zeros(len(_RIDGES))
    for k, part in enumerate(parts):
        rest = torch.cat([one for i, one in enumerate(parts) if i != k])
        values, vectors = torch.linalg.eigh(alike[rest][:, rest])
        turned, back = vectors.T @ left[rest], alike[part][:, rest] @ vectors
        for i, ridge in enumerate(_RIDGES):
            guess = back @ (turned / (values.clamp(min=0) + ridge)[:, None])
            total[i] += ((left[part] - guess) ** 2).sum()
    return total
