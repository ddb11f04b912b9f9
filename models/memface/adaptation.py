"""What general weights are told of a person before they are trained, and what is solved beside them.

From a few seconds on: by how much this person's lips run ahead of the sound, and the mean and the gain of
every coefficient. What is then still missed is kept by moments that were heard (`models.memface.moments`), as
strongly as the material supports. All of it is chosen inside the rows that are given. Called when a personal
training begins, and whenever the network is judged: moments speak for what the rest of it leaves.

Shape legend: N rows, n rows that are known, W width, E expression coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.memface.moments import REACH
from models.memface.network_expression import BANDS, ExpressionNet, even

__all__ = ["Adapted", "Material", "adapt"]

Runs = Sequence[tuple[int, int]]
_MOST_MOMENTS = 3000
# Variance of what no sound explains, against what is explained.
_DOUBTS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_FOLDS = 5
_BETWEEN = 12  # rows that are left out beside a fold: they were heard by both sides
_TRIED = 1500  # rows that tell which doubt is best
_GAIN_DOUBT = 50.0  # rows that speak for a gain of one


class Material(NamedTuple):
    """A person's rows, as a bundle has them."""

    speech: Tensor  # (N, 2, 31)
    mel: Tensor | None  # (N, 2, 80)
    expression: Tensor  # (N, E)
    trust: Tensor  # (N,)


@dataclass(frozen=True)
class Adapted:
    """What was found; `solve` gives the network's moments their values."""

    speech: Tensor
    expression: Tensor  # (n, E)
    mel: Tensor | None  # (N, 80) evened
    runs: Runs
    known: Tensor
    places: Tensor  # (n,) of the known rows in the moments' footage
    doubt: float

    @torch.no_grad()
    def solve(self, net: ExpressionNet) -> None:
        """So that general network and moments together say what the known rows show."""
        left = _left(net, self.speech, self.expression, self.runs, self.known)
        moments, device = net.moments, left.device
        centres = moments.windows(moments.at)
        # Everybody is heard, but no more than some thousand are remembered.
        own = moments.alike(centres, centres).double()
        square, told = self.doubt * own, own.new_zeros(len(own), left.shape[1])
        for part, wanted in zip(self.places.to(device).split(2048), left.split(2048), strict=True):
            seen = moments.alike(moments.windows(part), centres).double()
            square += seen.T @ seen
            told += seen.T @ wanted.double()
        square.diagonal().add_(1e-6 * square.diagonal().mean())
        solved = torch.cholesky_solve(told, torch.linalg.cholesky(square))
        moments.values.copy_(solved)


@torch.no_grad()
def adapt(
    net: ExpressionNet, own: Material, runs: Runs, others: Runs = (), mouth: Tensor | None = None
) -> Adapted:
    """Change `net` in place by what the runs say.

    `others` are runs that tell nothing, because they are held out, but are to be read alike. `mouth` (E, K)
    says what a coefficient moves: strengths are chosen by misses there.
    """
    net.eval()
    rows = torch.cat([torch.arange(start, stop) for start, stop in runs])
    known = rows[own.trust[rows] > 0]
    reach = net.config.furthest_lead
    moves = torch.eye(len(net.scale)) if mouth is None else mouth
    scored = {k: _score(net, k, own, runs, known, moves) for k in range(-reach, reach + 1)}
    net.lead.fill_(max(scored, key=lambda k: scored[k]))
    expression = own.expression[known]
    _used_to(net, own.speech, expression, runs, known)
    mel = None if own.mel is None else _evened(own.mel, [*runs, *others])
    places = _settle(net, own.speech, mel, runs, known)
    left = _left(net, own.speech, expression, runs, known) * net.scale * net.chosen @ moves
    found = Adapted(own.speech, expression, mel, runs, known, places, _doubt(net, places, left))
    found.solve(net)
    return found


def _evened(mel: Tensor, runs: Runs) -> Tensor:
    out = torch.zeros(len(mel), BANDS)
    for start, stop in runs:
        out[start:stop] = even(mel[start:stop].mean(1), torch.ones(stop - start))
    return out


