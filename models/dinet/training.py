"""DINet's courses as the engine trains them, of many people or of one. Called by `models.dinet.method`.

A batch holds pictures as bytes; what they become is the device's work. A frame is drawn from five others of
the same person, and from what surrounds its hole.

Shape suffixes: B windows of L frames, N = B * L, S, W rows and columns of a crop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.canvas.framing import TALL
from models.canvas.mask import GUARD
from models.dinet.config import Course, DINetConfig
from models.dinet.critics import Critic
from models.dinet.losses import drawing, fooled, judged, told_apart
from models.dinet.material import Material, scored
from models.dinet.network import Drawer
from models.dinet.picture import crop, hidden, shown, squared
from models.losses import Perception
from models.losses.vgg import perception_of
from models.methods import Turn
from models.morphable.mouth_shape import MouthShape
from models.sync import SyncNet, load_expert, sync_loss
from models.training import Bundle, Plan, device_of, load_network
from models.training.teachers import teacher_of

__all__ = ["NETWORK", "DrawerTrainee"]

NETWORK = "drawer"
_AT_ONCE = 8


class DrawerTrainee:
    """See `models.methods.Trainee`."""

    averaged: tuple[str, ...] = (NETWORK,)

    def __init__(
        self, course: Course, config: DINetConfig, bundle: Bundle, start: Mapping[str, Tensor] | None
    ) -> None:
        self.config, self.course = config, course
        alone = "speaker" not in bundle and course.own is not None
        # From nothing a person's own plan, short and slow, comes nowhere.
        self.personal = alone and bool(start)
        plan: Plan = course.own if self.personal and course.own is not None else course.plan
        self.plan = bundle.plan(plan)
        self.material = Material(bundle, config, course)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bundle.about.seed)
            self.drawer = Drawer(config.widths)
            self.critics = self._critics()
        if start:
            own = {name: value for name, value in start.items() if name.startswith(f"{NETWORK}/")}
            load_network(self.drawer, NETWORK, own)
        self.drawer.steady = alone
        self.networks: Mapping[str, nn.Module] = {NETWORK: self.drawer, **self.critics}
        self.shape = MouthShape()
        self.expert = self._expert(bundle)
        self.helpers: Mapping[str, nn.Module] = {
            "perception": perception_of(bundle.about.recipe),
            "shape": self.shape,
            **({} if self.expert is None else {"expert": self.expert}),
        }

    def _critics(self) -> dict[str, Critic]:
        weights, length = self.config.losses, self.course.window
        if weights.fooled <= 0:
            return {}
        out = {"critic": Critic(3, weights.critics)}
        if length > 1:
            out["clip_critic"] = Critic(3 * length, weights.critics)
        return out

    def _expert(self, bundle: Bundle) -> SyncNet | None:
        if not scored(self.config, self.course):
            return None
        return load_expert(teacher_of(bundle, "sync"))

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.course.own_rate if self.personal else self.course.rate
        out: dict[str, torch.optim.Optimizer] = {
            NETWORK: torch.optim.Adam(self.drawer.parameters(), rate, betas=(0.9, 0.99))
        }
        for name, critic in self.critics.items():
            out[name] = torch.optim.Adam(critic.parameters(), rate, betas=(0.5, 0.99))
        return out

    def turns(self, step: int) -> Sequence[Turn]:
        draw = Turn("draw", (NETWORK,))
        if not self.critics or step < self.course.told_from * self.plan.steps:
            return (draw,)
        return (Turn("tell", tuple(self.critics)), Turn("play", (NETWORK,)))

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        return self.material.some(self.plan.batch, draw)

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        true, hole = self._truth(batch)
        if turn == "tell":
            with torch.no_grad():
                made = self._draw(true, hole, batch)
            return self._telling(2 * true - 1, 2 * made - 1)
        made = self._draw(true, hole, batch)
        perception = self.helpers["perception"]
        assert isinstance(perception, Perception)
        told = drawing(2 * made - 1, 2 * true - 1, perception, self.config.losses)
        if turn == "play":
            for name, score in self._scores(2 * made - 1).items():
                told[name] = fooled(score)
                told["loss"] = told["loss"] + self.config.losses.fooled * told[name]
        if self.expert is not None:
            told["sync"] = self._in_step(2 * made - 1, batch["heard"])
            told["loss"] = told["loss"] + self.config.losses.sync * told["sync"]
        return told

    def _truth(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Crops (N, 3, S, W) in their light, and what of them is hidden (N, 1, S, W)."""
        true = _lit(crop(batch["target"]), batch["light"]).flatten(0, 1)
        return true, hidden(batch["mask"].flatten(0, 1), GUARD)

    def _draw(self, true: Tensor, hole: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        told = batch["told"].flatten(0, 1)
        told = self.shape(told) if self.config.hearing == "ear" else told.float()
        kept = self.drawer.remember(_lit(crop(batch["references"]), batch["light"]))
        return self.drawer(shown(true, hole), told, kept.repeated(batch["target"].shape[1]))

    def _scores(self, pictures: Tensor) -> dict[str, Tensor]:
        """Of crops (N, 3, S, W): one by one, and a window as one picture of many channels."""
        length = self.course.window
        stacked = pictures.unflatten(0, (-1, length)).flatten(1, 2)
        shown_to = {"critic": pictures, "clip_critic": stacked}
        return {name: critic(shown_to[name]) for name, critic in self.critics.items()}

    def _telling(self, true: Tensor, made: Tensor) -> dict[str, Tensor]:
        real, fake = self._scores(true), self._scores(made)
        told = {f"{name}_loss": told_apart(real[name], fake[name]) for name in real}
        told["loss"] = torch.stack(list(told.values())).sum()
        return told

    def _in_step(self, made: Tensor, sound: Tensor) -> Tensor:
        assert self.expert is not None
        return sync_loss(self.expert, squared(made).unflatten(0, (-1, self.course.window)), TALL, sound)

    def judge(self) -> dict[str, float]:
        """On held-out frames, evenly spread, each from the frames that would be chosen at dubbing."""
        device = device_of(self.drawer)
        pixels, alike = [], []
        for batch in self.material.held_out(_AT_ONCE):
            batch = {name: value.to(device) for name, value in batch.items()}
            true, hole = self._truth(batch)
            made = self._draw(true, hole, batch).float()
            away, same = judged(2 * made - 1, 2 * true - 1, hole)
            pixels.append(away)
            alike.append(same)
        if not pixels:
            return {}
        l1, structure = torch.cat(pixels).mean().item(), torch.cat(alike).mean().item()
        return {"loss": l1 + (1 - structure), "pixels": l1, "mouth_ssim": structure}


def _lit(pictures: Tensor, light: Tensor) -> Tensor:
    """Pictures (B, n, 3, S, W) of 0 to 1 with gains and offsets (B, 2, 3) of their colours."""
    gain, offset = light[:, None, :, :, None, None].unbind(2)
    return (pictures * gain + offset).clamp(0, 1)
