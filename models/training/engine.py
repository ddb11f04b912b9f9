"""The engine: trains any method's trainee, and can be killed at any moment.

What happens at a step is a function of the seed and the step alone; together with the state that is written
now and then, a training that was interrupted goes on as if it had not been. Called by `models.train` and
by `tasks.training`.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.methods import Trainee, Turn
from models.training.averages import Averages, tensors_of
from models.training.batches import Batches, seed_of
from models.training.devices import Place
from models.training.history import Clock, History
from models.training.interrupts import Patience
from models.training.networks import Whole, judging, parameters_of, stand_still
from models.training.plan import Plan
from models.training.state import (
    State,
    load_state,
    optimiser_tensors,
    restore_optimiser,
    save_state,
)

__all__ = ["Best", "Paused", "Progress", "Trained", "fingerprint_of", "train"]

# Looking at a loss makes a GPU wait: no more often than a person can read.
_LOOK_SECONDS = 0.5
# Writing the state takes no more than this share of the time.
_SAVE_SHARE = 0.05


@dataclass(frozen=True)
class Progress:
    """How far it is. `seconds_left` is measured, evaluations included; early stopping can make it less."""

    step: int
    steps: int
    loss: float
    held_out: float
    best_step: int
    seconds_left: float


@dataclass
class Best:
    """The networks that did best on what was held out, averaged where they are to be."""

    step: int
    judged: dict[str, float]
    tensors: dict[str, Tensor]

    @property
    def loss(self) -> float:
        return self.judged.get("loss", math.nan)


@dataclass(frozen=True)
class Trained:
    """What came out. `seconds` counts all sittings; `stopped` is "all steps" or "no better for a while"."""

    best: Best
    step: int
    stopped: str
    curves: dict[str, Tensor]  # (n, 2): step, value
    seconds: float


class Paused(Exception):
    """The time was up: the state is written, and the same call goes on from it."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(f"paused after step {step} of {steps}")
        self.step, self.steps = step, steps


@dataclass(frozen=True)
class _Ears:
    """Who is told."""

    progress: Callable[[Progress], None] = lambda progress: None
    say: Callable[[str], None] = lambda line: None


