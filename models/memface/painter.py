"""The trained renderer at work: views of a template in, patches to lay on them out.

Called by `models.memface.method`, whose speaker listens and hands the wanted expressions to `Painter.draw`.
Of a template only places and light are kept.

Shape suffixes: B frames of a view, S canvas, D numbers of a key.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from models.canvas import matched, sample
from models.canvas.mask import GUARD, guard_of
from models.canvas.mesh import Meshes
from models.canvas.template import Canvases
from models.memface.config_renderer import RendererConfig
from models.memface.network_renderer import Found, Renderer, conditions, laid_over
from models.memory.reading import found, keys_of, posed, sized
from models.methods import Drawn, Memory, Person, Template, View
from models.networks.blocks import pictures_out
from models.training import load_network

__all__ = ["Painter"]


class Painter:
    """One person's renderer, its memory, and the template that it works on."""

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
        memory = person.memory if config.memory else None
        self._slots = None if memory is None else _Slots(memory, config, self.device)
        self._state: tuple[Tensor, Tensor] | None = None
        self._run: int | None = None
        self.canvases: Canvases | None = None

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
        mesh = self.canvases.mesh(view.fit, expression, self.canvases.light[view.frames], at)
        keys, guard = keys_of(self.person.identity, expression), guard_of(at)
        made = self.paint(canvas, alpha, mesh, keys, view.fit.rotation, view.run, guard)
        speaks = view.speaks.to(alpha.dtype)[:, None, None]
        return Drawn(matched(made, canvas, alpha, guard), at, alpha * speaks)

    @torch.inference_mode()
    def paint(
        self,
        canvas: Tensor,
        alpha: Tensor,
        mesh: Meshes,
        keys: Tensor,
        turn: Tensor,
        run: Tensor,
        guard: int = GUARD,
    ) -> Tensor:
        """Canvases (B, S, S, 3) uint8; what lies under the mask of `canvas` is not looked at."""
        told = (part.to(self.device) for part in (canvas, alpha, mesh.pictures, mesh.covers))
        inputs = conditions(*told, guard).to(self.kind)
        remembered = None if self._slots is None else self._slots.over(mesh, keys, turn)
        if self.network.over_time is None:
            return pictures_out(self.network(inputs, remembered)[0]).cpu()
        out = []
        for start, stop in _runs(run):
            if int(run[start]) != self._run:
                self._state, self._run = None, int(run[start])
            part = None if remembered is None else Found(*(values[start:stop] for values in remembered))
            made, self._state = self.network(inputs[start:stop], part, stop - start, self._state)
            out.append(pictures_out(made))
        return torch.cat(out).cpu()


class _Slots:
    """A person's memory, ready to be asked."""

    def __init__(self, memory: Memory, config: RendererConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._keys = posed(memory.keys.flatten(1), memory.turn, config.turn_mm)
        self._points = memory.points.to(device)
        self._patches = sized(memory.patches, config.side).to(device)

    def over(self, mesh: Meshes, keys: Tensor, turn: Tensor) -> Found:
        """Slots like these mouths (B, D) of heads turned so (B, 3), as they would lie on these meshes."""
        asked = posed(keys, turn, self._config.turn_mm)
        distances, slots = (part.to(self._device) for part in found(asked, self._keys, self._config.found))
        corners, shares = (part.to(self._device) for part in (mesh.corners, mesh.shares))
        return laid_over(self._patches[slots], self._points[slots], corners, shares, distances)


def _runs(run: Tensor) -> list[tuple[int, int]]:
    """Stretches (start, stop) of the same run."""
    cuts = [0, *(torch.nonzero(run[1:] != run[:-1])[:, 0] + 1).tolist(), len(run)]
    return list(itertools.pairwise(cuts))
