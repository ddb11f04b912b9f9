"""MemFace's first stage as the engine and dubbing see it: what is trained, and what listens to sound.

    trainee = ExpressionTrainee(config, bundle, start)          # the engine trains it
    net = load_expression(config, tensors)                      # from a checkpoint's tensors
    for rows in listen(net, sound): ...                         # (n, 64) at 25 a second, any length of sound

A bundle with the array `speaker` is of many people and makes general weights; one without it is a
person's own. Called by `models.memface.method`.

Shape legend: N rows of a bundle, B batch, T rows of a window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.memface.adaptation import Adapted, Material, adapt
from models.memface.config_expression import ExpressionConfig
from models.memface.listening import listen
from models.memface.losses_expression import ExpressionLosses, opening_of
from models.memface.network_expression import BANDS, EXPRESSION, LOUDNESS, VOICE, ExpressionNet
from models.methods import Turn
from models.morphable.builtin import builtin
from models.training.bundle import HELD_OUT, TRAIN, Bundle
from models.training.checkpoint import load_network
from models.training.devices import device_of

__all__ = [
    "ARRAYS",
    "NETWORK",
    "ExpressionTrainee",
    "listen",
    "load_expression",
    "new_expression",
]

ARRAYS = ("speech", "expression", "trust", "identity")
NETWORK = "expression"
_OPENING_AT_REST = 0.1  # share of rows, those with the narrowest lips, that tell what closed lips are
_QUIETEST = 0.03


def new_expression(config: ExpressionConfig, seed: int = 0, rows: int = 0, moments: int = 0) -> ExpressionNet:
    """A network that knows nothing yet, with room for a person's moments."""
    chosen = torch.zeros(EXPRESSION)
    chosen[torch.from_numpy(builtin().coefficients_of(config.groups))] = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ExpressionNet(config, chosen, rows, moments)


def load_expression(config: ExpressionConfig, tensors: Mapping[str, Tensor]) -> ExpressionNet:
    """From tensors by NETWORK/PARAMETER; ValueError if they do not fit."""
    told = (tensors.get(f"{NETWORK}/moments.{name}") for name in ("rows", "at"))
    net = new_expression(config, 0, *(0 if one is None else len(one) for one in told))
    load_network(net, NETWORK, tensors)
    return net.eval()


