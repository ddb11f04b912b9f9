"""The sync expert as something that the engine trains. Called by `models.sync.method`.

A batch holds stretches of consecutive frames. Every window of five in a stretch is to find its own sound
among the others', and to be told from one sound that is not its own: a little shifted, or far away.

Shape legend: P stretches of L frames and K = L - 4 windows, D embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.canvas.framing import MOUTH
from models.methods import Turn
from models.networks.blocks import pictures_in
from models.sync.checking import lateness, out_of_step
from models.sync.config import SyncConfig
from models.sync.judging import REACH, SECOND, Told, choices
from models.sync.looks import kept_features, other_looks, other_recording
from models.sync.losses import choosing, negatives, telling
from models.sync.network import NETWORK, VOICE, SyncNet
from models.sync.sight import FRAMES, ROWS, mouths_of, sound_windows
from models.training import HELD_OUT, TRAIN, Bundle, Plan, device_of, load_network

__all__ = ["ARRAYS", "SyncTrainee"]

ARRAYS = ("target", "sound", "key")
_QUIET = 0.1  # what a window counts in which nobody speaks
_JUDGED = 48  # held-out stretches that are looked at
_SEED = 5  # of the negatives of judging


class SyncTrainee:
    """See `models.methods.Trainee`."""

    averaged: tuple[str, ...] = (NETWORK,)

    def __init__(self, config: SyncConfig, bundle: Bundle, start: Mapping[str, Tensor] | None) -> None:
        bundle.require(ARRAYS)
        self.config, self.bundle = config, bundle
        self.known = bool(start)
        self.plan: Plan = bundle.plan(config.plan_for(self.known))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bundle.about.seed)
            self.net = SyncNet(config)
        if start:
            load_network(self.net, NETWORK, start)
        self.networks: Mapping[str, nn.Module] = {NETWORK: self.net}
        self.helpers: Mapping[str, nn.Module] = {}
        # Who knows already what lips do brings clips in step; else only a table can tell which are not.
        self.left_out = set() if start else out_of_step(bundle)
        late = lateness(self.net, bundle) if start else {}
        self._reads = _Reads(bundle, late)
        self._starts = self._possible(TRAIN, config.stretch)
        if not len(self._starts):
            raise ValueError(f"{bundle.path}: no run of {config.stretch} frames to train on")

    def _possible(self, split: str, length: int, step: int = 1) -> np.ndarray:
        """First rows of stretches so long."""
        runs = [
            np.arange(one.start, one.stop - length + 1, step)
            for one in self.bundle.about.segments
            if one.split == split and one.clip not in self.left_out
        ]
        return np.concatenate([np.zeros(0, np.int64), *runs]).astype(np.int64)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.own_rate if self.known else self.config.rate
        plain = [one for one in self.net.parameters() if one.ndim < 2]
        shaped = [one for one in self.net.parameters() if one.ndim >= 2]
        groups: list[dict[str, Any]] = [
            {"params": shaped, "weight_decay": self.config.decay},
            {"params": plain},
        ]
        return {NETWORK: torch.optim.AdamW(groups, rate, betas=(0.9, 0.98), weight_decay=0.0)}

    def turns(self, step: int) -> Sequence[Turn]:
        return (Turn("learn", (NETWORK,)),)

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        picked = torch.randint(len(self._starts), (self.plan.batch,), generator=draw).numpy()
        out = self._material(self._starts[picked], self.config.stretch)
        windows = self.config.stretch - FRAMES + 1
        return {**out, "other": negatives(len(picked), windows, draw)}

    def _material(self, starts: np.ndarray, length: int) -> dict[str, Tensor]:
        """Frames (P, L, S, S, 3) uint8 and the sound of their windows (P, K, 13, 2, 111)."""
        first = torch.from_numpy(starts)[:, None] + torch.arange(length - FRAMES + 1)
        rows = starts[:, None] + np.arange(length)
        sound = self._reads.windows(first.flatten())
        return {
            "target": self.bundle.tensor("target", rows),
            "sound": sound.reshape(*first.shape, ROWS, 2, -1),
        }

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        told = self._embedded(batch, changed=True)
        weight = _QUIET + (1 - _QUIET) * told.spoken
        choice = choosing(self.net, told.seen, told.heard, weight)
        pairs, right = telling(self.net, told.seen, told.heard, batch["other"], weight)
        return {"loss": choice + pairs, "choice": choice, "pairs": pairs, "right": right}

    def _embedded(self, batch: Mapping[str, Tensor], changed: bool) -> Told:
        count, length = batch["target"].shape[:2]
        pictures = pictures_in(batch["target"])
        sound, kept = batch["sound"].float(), None
        spoken = sound[..., VOICE].mean((2, 3))
        if changed:
            mouths = other_looks(pictures, self.config).flatten(0, 1)
            sound = other_recording(sound, self.config)
            kept = kept_features(count, self.config.deaf, sound.device)
            kept = kept.repeat_interleave(length - FRAMES + 1, 0)
        else:
            mouths = mouths_of(pictures.flatten(0, 1), MOUTH)
        features = self.net.looked(mouths)
        features = features.reshape(count, length, *features.shape[1:])
        seen = self.net.together(features.unfold(1, FRAMES, 1).movedim(-1, 2).flatten(0, 1))
        heard = self.net.hear(sound.flatten(0, 1), kept)
        windows = (count, length - FRAMES + 1, -1)
        return Told(seen.reshape(windows), heard.reshape(windows), spoken)

    def judge(self) -> dict[str, float]:
        """On held-out stretches as they are; shares are of windows in which somebody speaks."""
        whole = SECOND + 2 * REACH + FRAMES - 1
        length = whole if len(self._possible(HELD_OUT, whole)) else self.config.stretch
        starts = self._possible(HELD_OUT, length, length)
        if not len(starts):
            return {}
        count = min(_JUDGED, len(starts))
        told = self._looked_at(starts[np.linspace(0, len(starts) - 1, count).astype(int)], length)
        weight = (told.spoken > 0.5).float()
        if not weight.any():
            return {}
        other = negatives(len(weight), weight.shape[1], torch.Generator().manual_seed(_SEED)).to(
            weight.device
        )
        choice = choosing(self.net, told.seen, told.heard, weight)
        pairs, right = telling(self.net, told.seen, told.heard, other, weight)
        judged = {"loss": choice + pairs, "choice_loss": choice, "pair_loss": pairs, "accuracy": right}
        more = choices(told, weight) if length == whole else {}
        return {name: float(value) for name, value in judged.items()} | more

    def _looked_at(self, starts: np.ndarray, length: int) -> Told:
        parts, device = [], device_of(self.net)
        for some in np.array_split(starts, -(-len(starts) // 8)):
            batch = {name: value.to(device) for name, value in self._material(some, length).items()}
            parts.append(self._embedded(batch, changed=False))
        return Told(*(torch.cat(part) for part in zip(*parts, strict=True)))


class _Reads:
    """Windows of sound where they belong, out of an array that stays on disk."""

    def __init__(self, bundle: Bundle, late: Mapping[str, int]) -> None:
        self._sound, segments = bundle["sound"], bundle.about.segments
        self._runs = [(one.start, one.stop) for one in segments]
        self._late = torch.zeros(len(self._sound), dtype=torch.int64)
        for one in segments:
            self._late[one.start : one.stop] = late.get(one.clip, 0)

    def windows(self, first: Tensor) -> Tensor:
        """(n, 13, 2, 111) of the windows that begin with these rows (n,)."""
        numbers = torch.arange(len(self._sound))[:, None, None]
        read = sound_windows(numbers, first, self._runs, self._late[first])[..., 0, 0]
        return torch.from_numpy(self._sound[read.numpy()])
