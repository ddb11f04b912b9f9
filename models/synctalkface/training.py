"""The talker as something that the engine trains. Called by `models.synctalkface.method`.

A cold start goes in parts: sound and lips each drive a drawing alone until lip features mean something; then
the memory is filled from them and sound begins to address it; experts and the critic join at last. Weights
that have travelled have no lip encoder any more: a person's own training draws by the key path alone.

Shape legend: B windows of T = 5 frames, N = B T, P paths, S the canvas, s the part that is drawn, C width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.canvas.framing import FACE
from models.canvas.mask import GUARD
from models.canvas.places import mouth_in
from models.canvas.variety import varied
from models.losses import Perception, likeness
from models.losses.vgg import perception_of
from models.memory.lips import aligned, stored
from models.methods import Turn
from models.networks.blocks import pictures_in
from models.networks.norms import Still
from models.sync import SyncNet, in_pace, load_expert, sync_loss
from models.synctalkface.config import FRAMES, TalkerConfig
from models.synctalkface.losses import alike, blacked, drawing, half, mouth_of, passed, telling
from models.synctalkface.network import LipEncoder, judging
from models.synctalkface.sampling import HEARD, Windows
from models.synctalkface.talker import Talker, hidden_on, part_drawn, shown
from models.training import HELD_OUT, TRAIN, Bundle, Plan, device_of, load_network
from models.training.teachers import teacher_of

__all__ = ["TRAINING_ONLY", "TalkerTrainee", "arrays_of"]

TRAINING_ONLY = ("lips", "critic")
_JUDGED = 64  # held-out frames that are looked at
_AT_ONCE = 4  # windows


def arrays_of(config: TalkerConfig) -> tuple[str, ...]:
    """What a bundle must hold."""
    return ("target", "mask", HEARD[config.hearing], "sound", "key", "turn", "sharp")


class _Scene(NamedTuple):
    """A batch as networks see it."""

    inputs: Tensor  # (N, 6 or 7, S, S)
    true: Tensor  # (N, 3, s, s)
    hidden: Tensor  # (N, 1, s, s)
    heard: Tensor  # (N, C)
    windows: Tensor  # (B, 3, T or T + 4, s, s) what the lip encoder sees


class TalkerTrainee:
    """See `models.methods.Trainee`."""

    def __init__(self, config: TalkerConfig, bundle: Bundle, start: Mapping[str, Tensor] | None) -> None:
        bundle.require(arrays_of(config))
        self.config, self.bundle = config, bundle
        self.grown = start is not None
        own = "speaker" not in bundle and self.grown
        self.plan: Plan = bundle.plan(config.plan_of(own))
        self.rate = config.own_rate if own else config.rate
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bundle.about.seed)
            self.talker = Talker(config)
            self.lips, self.critic = LipEncoder(config), judging(config)
        self.by_lips = config.memory and (start is None or "lips/first.weight" in start)
        networks: dict[str, nn.Module] = dict(self.talker.networks)
        if self.by_lips:
            networks["lips"] = self.lips
        if self.critic is not None and not own:
            networks["critic"] = self.critic
        self.networks: Mapping[str, nn.Module] = networks
        helpers: dict[str, nn.Module] = {"perception": perception_of(bundle.about.recipe)}
        helpers["shape"] = self.talker.shape
        if config.audio_visual and in_pace(bundle):
            helpers["expert"] = load_expert(teacher_of(bundle, "sync"))
        self.helpers: Mapping[str, nn.Module] = helpers
        self.averaged: tuple[str, ...] = tuple(name for name in self.networks if name != "critic")
        self.windows = Windows(config, bundle)
        if not self.windows.runs[TRAIN]:
            what = f"no run of {FRAMES} frames to train on"
            raise ValueError(f"{bundle.path}: {what}, with others {config.apart} frames away")
        self._made: tuple[Tensor, Tensor] | None = None
        self._settle(start, own)

    def _settle(self, start: Mapping[str, Tensor] | None, own: bool) -> None:
        brought = {name.partition("/")[0] for name in start or {}}
        for name, network in self.networks.items():
            if start is not None and (name in brought or name not in TRAINING_ONLY):
                load_network(network, name, start)
            if own and isinstance(network, Still):
                network.still = True

    # What the engine asks -------------------------------------------------------------------------------

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rates = {"talker": self.rate, "critic": self.config.critic_rate}
        groups: dict[str, list[nn.Parameter]] = {}
        for name, network in self.networks.items():
            groups.setdefault("critic" if name == "critic" else "talker", []).extend(network.parameters())
        momenta = {"talker": self.config.momentum, "critic": 0.5}
        return {
            name: torch.optim.Adam(own, rates[name], betas=(momenta[name], 0.999))
            for name, own in groups.items()
        }

    def turns(self, step: int) -> Sequence[Turn]:
        config, share = self.config, step / self.plan.steps
        both = ("talker",)
        if not self.grown:
            filled = round(config.filled_at * self.plan.steps) if self.by_lips else 0
            if step < filled:
                return (Turn("apart", both),)
            if self.by_lips and step == filled:
                return (Turn("fill", ()), Turn("store", both))
        if share < config.synced_from and (config.singly or not self.grown):
            return (Turn("store" if self.by_lips else "draw", both),)
        if "critic" not in self.networks or share < config.told_from:
            return (Turn("sync", both),)
        return (Turn("play", both), Turn("tell", ("critic",)))

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        whole = self.turns(step)[0].name in ("sync", "play")
        sound, singly = whole and "expert" in self.helpers, self.config.singly and not whole
        return self.windows.batch(self.plan.batch, self.by_lips, sound, draw, singly)

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if turn == "fill":
            return self._fill(batch["heard"].device)
        if turn == "tell":
            # What was just drawn: nothing has changed since but who drew it.
            assert self.critic is not None
            assert self._made is not None
            true, made = (half(one, self.config) for one in self._made)
            return telling(self.critic(true), self.critic(made))
        scene = self._scene(batch)
        lips = self.lips(scene.windows) if self.by_lips else None
        codes, told = self._codes(turn, scene, lips)
        made = self.talker.draw(torch.cat(codes), scene.inputs)
        paths = len(codes)
        true, hidden = (one.repeat(paths, 1, 1, 1) for one in (scene.true, scene.hidden))
        perception = self.helpers["perception"]
        assert isinstance(perception, Perception)
        drawn = drawing(made, true, hidden, perception, self.config)
        told |= drawn | {"loss": told.get("loss", 0) + paths * drawn["loss"]}
        if turn in ("sync", "play"):
            self._in_step(told, made.float(), paths, batch, lips)
        if turn == "play":
            assert self.critic is not None
            self._made = scene.true, made.detach().float()
            told["passed"] = passed(self.critic(half(made.float(), self.config)))
            told["loss"] = told["loss"] + paths * self.config.weight_critic * told["passed"]
        return told

    # One step -------------------------------------------------------------------------------------------

    def _scene(self, batch: Mapping[str, Tensor]) -> _Scene:
        config = self.config
        pictures = self._varied(pictures_in(batch["target"]), batch)
        reference = self._varied(pictures_in(batch["reference"])[:, None], batch)
        frames = batch["heard"].shape[1]
        beside = (pictures.shape[1] - frames) // 2
        inner = pictures[:, beside : beside + frames].flatten(0, 1)
        covered = (batch["mask"] > 0).float()
        if "flip" in batch:
            covered = torch.where(batch["flip"][:, None, None, None], covered.flip(-1), covered)
        spread = GUARD + (round(int(batch["spread"][0]) * config.side / 128) if "spread" in batch else 0)
        hidden = hidden_on(covered.flatten(0, 1)[:, None], config, spread)
        inputs = shown(inner, hidden, reference.expand(-1, frames, -1, -1, -1).flatten(0, 1), config)
        flip = batch["flip"].repeat_interleave(frames) if "flip" in batch else None
        heard = self.talker.hear(batch["heard"].flatten(0, 1), flip)
        windows = blacked(part_drawn(pictures, config).transpose(1, 2), config)
        return _Scene(inputs, part_drawn(inner, config), part_drawn(hidden, config), heard, windows)

    def _varied(self, pictures: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Windows (B, T, 3, S, S), mirrored and varied, each all alike; as they are for judging."""
        if "flip" in batch:
            pictures = torch.where(batch["flip"][:, None, None, None, None], pictures.flip(-1), pictures)
        return varied(pictures, batch, mouth_in(FACE, pictures.shape[-1]), dark=-1.0)

    def _codes(self, turn: str, scene: _Scene, lips: Tensor | None) -> tuple[list[Tensor], dict[str, Tensor]]:
        """What the decoder is told on each path, the key path first; and what the memory is to learn."""
        talker, heard = self.talker, scene.heard
        if lips is None:
            return [talker.told(heard)], {}
        memory = talker.memory
        lips = memory.see(lips)
        if turn == "apart":
            # With the sound beside them lips would not be needed, and would learn to say nothing.
            return [
                memory.joined(heard, torch.zeros_like(lips)),
                memory.joined(torch.zeros_like(heard), lips),
            ], {}
        by_lips, by_sound = memory.by_lips(lips), memory.by_sound(heard)
        # Slots come to the lips: were the address to give way, all lips would become one slot's.
        told = {
            "stored": stored(lips, memory.recall(by_lips.detach())),
            "aligned": aligned(by_lips, by_sound),
        }
        told["loss"] = self.config.weight_memory * (told["stored"] + told["aligned"])
        own = lips if self.config.lip_path == "own" else memory.recall(by_lips)
        beside = heard * (torch.rand(len(heard), 1, device=heard.device) >= self.config.deaf)
        return [memory.joined(beside, memory.recall(by_sound)), memory.joined(beside, own)], told

    def _in_step(
        self,
        told: dict[str, Tensor],
        made: Tensor,
        paths: int,
        batch: Mapping[str, Tensor],
        lips: Tensor | None,
    ) -> None:
        """What the expert hears, and what the lip encoder sees, of pictures (P N, 3, s, s)."""
        config = self.config
        if "expert" in self.helpers:
            told["audio_visual"] = self._out_of_step(made, batch["sound"].repeat(paths, 1, 1, 1))
            told["loss"] = told["loss"] + paths * config.weight_audio_visual * told["audio_visual"]
        if lips is not None and config.visual_visual:
            middle = lips.reshape(-1, FRAMES, lips.shape[1])[:, FRAMES // 2].repeat(paths, 1)
            windows = made.reshape(-1, FRAMES, *made.shape[1:])
            seen = blacked(windows.transpose(1, 2), config)
            # Not as the memory has them: levelled, lips that move half as far would be the same.
            told["visual_visual"] = alike(self.lips, seen, middle)
            told["loss"] = told["loss"] + paths * config.weight_visual_visual * told["visual_visual"]

    def _out_of_step(self, made: Tensor, sound: Tensor) -> Tensor:
        """What the expert says of windows of pictures (5 B, 3, s, s) and what is heard in them."""
        expert = self.helpers["expert"]
        assert isinstance(expert, SyncNet)
        return sync_loss(expert, made.reshape(-1, FRAMES, *made.shape[1:]), self.config.framing, sound)

    @torch.no_grad()
    def _fill(self, device: torch.device) -> dict[str, Tensor]:
        """Fill the memory from windows spread over the material: the same ones in every process."""
        count = max(self.config.filled_rows // FRAMES, 1)
        starts, edges = _spread(self.windows.runs[TRAIN], count)
        lips, heard = [], []
        for k in range(0, len(starts), _AT_ONCE):
            at = slice(k, k + _AT_ONCE)
            batch = self.windows.read(starts[at], edges[at], starts[at], True)
            scene = self._scene({name: value.to(device) for name, value in batch.items()})
            lips.append(self.lips(scene.windows).float())
            heard.append(scene.heard.float())
        self.talker.memory.fill(torch.cat(lips), torch.cat(heard), self.plan.seed)
        return {"loss": torch.zeros((), device=device).requires_grad_()}

    # Judging --------------------------------------------------------------------------------------------

    def judge(self) -> dict[str, float]:
        """On held-out windows, evenly spread, by the key path; without any, nothing is told."""
        if not self.windows.runs[HELD_OUT]:
            return {}
        starts, edges = _spread(self.windows.runs[HELD_OUT], max(_JUDGED // FRAMES, 1))
        parts = [
            self._judged(starts[k : k + _AT_ONCE], edges[k : k + _AT_ONCE])
            for k in range(0, len(starts), _AT_ONCE)
        ]
        address = torch.cat([part.pop("address") for part in parts])
        told = {name: float(torch.cat([part[name] for part in parts]).mean()) for name in parts[0]}
        return told | ({"slots": self.talker.memory.used(address)} if self.config.memory else {})

    def _judged(self, starts: np.ndarray, edges: np.ndarray) -> dict[str, Tensor]:
        device = device_of(self.talker.face)
        references = self.windows.held_out_references(starts)
        batch = self.windows.read(starts, edges, references, self.by_lips)
        scene = self._scene({name: value.to(device) for name, value in batch.items()})
        made = self.talker.draw(self.talker.told(scene.heard), scene.inputs).float()
        at = mouth_of(made.shape[-1], self.config)
        pixels, structure = likeness(made, scene.true, scene.hidden, at)
        out = {"loss": 10 * pixels + (1 - structure), "pixels": pixels, "mouth_ssim": structure}
        out["address"] = self.talker.addresses(scene.heard)
        if "expert" in self.helpers:
            # Or else what is kept would date from before the expert was asked.
            sound = self.windows.sound(starts, edges).to(device)
            out["audio_visual"] = self._out_of_step(made, sound).expand(len(starts))
            out["loss"] = out["loss"] + self.config.weight_audio_visual * out["audio_visual"][0]
        if self.by_lips:
            lips = self.talker.memory.joined(scene.heard, self.talker.memory.see(self.lips(scene.windows)))
            seen = self.talker.draw(lips, scene.inputs).float()
            out["lip_pixels"], out["lip_ssim"] = likeness(seen, scene.true, scene.hidden, at)
        return out


def _spread(runs: Sequence[tuple[int, int]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `count` windows' first rows, evenly over runs, and their runs (n, 2)."""
    first = np.concatenate([np.arange(start, stop - FRAMES + 1) for start, stop in runs])
    edges = np.concatenate([np.tile(run, (run[1] - run[0] - FRAMES + 1, 1)) for run in runs])
    at = np.unique(np.linspace(0, len(first) - 1, min(count, len(first))).astype(int))
    return first[at], edges[at]