def _hidden(net: ExpressionNet, speech: Tensor, runs: Runs) -> Tensor:
    """(N, W), zeros outside the runs."""
    device = net.mean.device
    out = torch.zeros(len(speech), net.config.width, device=device)
    for start, stop in runs:
        valid = torch.ones(1, stop - start, device=device)
        first = torch.zeros(1, dtype=torch.int64, device=device)
        out[start:stop] = net.hidden(speech[None, start:stop].to(device), valid, first)[0]
    return out


def _score(net: ExpressionNet, lead: int, own: Material, runs: Runs, known: Tensor, moves: Tensor) -> float:
    """How alike prediction and truth move: explained variance summed over what `moves` (E, K)."""
    net.lead.fill_(lead)
    found = net.out(_hidden(net, own.speech, runs)[known]) * net.scale * net.chosen @ moves
    wanted = own.expression[known] * net.chosen @ moves
    found, wanted = found - found.mean(0), wanted - wanted.mean(0)
    together = (found * wanted).sum(0)
    return float((together.clamp(min=0) ** 2 / (found**2).sum(0).clamp(min=1e-6)).sum())


def _used_to(net: ExpressionNet, speech: Tensor, expression: Tensor, runs: Runs, known: Tensor) -> None:
    """The person's own mean, and gains of what the general last layer says."""
    net.mean.copy_(expression.mean(0))
    wanted = (expression - net.mean) / net.scale
    hidden = _hidden(net, speech, runs)[known]
    middle = hidden.mean(0)
    gains = _gains((hidden - middle) @ net.out.weight.T, wanted)
    net.out.weight.mul_(gains[:, None])
    net.out.bias.copy_(-(net.out.weight @ middle))


def _gains(found: Tensor, wanted: Tensor) -> Tensor:
    doubt = _GAIN_DOUBT * found.var(0)
    gain = ((found * wanted).sum(0) + doubt) / ((found**2).sum(0) + doubt).clamp(min=1e-6)
    return gain.clamp(0.0, 3.0)


def _left(net: ExpressionNet, speech: Tensor, expression: Tensor, runs: Runs, known: Tensor) -> Tensor:
    """(n, E): what the general network misses."""
    expression = expression.to(net.mean.device)
    return (expression - net.mean) / net.scale - net.out(_hidden(net, speech, runs)[known])


def _settle(net: ExpressionNet, speech: Tensor, mel: Tensor | None, runs: Runs, known: Tensor) -> Tensor:
    """Footage and moments; gives the places of the known rows."""
    plain = net.told_apart(speech, mel)[known]
    mean, scale = plain.mean(0), plain.std(0).clamp(min=0.05)
    net.moments.mean.copy_(mean)
    net.moments.scale.copy_(scale)
    parts, place, count = [], torch.zeros(len(speech), dtype=torch.int64), 0
    for start, stop in runs:
        bands = None if mel is None else mel[None, start:stop]
        parts.append(net.heard(speech[None, start:stop], torch.ones(1, stop - start), bands)[0])
        place[start:stop] = count + REACH + torch.arange(stop - start)
        count += len(parts[-1])
    places = place[known]
    some = torch.linspace(0, len(places) - 1, min(len(places), _MOST_MOMENTS)).round().long()
    net.moments.settle(torch.cat(parts), places[some], mean, scale, mel is not None)
    return places


def _doubt(net: ExpressionNet, places: Tensor, left: Tensor) -> float:
    """The doubt that does best on parts of the material, each held out in turn."""
    windows = net.moments.windows(places[-_TRIED:])
    alike, left = net.moments.alike(windows, windows).double(), left[-_TRIED:].double()
    missed = dict.fromkeys(_DOUBTS, 0.0)
    at = torch.arange(len(alike))
    for part in at.tensor_split(_FOLDS):
        rest = at[(at < part[0] - _BETWEEN) | (at > part[-1] + _BETWEEN)]
        if not len(rest):
            return _DOUBTS[-1]
        for doubt in _DOUBTS:
            square = alike[rest][:, rest] + doubt * torch.eye(len(rest), dtype=torch.float64)
            solved = torch.cholesky_solve(left[rest], torch.linalg.cholesky(square))
            missed[doubt] += float(((left[part] - alike[part][:, rest] @ solved) ** 2).sum())
    return min(missed, key=lambda doubt: missed[doubt])
