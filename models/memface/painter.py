"""The trained renderer at work: views of a template in, patches to lay on them out.

Called by `models.memface.method`, whose speaker listens and hands the wanted expressions to `Painter.draw`.
Everything of the memory is encoded once; of a template only places and light are kept.

Shape suffixes: B frames of a view, M slots, S canvas, k found slots.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from models.canvas import matched, mouth_box, sample
from models.canvas.mask import GUARD, guard_of
from models.canvas.template import Canvases
from models.memface.config_renderer import RendererConfig
from models.memface.network_renderer import Renderer, conditions
from models.memory.reading import found, keys_of, sized
from models.methods import Drawn, Person, Template, View
from models.networks.blocks import pictures_in, pictures_out
from models.training import load_network

__all__ = ["Painter"]

_AT_ONCE = 64  # slots that are encoded together


class Painter:
    """One person's renderer, its memory encoded, and the template that it works on."""

    def __init__(
        self,
        config: RendererConfig,
        weights: Mapping[str, Tensor],
        person: Person,
        device: torch.device | str | None = None,
    ) -> None:
        if person.memory is None and config.memory:
            raise ValueError("a renderer with a memory needs one: remember this person first")
        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.config, self.person, self.device = config, person, torch.device(where)
        self.kind = torch.bfloat16 if config.plan.precision == "bfloat16" else torch.float32
        network = Renderer(config)
        load_network(network, "renderer", weights)
        self.network = network.to(self.device, self.kind, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._keys = None if person.memory is None else person.memory.keys.flatten(1)
        self._bank = self._remember()
        self._state: tuple[Tensor, Tensor] | None = None
        self._run: int | None = None
        self.canvases: Canvases | None = None

    @torch.inference_mode()
    def _remember(self) -> tuple[Tensor, ...] | None:
        """All slots' features, level by level (M, C, p, p)."""
        if not self.config.memory or self.person.memory is None:
            return None
        rows, columns = mouth_box(self.config.side)
        parts = []
        for patches in self.person.memory.patches.split(_AT_ONCE):
            mouths = pictures_in(sized(patches, self.config.side)[:, rows, columns])
            parts.append(self.network.remember(mouths.to(self.device, self.kind)))
        return tuple(torch.cat(level) for level in zip(*parts, strict=True))

    def meet(self, template: Template) -> None:
        """The template whose frames come next."""
        self.canvases = Canvases(self.person, template, self.config.side)
        self._state, self._run = None, None

    @torch.inference_mode()
    def draw(self, view: View) -> Drawn:
        """Mouths for a block of frames; every expression is the wanted one."""
        assert self.canvases is not None, "meet the template first"
        at = self.canvases.places[view.frames]
        canvas = sample(view.pictures, at, self.config.side)
        alpha = self.canvases.alpha(view.fit, at)
        expression = view.motion.expression.float()
        light = self.canvases.light[view.frames]
        mesh, cover = self.canvases.mesh(view.fit, expression, light, at)
        keys, guard = keys_of(self.person.identity, expression), guard_of(at)
        made = self.paint(canvas, alpha, mesh, cover, keys, view.run, guard)
        speaks = view.speaks.to(alpha.dtype)[:, None, None]
        return Drawn(matched(made, canvas, alpha, guard), at, alpha * speaks)

    @torch.inference_mode()
    def paint(
        self,
        canvas: Tensor,
        alpha: Tensor,
        mesh: Tensor,
        cover: Tensor,
        keys: Tensor,
        run: Tensor,
        guard: int = GUARD,
    ) -> Tensor:
        """Canvases (B, S, S, 3) uint8; what lies under the mask of `canvas` is not looked at."""
        told = (part.to(self.device) for part in (canvas, alpha, mesh, cover))
        inputs = conditions(*told, guard).to(self.kind, memory_format=torch.channels_last)
        features = self._features(keys)
        if self.network.over_time is None:
            return pictures_out(self.network(inputs, features)[0]).cpu()
        out = []
        for start, stop in _runs(run):
            if int(run[start]) != self._run:
                self._state, self._run = None, int(run[start])
            part = None if features is None else tuple(f[start:stop] for f in features)
            made, self._state = self.network(inputs[start:stop], part, stop - start, self._state)
            out.append(pictures_out(made))
        return torch.cat(out).cpu()

    def _features(self, keys: Tensor) -> tuple[Tensor, ...] | None:
        if self._bank is None or self._keys is None:
            return None
        distances, slots = found(keys, self._keys, self.config.found)
        slots = slots.to(self.device)
        return self.network.read(tuple(f[slots] for f in self._bank), distances.to(self.device))


def _runs(run: Tensor) -> list[tuple[int, int]]:
    """Stretches (start, stop) of the same run."""
    cuts = [0, *(torch.nonzero(run[1:] != run[:-1])[:, 0] + 1).tolist(), len(run)]
    return list(itertools.pairwise(cuts))
