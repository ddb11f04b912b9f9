"""FACIAL's performer as the engine trains it, of many people or of one: windows of speech, and two turns.

A bundle with the array `speaker` is of many people and makes general weights; one without it is a person's
own, whose statistics and manner the network then keeps. Called by `models.facial.method`.

Shape legend: N rows of a bundle, K clips, B batch, T rows of a window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.facial.columns import COLUMNS, EXPRESSION, POSE, Statistics
from models.facial.config_performer import AROUND, PerformerConfig
from models.facial.filters import settled
from models.facial.liveliness import enlivened
from models.facial.losses_performer import fooled, misses, performance_loss, told_apart
from models.facial.manner import fit_manner, measured
from models.facial.network_performer import Generator, SequenceCritic
from models.facial.performing import NETWORK, around, performed_raw, plain
from models.memface.losses_expression import opening_of
from models.methods import Turn
from models.morphable.builtin import builtin
from models.training.bundle import HELD_OUT, TRAIN, Bundle
from models.training.checkpoint import load_network
from models.training.devices import device_of

__all__ = ["ARRAYS", "CRITIC", "PerformerTrainee"]

ARRAYS = ("symbols30", "performed", "trust", "clip", "clip_mean", "clip_std")
CRITIC = "critic"
_BEFORE, _AFTER = AROUND // 2, AROUND // 2 - 1
_MOST_JUDGED = 12_000  # rows that are performed to be judged
_LIVELINESS = 0.1  # of the held-out loss: how far a performance is from as lively as its person


class PerformerTrainee:
    """See `models.methods.Trainee`."""

    averaged: tuple[str, ...] = (NETWORK,)

    def __init__(
        self, config: PerformerConfig, bundle: Bundle, start: Mapping[str, Tensor] | None = None
    ) -> None:
        bundle.require(ARRAYS)
        self.config, self.personal = config, "speaker" not in bundle
        # Without anything to start from a person's own training is one like any other.
        self.adapted = self.personal and bool(start)
        self.plan = bundle.plan(config.plan(self.adapted))
        self.runs = {split: bundle.segments(split) for split in (TRAIN, HELD_OUT)}
        if not self.runs[TRAIN]:
            raise ValueError(f"{bundle.path}: nothing to train on")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bundle.about.seed)
            self.net = Generator(config)
            self.critic = SequenceCritic(config.critics)
        if start:
            own = {name: value for name, value in start.items() if name.startswith(f"{NETWORK}/")}
            load_network(self.net, NETWORK, own)
        self.networks: Mapping[str, nn.Module] = {
            NETWORK: self.net,
            **({CRITIC: self.critic} if config.adversarial else {}),
        }
        self.helpers: Mapping[str, nn.Module] = {}
        self.opening = opening_of(builtin())
        self.symbols = plain(torch.nan_to_num(bundle.tensor("symbols30").float()))
        self.rows, self.trust = self._scored(bundle)

    def _scored(self, bundle: Bundle) -> tuple[Tensor, Tensor]:
        """What the network is to say of every row, and how far each row is believed."""
        rows = bundle.tensor("performed").float()
        trust = torch.nan_to_num(bundle.tensor("trust").float()) * torch.isfinite(rows).all(-1)
        rows = torch.nan_to_num(rows)
        mean, std = bundle.tensor("clip_mean").float(), bundle.tensor("clip_std").float()
        clips = bundle.tensor("clip").long()
        share = self._shares(clips, len(mean))
        self.net.manner.mean.copy_((share * mean).sum(0))
        self.net.manner.std.copy_((share * std.square()).sum(0).sqrt())
        for clip in range(int(clips.max()) + 1):
            own = clips == clip
            rows[own] = Statistics(mean[clip], std[clip]).score(rows[own])
            if self.config.centred:
                # Of many people each less their own mean; a person's is told by the network at work.
                usual = self.net.manner.mean if self.personal else mean[clip]
                rows[own, EXPRESSION] -= usual[EXPRESSION]
        for start, stop in (run for runs in self.runs.values() for run in runs):
            rows[start:stop, POSE] = settled(rows[start:stop, POSE])
        return rows, trust

    def _shares(self, clips: Tensor, count: int) -> Tensor:
        """(K, 1) of what is trained on: a short clip says less of a person than a long one."""
        rows = torch.cat([clips[start:stop] for start, stop in self.runs[TRAIN]])
        return (torch.bincount(rows, minlength=count) / len(rows))[:, None]

    # What the engine asks -------------------------------------------------------------------------------

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.own_rate if self.adapted else self.config.rate
        out: dict[str, torch.optim.Optimizer] = {NETWORK: torch.optim.Adam(self.net.parameters(), rate)}
        if self.config.adversarial:
            out[CRITIC] = torch.optim.Adam(self.critic.parameters(), rate, betas=(0.5, 0.999))
        return out

    def turns(self, step: int) -> Sequence[Turn]:
        play = Turn("play", (NETWORK,))
        return (Turn("watch", (CRITIC,)), play) if self.config.adversarial else (play,)

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        stride, size = self.config.stride, self.config.window
        runs = self.runs[TRAIN]
        counts = torch.tensor([float(max(b - a - size, 0) // stride + 1) for a, b in runs])
        chosen = torch.multinomial(counts, self.plan.batch, replacement=True, generator=draw).tolist()
        rows = []
        for k in chosen:
            at = runs[k][0] + stride * int(torch.randint(int(counts[k]), (), generator=draw))
            rows.append(self._window(at, *runs[k]))
            if not self.personal:
                rows[-1]["heard"] = self._tempered(rows[-1]["heard"], draw)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _tempered(self, heard: Tensor, draw: torch.Generator) -> Tensor:
        """Plain symbols of a voice that is surer of them, or less sure."""
        away = self.config.temper * (2 * float(torch.rand((), generator=draw)) - 1)
        return (heard - 1) * (1 + away) + 1

    def _window(self, at: int, start: int, stop: int) -> dict[str, Tensor]:
        """Rows from `at` on; beyond the run the last row holds on and does not count."""
        size = self.config.window
        heard = torch.arange(at - _BEFORE, at + size + _AFTER).clamp(start, stop - 1)
        rows = torch.arange(at, at + size)
        inside = rows < stop
        rows = rows.clamp(max=stop - 1)
        return {
            "heard": self.symbols[heard],
            "wanted": self.rows[rows],
            "trust": self.trust[rows] * inside,
            "last": (rows[-1] - at).clone(),
        }

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        sound, wanted = around(batch["heard"]), batch["wanted"]
        if turn == "watch":
            with torch.no_grad():
                made = _held(self.net(sound, wanted[:, 0]), batch["last"])
            loss = told_apart(self.critic(self._shown(wanted)), self.critic(self._shown(made)))
            return {"loss": loss}
        made = _held(self.net(sound, wanted[:, 0]), batch["last"])
        weights = self.config.terms(self.adapted)
        told = performance_loss(made, wanted, batch["trust"], weights, self.config.lone_pose)
        if self.config.adversarial:
            told["fooled"] = fooled(self.critic(self._shown(made)))
            told["loss"] = told["loss"] + weights.fooled * told["fooled"]
        return told

    def _shown(self, rows: Tensor) -> Tensor:
        """What the critic sees: pose alone where nothing else is asked for."""
        if not self.config.lone_pose:
            return rows
        kept = torch.zeros(COLUMNS, device=rows.device)
        kept[POSE] = 1
        return rows * kept

    def judge(self) -> dict[str, float]:
        """Misses on held-out speech, and how lively it is performed from its sound alone."""
        split = HELD_OUT if self.runs[HELD_OUT] else TRAIN
        if self.personal:
            # What was trained on is known by heart; backwards the same voice says what nobody has heard.
            fit_manner(self.net.manner, *self._performed(TRAIN, backwards=True))
        made, own = self._performed(split)
        told = self._missed(split)
        told["liveliness"] = _apart(measured(made).spread, measured(own).spread)
        told["quickness"] = _apart(measured(made).speed, measured(own).speed)
        gaps = torch.stack(
            [torch.cat([rows[:, EXPRESSION] for rows in x]) @ self.opening for x in (made, own)]
        )
        told["opening_correlation"] = float(torch.nan_to_num(torch.corrcoef(gaps)[0, 1]))
        # Not by squared misses: the critic is there to make up what cannot be foretold, which they punish.
        told["loss"] = 1 - told["opening_correlation"]
        told["loss"] += _LIVELINESS * (told["liveliness"] + told["quickness"])
        if self.personal:
            lively = [enlivened(rows, self.net.manner) for rows in made]
            told["blinks"], told["own_blinks"] = measured(lively).blinks, measured(own).blinks
        return told

    def _performed(self, split: str, backwards: bool = False) -> tuple[list[Tensor], list[Tensor]]:
        """Rows as they are made for the speech of whole runs, and the runs' own."""
        made: list[Tensor] = []
        own: list[Tensor] = []
        for start, stop in self.runs[split]:
            if sum(len(rows) for rows in own) > _MOST_JUDGED:
                break
            heard = self.symbols[start:stop]
            made.append(performed_raw(self.net, heard.flip(0) if backwards else heard))
            own.append(self.rows[start:stop])
        return made, own

    def _missed(self, split: str) -> dict[str, float]:
        """Of windows side by side that are told how they begin."""
        size, device = self.config.window, device_of(self.net)
        found, some = [], []
        for start, stop in self.runs[split]:
            some += [self._window(at, start, stop) for at in range(start, stop, size)]
        some = some[: _MOST_JUDGED // size]
        for window in some:
            sound, state = around(window["heard"])[None], window["wanted"][None, 0]
            found.append(self.net(sound.to(device), state.to(device))[0].float().cpu())
        wanted, trust = (torch.stack([window[name] for window in some]) for name in ("wanted", "trust"))
        return {name: float(value) for name, value in misses(torch.stack(found), wanted, trust).items()}


def _apart(made: Tensor, own: Tensor) -> float:
    """Mean distance of the logarithms: as far for half as for twice."""
    return float((made.clamp(min=1e-4).log() - own.clamp(min=1e-4).log()).abs().mean())


def _held(rows: Tensor, last: Tensor) -> Tensor:
    """Rows (B, T, C) that hold on after the last (B,) of their run, as the true ones do.

    Or else a critic would tell what is true by its standing still, and teach people to.
    """
    at = torch.arange(rows.shape[1], device=rows.device).minimum(last[:, None])
    return rows.gather(1, at[..., None].expand(-1, -1, rows.shape[2]))