def fingerprint_of(bundle: str, plan: Plan, config: Mapping[str, Any]) -> str:
    """Of everything that the steps depend on."""
    steady = {name: value for name, value in plan.as_dict().items() if name != "save_seconds"}
    told = json.dumps([bundle, steady, config], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def train(
    trainee: Trainee,
    folder: Path,
    fingerprint: str,
    *,
    place: Place,
    limit_seconds: float | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train, or go on training, with the state in `folder`.

    Raises Paused when the limit is reached, KeyboardInterrupt after ctrl-C, both with the state written;
    ValueError if the loss is no number, or the state in the folder is of another training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Patience() as patience:
        run = _Run(trainee, place, folder, fingerprint, _Ears(progress, say))
        run.resume()
        return run.through(patience, limit_seconds)


@dataclass
class _Counts:
    """Numbers that are part of the state."""

    step: int = 0
    stale: int = 0
    seconds: float = 0.0
    stopped: str = ""
    judged_at: int = -1


@dataclass
class _Run:
    trainee: Trainee
    place: Place
    folder: Path
    fingerprint: str
    ears: _Ears
    counts: _Counts = field(default_factory=_Counts)
    history: History = field(default_factory=History)
    clock: Clock = field(default_factory=Clock)
    best: Best | None = None

    def __post_init__(self) -> None:
        self.plan = self.trainee.plan
        if self.plan.batch % self.place.world:
            what = f"a batch of {self.plan.batch} cannot be shared by {self.place.world} processes"
            raise ValueError(f"{what}; change the plan's batch or their number")
        self._settle_in()
        self.optimisers = dict(self.trainee.optimisers())
        self.rates = {
            name: [group["lr"] for group in one.param_groups] for name, one in self.optimisers.items()
        }
        self.learners = {name: parameters_of(one) for name, one in self.optimisers.items()}
        stand_still(self.networks, self.learners)
        self.averages = Averages(self.trainee.networks, self.trainee.averaged, self.plan.averaged_steps)
        self.whole = self.place.joined(Whole(self.trainee))
        self.saved_at, self.saved_step = time.monotonic(), -1
        self.looked_at = 0.0

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return self.trainee.networks

    def _settle_in(self) -> None:
        form = torch.channels_last if self.plan.channels_last else torch.preserve_format
        for network in chain(self.networks.values(), self.trainee.helpers.values()):
            network.to(self.place.device, memory_format=form)  # type: ignore[call-overload]
            network.train()
        for helper in self.trainee.helpers.values():
            helper.requires_grad_(False).eval()

    # Going on -------------------------------------------------------------------------------------------

    def resume(self) -> None:
        state, said = load_state(self.folder, self.fingerprint)
        if self.place.leads:
            for line in said:
                self.ears.say(line)
        if state is None:
            return
        for name, network in self.networks.items():
            network.load_state_dict(state.part(f"network/{name}"))
        for key, value in state.part("average").items():
            self.averages.values[key].copy_(value)
        for name, optimiser in self.optimisers.items():
            restore_optimiser(optimiser, state.part(f"optimiser/{name}"))
        if self.place.device.type == "cpu":
            # Sums over another number of threads differ in their last bits.
            torch.set_num_threads(state.told["threads"])
        self.history = History(state.part("curve"))
        self.counts = _Counts(**state.told["counts"])
        if state.told["best"] is not None:
            step, judged = state.told["best"]
            self.best = Best(step, judged, state.part("best"))
        if self.place.leads:
            self.ears.say(f"goes on after step {self.counts.step} of {self.plan.steps}")

    def save(self) -> None:
        if not self.place.leads or self.saved_step == self.counts.step:
            return
        with self.clock.times("save"):
            counts = {**vars(self.counts), "seconds": self.counts.seconds + self.clock.elapsed}
            best = self.best and [self.best.step, self.best.judged]
            threads = torch.get_num_threads()
            told = {"counts": counts, "best": best, "threads": threads, "steps": self.plan.steps}
            state = State(self.fingerprint, self.counts.step, told)
            state.put("network", tensors_of(self.networks))
            state.put("average", self.averages.values)
            state.put("best", self.best.tensors if self.best else {})
            state.put("curve", self.history.curves())
            for name, optimiser in self.optimisers.items():
                state.put(f"optimiser/{name}", optimiser_tensors(optimiser))
            save_state(self.folder, state)
        self.saved_at, self.saved_step = time.monotonic(), self.counts.step

    # The course -----------------------------------------------------------------------------------------

    def through(self, patience: Patience, limit_seconds: float | None) -> Trained:
        if not self.counts.stopped and self.counts.judged_at < 0:
            self._judge()
        with Batches(self.trainee, self.plan, self.place, self.counts.step) as batches:
            while not self.counts.stopped:
                with self.clock.times("step"):
                    self._step(next(batches))
                self._after_step()
                self._maybe_leave(patience, limit_seconds)
        self.history.settle()
        if self.best is None:
            raise ValueError("training ended without a single evaluation; report this as a bug")
        seconds = self.counts.seconds + (self.clock.elapsed if self.clock.usual("step") else 0.0)
        return Trained(self.best, self.counts.step, self.counts.stopped, self.history.curves(), seconds)

    def _step(self, batch: dict[str, Tensor]) -> None:
        step = self.counts.step
        # Dropout and the like: chance belongs to the step, so that going on repeats it.
        torch.manual_seed(seed_of(self.plan.seed, "step", step, self.place.rank))
        pace = self.plan.pace(step)
        for turn in self.trainee.turns(step):
            told = self._turn(turn, batch, pace)
            self.history.note(step + 1, {f"{turn.name}/{name}": value for name, value in told.items()})
        self.averages.follow(step)
        self.counts.step = step + 1

    def _turn(self, turn: Turn, batch: dict[str, Tensor], pace: float) -> dict[str, Tensor]:
        for parameter in chain.from_iterable(self.learners.values()):
            parameter.requires_grad_(False)
            # None and not zero: momentum would go on moving who stands still.
            parameter.grad = None
        for name in (*turn.optimisers, *turn.drawing):
            for parameter in self.learners[name]:
                parameter.requires_grad_(True)
        with self._autocast():
            told: dict[str, Tensor] = self.whole(turn.name, batch)
        torch.autograd.backward(told["loss"])
        for name in turn.optimisers:
            if self.plan.clip > 0:
                nn.utils.clip_grad_norm_(self.learners[name], self.plan.clip)
            optimiser = self.optimisers[name]
            for group, rate in zip(optimiser.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * pace
            optimiser.step()
        return self.place.mean({name: value.detach().float() for name, value in told.items()})

    def _after_step(self) -> None:
        step = self.counts.step
        last = step >= self.plan.steps
        now = time.monotonic()
        judges = last or step % self.plan.evaluate_every == 0
        if judges or now - self.looked_at > _LOOK_SECONDS:
            self._look()
        if judges:
            self._judge()
            if last and not self.counts.stopped:
                self.counts.stopped = "all steps"
        pause = max(self.plan.save_seconds, self.clock.usual("save") / _SAVE_SHARE)
        # Judging is work too, which a kill should not cost.
        if self.counts.stopped or now - self.saved_at > (pause / 4 if judges else pause):
            self._look()
            self.save()

    def _look(self) -> None:
        self.history.settle()
        self.looked_at = time.monotonic()
        turns = self.trainee.turns(self.counts.step - 1)
        losses = {turn.name: self.history.last(f"{turn.name}/loss") for turn in turns}
        broken = sorted(name for name, loss in losses.items() if not math.isfinite(loss))
        if broken:
            what = f"the loss of {broken[0]!r} is no longer a number at step {self.counts.step}"
            raise ValueError(f"{what}; try another seed, a lower rate, or precision float32")
        if self.place.leads:
            self.ears.progress(self._progress(sum(losses.values())))

    def _progress(self, loss: float) -> Progress:
        best = self.best.step if self.best else 0
        return Progress(
            self.counts.step, self.plan.steps, loss, self.history.last("held_out/loss"), best, self._left()
        )

    def _left(self) -> float:
        steps = self.plan.steps - self.counts.step
        judgements = math.ceil(steps / self.plan.evaluate_every)
        work = steps * self.clock.usual("step") + judgements * self.clock.usual("judge")
        return work + work / max(self.plan.save_seconds, 1.0) * self.clock.usual("save")

    def _judge(self) -> None:
        judged: dict[str, float] = {}
        if self.place.leads:
            with self.clock.times("judge"), self.averages.in_place(), judging(self.networks):
                torch.manual_seed(seed_of(self.plan.seed, "judge", 0, 0))
                with self._autocast():
                    judged = {name: float(value) for name, value in self.trainee.judge().items()}
                self._keep_best(judged)
        self.history.add(self.counts.step, {f"held_out/{name}": value for name, value in judged.items()})
        self.counts.judged_at = self.counts.step
        stale, best = self.place.agreed(self.counts.stale, self.best.step if self.best else 0)
        self.counts.stale = int(stale)
        if self.best is None:  # who does not lead keeps no weights
            self.best = Best(int(best), {}, {})
        if self.plan.patience and self.counts.stale >= self.plan.patience:
            self.counts.stopped = "no better for a while"

    def _keep_best(self, judged: dict[str, float]) -> None:
        """The networks hold what is to be kept; without a held-out loss the last is the best."""
        loss = judged.get("loss")
        # Nothing is less than what is no number: the first such loss would stay the best for ever.
        best = math.nan if self.best is None else self.best.loss
        if loss is not None and math.isfinite(best) and not loss < best:
            self.counts.stale += 1
            return
        self.counts.stale = 0
        tensors = {name: value.detach().cpu().clone() for name, value in tensors_of(self.networks).items()}
        self.best = Best(self.counts.step, judged, tensors)

    def _maybe_leave(self, patience: Patience, limit_seconds: float | None) -> None:
        late = limit_seconds is not None and self.clock.elapsed > limit_seconds
        if self.counts.stopped or not self.place.any(late or patience.asked is not None):
            return
        self.save()
        if patience.asked is not None:
            raise KeyboardInterrupt
        raise Paused(self.counts.step, self.plan.steps)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.place.device.type, torch.bfloat16, enabled=self.plan.precision == "bfloat16"
        )
