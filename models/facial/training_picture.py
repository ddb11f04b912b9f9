"""Render-to-video as the engine trains it, of one person or of many. Called by `models.facial.method`.

A frame is drawn from ten rendered faces around it and from what surrounds the head's hole: nothing that it is
given knows the hole's true pixels. Windows stop at the ends of a run, whose first and last render stand for
what would lie beyond.

Shape suffixes: B frames, S canvas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.facial.config_picture import AFTER, BEFORE, PictureConfig
from models.facial.losses_picture import drawing, fooled, matched, told_apart
from models.facial.network_picture import Picture, Scales, inputs_of, new_generator
from models.losses import Perception, likeness
from models.losses.vgg import perception_of
from models.methods import Turn
from models.networks.blocks import pictures_in
from models.training import HELD_OUT, TRAIN, Bundle, Plan, device_of, load_network

__all__ = ["NETWORK", "PICTURE_ARRAYS", "PictureTrainee"]

NETWORK = "generator"
# `still` (N,) says which of the shots' `plate`, `hole` and `hidden` is a row's.
PICTURE_ARRAYS = ("target", "render", "eyes", "shut", "still", "plate", "hole", "hidden")
_CRITIC = "critic"
_DOWN = 1.0  # AU45 from which on an eye is no longer quite open
_JUDGED, _AT_ONCE = 48, 4
_CONDITION = 4 + 3  # what a critic sees beside a picture: the render with its lids, and what lies behind


class PictureTrainee:
    """See `models.methods.Trainee`."""

    averaged: tuple[str, ...] = (NETWORK,)

    def __init__(self, config: PictureConfig, bundle: Bundle, start: Mapping[str, Tensor] | None) -> None:
        bundle.require(PICTURE_ARRAYS)
        self.config, self.bundle = config, bundle
        person = "speaker" not in bundle
        # Without anything to start from a person's own training is one like any other.
        own = config.own if person and start else None
        self.plan: Plan = bundle.plan(own or config.plan)
        self._rate = config.rate if own is None else config.own_rate
        self._played = person and config.fooled > 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bundle.about.seed)
            self.generator = new_generator(config)
            self.critic = Scales(3 + _CONDITION, config.critics, config.critic_width)
        if start:
            load_network(self.generator, NETWORK, start)
        self.networks: Mapping[str, nn.Module] = {NETWORK: self.generator}
        if self._played:
            self.networks = {**self.networks, _CRITIC: self.critic}
        self.helpers: Mapping[str, nn.Module] = {"perception": perception_of(bundle.about.recipe)}
        self.runs = {split: bundle.segments(split) for split in (TRAIN, HELD_OUT)}
        # For the critic, by a generator that has not changed since.
        self._made: tuple[Tensor, Picture] | None = None
        self._rows = bundle.rows(TRAIN)
        if not len(self._rows):
            raise ValueError(f"{bundle.path}: nothing to train on")
        self._blinks = self._rows[bundle["shut"][self._rows] > _DOWN]
        self._low, self._high = _ends(bundle)
        self._still = bundle.tensor("still").long()
        self._plates = pictures_in(bundle.tensor("plate"))
        self._holes = bundle.tensor("hole").float()[:, None] / 255
        self._hidden = bundle.tensor("hidden").float()[:, None]

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        betas = (0.5, 0.99)
        told = {NETWORK: torch.optim.Adam(self.generator.parameters(), self._rate, betas)}
        if self._played:
            told[_CRITIC] = torch.optim.Adam(self.critic.parameters(), self._rate, betas)
        return dict(told)

    def turns(self, step: int) -> Sequence[Turn]:
        if not self._played or step < self.config.told_from * self.plan.steps:
            return (Turn("draw", (NETWORK,)),)
        return (Turn("tell", (_CRITIC,), drawing=(NETWORK,)), Turn("play", (NETWORK,)))

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        count, share = self.plan.batch, self.config.blinking
        rows = self._rows[torch.randint(len(self._rows), (count,), generator=draw).numpy()]
        if len(self._blinks):
            down = self._blinks[torch.randint(len(self._blinks), (count,), generator=draw).numpy()]
            rows = np.where(torch.rand(count, generator=draw).numpy() < share, down, rows)
        return self.read(rows)

    def read(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Everything of these frames (B,)."""
        window = rows[:, None] + np.arange(-BEFORE, AFTER + 1)
        window = np.clip(window, self._low[rows][:, None], self._high[rows][:, None])
        still = self._still[rows]
        return {
            "target": self.bundle.tensor("target", rows),
            "render": self.bundle.tensor("render", window),
            "eyes": self.bundle.tensor("eyes", window),
            "shut": self.bundle.tensor("shut", window).float(),
            "plate": self._plates[still],
            "hole": self._holes[still],
            "hidden": self._hidden[still],
        }

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        true = pictures_in(batch["target"])
        if turn == "tell":
            self._made = self.drawn(batch)
            loss = told_apart(self._seen(true, batch), self._seen(self._made[0].detach(), batch))
            return {"loss": loss}
        made, picture = self._made or self.drawn(batch)
        self._made = None
        told = self._drawing(made.float(), true, batch)
        told["drawn"] = (picture.seen.float() * batch["hole"]).mean()
        told["loss"] = told["loss"] + self.config.drawn * told["drawn"]
        if turn == "play":
            seen, known = self._seen(made, batch), self._seen(true, batch)
            told["fooled"], told["matched"] = fooled(seen), matched(seen, known)
            told["loss"] = told["loss"] + self.config.fooled * told["fooled"]
            told["loss"] = told["loss"] + self.config.features * told["matched"]
        return told

    def _drawing(self, made: Tensor, true: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        perception = self.helpers["perception"]
        assert isinstance(perception, Perception)
        return drawing(made, true, self._weight(batch), perception, self.config)

    def drawn(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Picture]:
        """Whole canvases (B, 3, S, S) as a dub would show them, and what the generator made of them."""
        true, hole = pictures_in(batch["target"]), batch["hole"]
        plate = batch["plate"] if self.config.still else torch.zeros_like(batch["plate"])
        shut = batch["shut"] if self.config.eyes else torch.zeros_like(batch["shut"])
        shown = inputs_of(batch["render"], batch["eyes"], shut, true, batch["hidden"], plate)
        picture: Picture = self.generator(shown)
        made = picture.over(plate) if self.config.still else picture.colours
        return true + hole * (made - true), picture

    def _weight(self, batch: Mapping[str, Tensor]) -> Tensor:
        """How much pixels (B, 1, S, S) matter: nothing outside the hole, the face more, its eyes most."""
        render, eyes = batch["render"][:, BEFORE], batch["eyes"][:, BEFORE]
        face = (render.amax(-1) > 0).float()[:, None]
        region = nn.functional.max_pool2d(eyes.float()[:, None] / 255, 9, 1, 4)
        matters = 1 + (self.config.face - 1) * face + self.config.face * region
        return batch["hole"] * matters

    def _seen(self, pictures: Tensor, batch: Mapping[str, Tensor]) -> list[list[Tensor]]:
        middle = {name: batch[name][:, BEFORE : BEFORE + 1] for name in ("render", "eyes", "shut")}
        like = batch["plate"]
        shut = middle["shut"] if self.config.eyes else torch.zeros_like(middle["shut"])
        shown = inputs_of(middle["render"], middle["eyes"], shut, like, batch["hole"], like)
        told = torch.cat([shown[:, :4], shown[:, -3:]], 1)
        found: list[list[Tensor]] = self.critic(torch.cat([pictures.to(told.dtype), told], 1))
        return found

    def judge(self) -> dict[str, float]:
        """On held-out frames, evenly spread; without any, nothing is told."""
        rows = self.bundle.rows(HELD_OUT)
        if not len(rows):
            return {}
        rows = rows[np.linspace(0, len(rows) - 1, min(_JUDGED, len(rows))).astype(int)]
        device, pixels, alike, looks = device_of(self.generator), [], [], []
        for start in range(0, len(rows), _AT_ONCE):
            batch = {n: v.to(device) for n, v in self.read(rows[start : start + _AT_ONCE]).items()}
            made = self.drawn(batch)[0].float()
            true, whole = pictures_in(batch["target"]), (slice(None), slice(None))
            away, same = likeness(made, true, (batch["hole"] > 0).float(), whole)
            pixels.append(away)
            alike.append(same)
            looks += [self._drawing(made, true, batch)["loss"]] * len(made)
        told = {"pixels": torch.cat(pixels), "ssim": torch.cat(alike), "loss": torch.stack(looks)}
        return {name: values.mean().item() for name, values in told.items()}


def _ends(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """First and last row of the run that each row is in."""
    count = max(one.stop for one in bundle.about.segments)
    low, high = np.arange(count), np.arange(count)
    for one in bundle.about.segments:
        low[one.start : one.stop], high[one.start : one.stop] = one.start, one.stop - 1
    return low, high
