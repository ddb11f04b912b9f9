"""The trained network at work: views of a template in, patches to lay on them out.

References do not change while somebody speaks: what the network makes of them is made once. Called by
`models.dinet.method`, whose speaker listens.

Shape suffixes: B frames of a view, R references, S square canvas, W columns of a crop, K numbers told.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.canvas.framing import TALL
from models.canvas.painting import Easel
from models.dinet.blocks import folded
from models.dinet.config import DINetConfig
from models.dinet.network import REFERENCES, Drawer, Remembered
from models.dinet.picture import columns, crop, opened, shown
from models.dinet.training import NETWORK
from models.memory.reading import sized
from models.methods import Drawn, Person, Template, View
from models.training import load_network

__all__ = ["Painter"]


class Painter:
    """One person's references, the network, and the template that it works on."""

    def __init__(
        self,
        config: DINetConfig,
        weights: Mapping[str, Tensor],
        person: Person,
        device: torch.device | str | None = None,
    ) -> None:
        if person.references is None or len(person.references) != REFERENCES:
            raise ValueError(f"dinet draws from {REFERENCES} pictures of the person: show it so many")
        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.config, self.device = config, torch.device(where)
        fast = config.courses[-1].plan.precision == "bfloat16"
        self.kind = torch.bfloat16 if fast else torch.float32
        network = Drawer(config.widths)
        own = {name: value for name, value in weights.items() if name.startswith(f"{NETWORK}/")}
        load_network(network, NETWORK, own)
        if config.widths.norm:
            folded(network)
        self.network = network.to(self.device, self.kind, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.easel = Easel(person, config.side, TALL)
        self._kept = self._remember(sized(person.references, config.side))

    @torch.inference_mode()
    def _remember(self, references: Tensor) -> Remembered:
        """Of canvases (R, S, S, 3) uint8."""
        crops = crop(references[:, :, columns(self.config.side)])[None]
        return self.network.remember(crops.to(self.device, self.kind))

    def meet(self, template: Template) -> None:
        """The template whose frames come next."""
        self.easel.meet(template)

    @torch.inference_mode()
    def draw(self, view: View, told: Tensor) -> Drawn:
        """Mouths that say what is told (B, 5, K)."""
        looked = self.easel.look(view)
        # The canvas around a crop is shown, too: where it is laid, colours are compared.
        made, at = looked.canvases.clone(), columns(self.config.side)
        hole = opened(looked.hidden)
        made[:, :, at] = self.paint(looked.canvases[:, :, at], hole, told)
        return self.easel.lay(made, looked, view)

    @torch.inference_mode()
    def paint(self, canvases: Tensor, hole: Tensor, told: Tensor) -> Tensor:
        """Crops (B, S, W, 3) uint8; what lies in the hole (B, 1, S, W) is not looked at."""
        out = []
        for part in torch.arange(len(canvases)).split(self.config.at_once):
            seen = shown(crop(canvases[part]), hole[part]).to(self.device, self.kind)
            seen = seen.contiguous(memory_format=torch.channels_last)
            made = self.network(seen, told[part].to(self.device, self.kind), self._kept)
            out.append(made.mul(255).add(0.5).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu())
        return torch.cat(out) if out else canvases.clone()
