"""The renderer as something that the engine trains. Called by `models.memface.method`.

A batch holds pictures as bytes; what they become is the device's work. The slots of a frame are found anew
each time, with a little noise on its key: predicted expressions are never quite on one that was seen.

Shape suffixes: B samples of L frames, N = B * L, k found slots, M slots, S canvas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.canvas.mask import GUARD
from models.losses import Perception
from models.losses.vgg import perception_of
from models.memface.config_renderer import RendererConfig
from models.memface.losses_renderer import drawing, judged, of_mouth, telling
from models.memface.network_renderer import Found, Renderer, conditions, laid_over
from models.memory.explicit import excluded, first_temperature
from models.memory.reading import found, posed
from models.methods import Turn
from models.networks import PatchDiscriminator
from models.networks.blocks import pictures_in
from models.training import HELD_OUT, TRAIN, Bundle, Plan, device_of, load_network

__all__ = ["RENDERER_ARRAYS", "RendererTrainee"]

_SHOWN = ("mesh", "cover", "corner", "share")  # what is seen of a frame's expression
_REMEMBERED = ("point", "turn", "key", "slot_keys", "slot_patches", "slot_rows")
RENDERER_ARRAYS = ("target", "mask", *_SHOWN, *_REMEMBERED)
_SPREADS = (0, 0, 2, 4, 8)  # pixels of 128 that a batch hides beyond the mask and its guard
_JUDGED = 64  # held-out frames that are looked at
_AT_ONCE = 8


class RendererTrainee:
    """See `models.methods.Trainee`."""

    def __init__(self, config: RendererConfig, bundle: Bundle, start: Mapping[str, Tensor] | None) -> None:
        bundle.require(RENDERER_ARRAYS)
        self.config, self.bundle = config, bundle
        self.plan: Plan = config.plan.changed({"seed": bundle.about.seed, **bundle.about.plan})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bundle.about.seed)
            self.renderer = Renderer(config)
            self.critic = PatchDiscriminator(6) if config.adversarial > 0 else None
        self.networks: dict[str, nn.Module] = {"renderer": self.renderer}
        if self.critic is not None:
            self.networks["critic"] = self.critic
        self.helpers: dict[str, nn.Module] = {"perception": perception_of(bundle.about.recipe)}
        self.averaged = ("renderer",)
        self._drawn: Tensor | None = None  # for the critic, by a renderer that has not changed since
        self._slots = _Slots(bundle, config)
        self._windows = _windows(bundle.segments(TRAIN), config.window)
        if not len(self._windows):
            raise ValueError(f"{bundle.path}: no run of {config.window} frames to train on")
        self._settle(start)

    def _settle(self, start: Mapping[str, Tensor] | None) -> None:
        if start:
            load_network(self.renderer, "renderer", start)
            return
        rows = self.bundle.rows(TRAIN)
        rows = rows[:: max(len(rows) // 512, 1)]
        distances = self._slots.find(rows, self._slots.asked(rows))[0]
        with torch.no_grad():
            self.renderer.temperature.fill_(float(np.log(first_temperature(distances))))

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.rate
        out: dict[str, torch.optim.Optimizer] = {
            "renderer": torch.optim.Adam(self.renderer.parameters(), rate, betas=(0.9, 0.99))
        }
        if self.critic is not None:
            out["critic"] = torch.optim.Adam(self.critic.parameters(), rate, betas=(0.5, 0.99))
        return out

    def turns(self, step: int) -> Sequence[Turn]:
        draw = Turn("draw", ("renderer",))
        if self.critic is None or step < self.config.told_from * self.plan.steps:
            return (draw,)
        return (Turn("tell", ("critic",), drawing=("renderer",)), Turn("play", ("renderer",)))

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        count, length = self.plan.batch, self.config.window
        picked = torch.randint(len(self._windows), (count,), generator=draw).numpy()
        rows = (self._windows[picked, 0][:, None] + np.arange(length)).reshape(-1)
        told = _shifted(rows, self._windows[picked], length, self.config.shifted, draw)
        noise = torch.randn(count * length, self._slots.width, generator=draw)
        asked = self._slots.asked(told, self.config.key_noise_mm * noise)
        out = self._material(rows, told, asked)
        hide = int(torch.randint(len(_SPREADS), (1,), generator=draw))
        pixels = round(_SPREADS[hide] * self.config.side / 128)
        out["spread"] = torch.full((count * length,), pixels)
        return {name: value.unflatten(0, (count, length)) for name, value in out.items()}

    def _material(self, rows: np.ndarray, told: np.ndarray, asked: Tensor) -> dict[str, Tensor]:
        """Truth of `rows` (N,), and the expression of `told` (N,)."""
        out = {name: self.bundle.tensor(name, rows) for name in ("target", "mask")}
        out |= {name: self.bundle.tensor(name, told) for name in _SHOWN}
        if self.config.memory:
            out["distances"], slots = self._slots.find(rows, asked)
            out["patches"] = self.bundle.tensor("slot_patches", slots.numpy())
            out["points"] = self._slots.points[slots]
        return out

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        length = batch["target"].shape[1]
        flat = {name: value.flatten(0, 1) for name, value in batch.items()}
        true = pictures_in(flat["target"])
        hidden = (flat["mask"] > 0).float()[:, None]
        if turn == "tell":
            self._drawn = self._draw(flat, length)
            both = torch.cat([true, self._drawn.detach().float()])
            return telling(*self._scores(flat, both).chunk(2))
        made = self._draw(flat, length) if self._drawn is None else self._drawn
        self._drawn = None
        perception = self.helpers["perception"]
        assert isinstance(perception, Perception)
        score = self._scores(flat, made.float()) if turn == "play" else None
        return drawing(made, true, hidden, perception, self.config, score)

    def _draw(self, flat: Mapping[str, Tensor], length: int) -> Tensor:
        spread = GUARD + (int(flat["spread"][0]) if "spread" in flat else 0)
        inputs = conditions(flat["target"], flat["mask"], flat["mesh"], flat["cover"], spread)
        remembered: Found | None = None
        if self.config.memory:
            names = ("patches", "points", "corner", "share", "distances")
            remembered = laid_over(*(flat[name] for name in names))
        return self.renderer(inputs, remembered, length)[0]

    def _scores(self, flat: Mapping[str, Tensor], pictures: Tensor) -> Tensor:
        """Of pictures of these frames, once or again and again."""
        assert self.critic is not None
        shown = of_mouth(pictures_in(flat["mesh"]))
        shown = shown.repeat(len(pictures) // len(shown), 1, 1, 1)
        scores: Tensor = self.critic(torch.cat([of_mouth(pictures), shown], 1))
        return scores

    def judge(self) -> dict[str, float]:
        """On held-out frames, evenly spread; without any, nothing is told."""
        length = self.config.window
        windows = _windows(self.bundle.segments(HELD_OUT), length)
        if not len(windows):
            return {}
        count = max(_JUDGED // length, 1)
        windows = windows[np.linspace(0, len(windows) - 1, min(count, len(windows))).astype(int)]
        pixels, alike = [], []
        for start in range(0, len(windows), _AT_ONCE):
            rows = (windows[start : start + _AT_ONCE, :1] + np.arange(length)).reshape(-1)
            flat = self._material(rows, rows, self._slots.asked(rows))
            device = device_of(self.renderer)
            flat = {name: value.to(device) for name, value in flat.items()}
            made = self._draw(flat, length).float()
            hidden = (flat["mask"] > 0).float()[:, None]
            away, same = judged(made, pictures_in(flat["target"]), hidden)
            pixels.append(away)
            alike.append(same)
        l1, structure = torch.cat(pixels).mean().item(), torch.cat(alike).mean().item()
        return {"loss": l1 + (1 - structure), "pixels": l1, "mouth_ssim": structure}


class _Slots:
    """The memory of a bundle, and which of it a row may see."""

    def __init__(self, bundle: Bundle, config: RendererConfig) -> None:
        self.found, self.around, self.turn_mm = config.found, config.neighbours, config.turn_mm
        self._keys, self._turn = bundle.tensor("key").flatten(1), bundle.tensor("turn")
        self.width = self._keys.shape[1]
        self.rows = bundle.tensor("slot_rows").long()
        keys = bundle.tensor("slot_keys").flatten(1)
        self.keys = posed(keys, self._turn[self.rows], self.turn_mm)
        side = bundle["slot_patches"].shape[1]
        if side != config.side:
            raise ValueError(f"{bundle.path}: slots of {side} pixels, not {config.side}")
        self.points = bundle.tensor("point")[self.rows]
        # What is held out is not remembered: what a network is judged by, it has never met.
        held_out = torch.zeros(len(self._keys) + 1, dtype=torch.bool)
        held_out[bundle.rows(HELD_OUT)] = True
        self._held_out = held_out[self.rows]

    def asked(self, rows: np.ndarray, noise: Tensor | float = 0.0) -> Tensor:
        """What the memory is asked for these rows."""
        return posed(self._keys[rows] + noise, self._turn[rows], self.turn_mm)

    def find(self, rows: np.ndarray, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Distances (N, k + 1) and slots (N, k)."""
        at = torch.from_numpy(rows)
        hidden = excluded(at, self.rows, self.around) | self._held_out[None]
        return found(asked, self.keys, self.found, hidden)


def _windows(runs: Sequence[tuple[int, int]], length: int) -> np.ndarray:
    """Every window's first row, and its run's first and last, (n, 3)."""
    parts = [
        np.stack(
            [np.arange(a, b - length + 1), *(np.full(b - length + 1 - a, edge) for edge in (a, b - length))],
            1,
        )
        for a, b in runs
        if b - a >= length
    ]
    return np.concatenate([np.zeros((0, 3), np.int64), *parts]).astype(np.int64)


def _shifted(
    rows: np.ndarray, windows: np.ndarray, length: int, share: float, draw: torch.Generator
) -> np.ndarray:
    """Rows whose expression is shown: a share of the windows show that of the frame before or after."""
    step = torch.randint(0, 2, (len(windows),), generator=draw) * 2 - 1
    chosen = torch.rand(len(windows), generator=draw) < share
    moved = windows[:, 0] + (step * chosen).numpy()
    moved = np.clip(moved, windows[:, 1], windows[:, 2])
    return (moved[:, None] + np.arange(length)).reshape(-1) if length > 0 else rows