class ExpressionTrainee:
    """Windows of speech and expression, the two turns of the first half, and what is held out."""

    averaged: tuple[str, ...] = (NETWORK,)

    def __init__(
        self, config: ExpressionConfig, bundle: Bundle, start: Mapping[str, Tensor] | None = None
    ) -> None:
        bundle.require(ARRAYS)
        self.config = config
        self.personal = "speaker" not in bundle
        self.plan = config.plan(self.personal, bundle.about.seed).changed(bundle.about.plan)
        self.net = new_expression(config, bundle.about.seed)
        self.judges = ExpressionLosses(builtin(), config)
        self.networks: Mapping[str, nn.Module] = {NETWORK: self.net}
        self.helpers: Mapping[str, nn.Module] = {"judges": self.judges}
        speech, expression = bundle.tensor("speech").float(), bundle.tensor("expression").float()
        trust = torch.nan_to_num(bundle.tensor("trust").float())
        trust = trust * (torch.isfinite(expression).all(-1) & torch.isfinite(speech).all((-1, -2)))
        self.speech, self.trust = torch.nan_to_num(speech), trust
        self.adapted: Adapted | None = None
        self.runs = {split: bundle.segments(split) for split in (TRAIN, HELD_OUT)}
        if not self.runs[TRAIN]:
            raise ValueError(f"{bundle.path}: nothing to train on")
        self.wanted = self._standardised(torch.nan_to_num(expression), bundle, start)
        self.judges.measure(self.net, self.wanted[self._trusted(TRAIN)])
        self.rest, self.hush = self._at_rest()

    def _trusted(self, split: str) -> Tensor:
        rows = [torch.arange(start, stop) for start, stop in self.runs[split]]
        found = torch.cat([torch.zeros(0, dtype=torch.int64), *rows])
        return found[self.trust[found] > 0]

    def _standardised(self, expression: Tensor, bundle: Bundle, start: Mapping[str, Tensor] | None) -> Tensor:
        """What the network is to say of every row: without each person's mean, of unit deviation."""
        known = self._trusted(TRAIN)
        if self.personal:
            mel = torch.nan_to_num(bundle.tensor("mel").float()) if "mel" in bundle else None
            if start is None:
                self.net.mean.copy_(expression[known].mean(0))
                self.net.scale.copy_(expression[known].std(0).clamp(min=1e-3))
            else:
                load_network(self.net, NETWORK, start)
                own = Material(self.speech, mel, expression, self.trust)
                moves = torch.cat([self.judges.mouth, self.judges.opening[None] * 5]).T
                self.adapted = adapt(self.net, own, self.runs[TRAIN], self.runs[HELD_OUT], moves)
            return (expression - self.net.mean) / self.net.scale
        speaker = bundle.tensor("speaker").long()
        count = int(speaker.max()) + 1
        weight = self.trust[:, None]
        total = torch.zeros(count, EXPRESSION).index_add_(0, speaker, expression * weight)
        heard = torch.zeros(count, 1).index_add_(0, speaker, weight)
        means = total / heard.clamp(min=1)
        away = expression - means[speaker]
        self.net.mean.copy_(expression[known].mean(0))
        self.net.scale.copy_(away[known].std(0).clamp(min=1e-3))
        return away / self.net.scale

    def _at_rest(self) -> tuple[Tensor, Tensor]:
        """What closed lips are, of every row's run (N, 64), and how silence is heard (K, 2, 31)."""
        gap = (self.wanted * self.net.scale * self.net.chosen) @ opening_of(builtin())
        rest = torch.zeros_like(self.wanted)
        for start, stop in self.runs[TRAIN]:
            low = gap[start:stop] <= gap[start:stop].quantile(_OPENING_AT_REST)
            rest[start:stop] = self.wanted[start:stop][low].mean(0)
        rows = self._trusted(TRAIN)
        loud = self.speech[rows, :, LOUDNESS].mean(-1) + 60 * self.speech[rows, :, VOICE].mean(-1)
        quiet = (
            rows[loud <= loud.quantile(_QUIETEST)] if len(rows) < 1_000_000 else rows[loud.argsort()[:1000]]
        )
        return rest, self.speech[quiet]

    # What the engine asks -------------------------------------------------------------------------------

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.own_rate if self.personal else self.config.rate
        groups: dict[str, list[nn.Parameter]] = {"memory": [], "rest": []}
        for name, parameter in self.net.named_parameters():
            groups["memory" if name.startswith("memory.") else "rest"].append(parameter)
        decay = self.config.decay
        return {
            name: torch.optim.AdamW(own, rate, weight_decay=decay if name == "rest" else 0.0)
            for name, own in groups.items()
            if own
        }

    def turns(self, step: int) -> Sequence[Turn]:
        """Memory and the rest in turn while the first part lasts, then both at once."""
        names = ("memory", "rest") if self.net.memory is not None else ("rest",)
        alternates = not self.personal and len(names) > 1
        if alternates and step < self.config.alternating * self.plan.steps:
            return (Turn(names[step % 2], (names[step % 2],)),)
        return (Turn("all", names),)

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        runs = self.runs[TRAIN]
        sizes = torch.tensor([float(stop - start) for start, stop in runs])
        chosen = torch.multinomial(sizes, self.plan.batch, replacement=True, generator=draw).tolist()
        rows = [self._window(runs[k][0], runs[k][1], draw) for k in chosen]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _window(self, start: int, stop: int, draw: torch.Generator) -> dict[str, Tensor]:
        """Rows with a halo to each side; what lies beyond the run is not valid, and halos do not count."""
        size, halo = self.config.window, self.config.halo
        least = min(start - halo, stop - size)
        begin = int(torch.randint(least, max(stop - size, least) + 1, (), generator=draw))
        out = self._read(begin - halo, size + 2 * halo, start, stop)
        out["weight"][:halo] = 0
        out["weight"][halo + size :] = 0
        out["first"] = torch.randint(self.config.period, (), generator=draw)
        if not self.personal:
            away = self.config.temper * (2 * float(torch.rand((), generator=draw)) - 1)
            out["speech"][..., :LOUDNESS] *= 1 + away
        if float(torch.rand((), generator=draw)) < self.config.hush and len(self.hush):
            self._hushed(out, start, draw)
        return out

    def _read(self, begin: int, count: int, start: int, stop: int) -> dict[str, Tensor]:
        at = torch.arange(begin, begin + count)
        inside = (at >= start) & (at < stop)
        at = at.clamp(start, stop - 1)
        weight = self.trust[at] * inside
        return {
            "speech": self.speech[at].clone(),
            "wanted": self.wanted[at].clone(),
            "weight": weight,
            "valid": inside.float(),
        }

    def _hushed(self, out: dict[str, Tensor], start: int, draw: torch.Generator) -> None:
        """Put silence of any faintness into a part of a window: its inner rows have closed lips."""
        count, margin = len(out["weight"]), self.config.reach
        length = int(torch.randint(15, count // 2, (), generator=draw))
        begin = int(torch.randint(0, count - length, (), generator=draw))
        rows = torch.randint(len(self.hush), (length,), generator=draw)
        quiet = self.hush[rows].clone()
        quiet[..., LOUDNESS] = -100 + 55 * float(torch.rand((), generator=draw))
        quiet[..., VOICE] = 0
        out["speech"][begin : begin + length] = quiet
        # Near its ends lips still follow, or already prepare, speech that was cut off: nobody knows how.
        out["weight"][begin : begin + length] = 0
        out["weight"][max(begin - margin, 0) : begin] = 0
        out["weight"][begin + length : begin + length + margin] = 0
        inner = slice(begin + margin, begin + length - margin)
        out["wanted"][inner] = self.rest[start]
        out["weight"][inner] = out["valid"][inner]

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        # Moments are left out: they were solved for what the network left before, and would leave it nothing.
        found = self.net.general(batch["speech"], batch["valid"], batch["first"])
        told: dict[str, Tensor] = self.judges(self.net, found, batch["wanted"], batch["weight"])
        return told

    def judge(self) -> dict[str, float]:
        if self.adapted is not None:
            self.adapted.solve(self.net)
        found, wanted, weight = self._all(HELD_OUT if self.runs[HELD_OUT] else TRAIN)
        told = {name: float(value) for name, value in self.judges(self.net, found, wanted, weight).items()}
        own = self.judges.misses(self.net, found, wanted, weight)
        told["loss"] = float(own.expression + own.vertices + own.opening)
        gaps = [((x * self.net.scale) @ self.judges.opening)[weight > 0] for x in (found, wanted)]
        told["opening_correlation"] = float(torch.corrcoef(torch.stack(gaps))[0, 1])
        if self.net.memory is not None:
            told["slots_entropy"] = float(self._entropy())
        return told

    def _all(self, split: str, most: int = 40_000) -> tuple[Tensor, Tensor, Tensor]:
        """Predictions, what was wanted, and weights, one row of windows (n, T) after another."""
        size, halo, device = 400, self.config.halo, device_of(self.net)
        parts = []
        for start, stop in self.runs[split]:
            for begin in range(start, stop, size):
                one = self._read(begin - halo, size + 2 * halo, start, stop)
                one["mel"] = self._mel(begin - halo, size + 2 * halo, start, stop)
                one = {name: value[None].to(device) for name, value in one.items()}
                first = torch.tensor([begin - halo], device=device)
                found = self.net(one["speech"], one["valid"], first, one["mel"])
                inner = slice(halo, halo + size)
                parts.append((found[0, inner], one["wanted"][0, inner], one["weight"][0, inner]))
            if len(parts) * size > most:
                break
        return tuple(torch.stack(part) for part in zip(*parts, strict=True))  # type: ignore[return-value]

    def _mel(self, begin: int, count: int, start: int, stop: int) -> Tensor:
        """Evened log-mel of the same rows as `_read`, which general training has none of."""
        if self.adapted is None or self.adapted.mel is None:
            return torch.zeros(count, BANDS)
        at = torch.arange(begin, begin + count)
        inside = (at >= start) & (at < stop)
        return self.adapted.mel[at.clamp(start, stop - 1)] * inside[:, None]

    def _entropy(self) -> Tensor:
        assert self.net.memory is not None
        start, stop = (self.runs[HELD_OUT] or self.runs[TRAIN])[0]
        one = self._read(start, min(stop - start, 400), start, stop)
        device = device_of(self.net)
        speech, valid = (one[name][None].to(device) for name in ("speech", "valid"))
        query = self.net.queries(speech, valid, torch.zeros(1, dtype=torch.int64, device=device))
        return self.net.memory.entropy(query)
