"""The network that draws: a source with a hole, five references, and what is to be said, to a whole crop.

    kept = network.remember(references)          # once for fixed references
    made = network(source, told, kept)           # as many frames as there are sources

Called by `training` and `painter`.

Shape suffixes: B frames, A sets of references, R references in a set, H, W height and width of a crop,
h, w a quarter of them, K numbers of a row that is told.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.dinet.adaat import AdaAT
from models.dinet.blocks import Down, Res, Same, Up, averaged
from models.dinet.config import Widths
from models.dinet.variants import Attention, Flow, Unmoved
from models.networks.norms import Still

__all__ = ["REFERENCES", "Drawer", "Remembered"]

REFERENCES = 5


class Remembered(NamedTuple):
    """What a set of references comes to; needs no source."""

    compared: Tensor  # (A, D, h, w) what the alignment's first layer makes of it
    ready: Tensor  # (A, C, h, w) as it is moved

    def repeated(self, frames: int) -> Remembered:
        """Each set for so many frames one after the other."""
        return Remembered(*(part.repeat_interleave(frames, 0) for part in self))


class Drawer(Still):
    """DINet itself. Pictures are 0 to 1, a hole is 0."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        w, both = widths, 2 * widths.code
        self.widths = widths
        self.source = _encoder(3, w)
        self.reference = _encoder(3 * REFERENCES, w)
        self.align = _aligner(w)
        self.sound = _listener(w)
        self.before = nn.Sequential(*(Res(w.deep, w.norm) for _ in range(w.before)))
        self.warp = _warp(w)
        told = both if w.told else 0
        self.after = nn.ModuleList(Res(w.deep, w.norm, code=told) for _ in range(w.after))
        self.decoder = _Decoder(w, told)

    def remember(self, references: Tensor) -> Remembered:
        """Sets (A, R, 3, H, W)."""
        seen = self.reference(references.flatten(1, 2))
        weight = self._comparing[0].weight[:, self.widths.deep :]
        return Remembered(functional.conv2d(seen, weight, padding=1), self.before(seen))

    @property
    def _comparing(self) -> Same:
        """The alignment's first layer: what it sees of source and of references is added up."""
        first = self.align[0]
        assert isinstance(first, Same)
        return first

    def code(self, source: Tensor, told: Tensor, kept: Remembered) -> Tensor:
        """(B, D): how the source's face lies to the references', and what is told (B, 5, K)."""
        conv, *rest = self._comparing
        seen = functional.conv2d(source, conv.weight[:, : self.widths.deep], conv.bias, padding=1)
        pair = nn.Sequential(*rest, *self.align[1:])(seen + kept.compared)
        return torch.cat([averaged(pair), averaged(self.sound(told.transpose(1, 2) * self.widths.loud))], 1)

    def forward(self, source: Tensor, told: Tensor, kept: Remembered) -> Tensor:
        """Crops (B, 3, H, W) of sources (B, 3, H, W); references are one set, or one for each."""
        seen = self.source(source)
        code = self.code(seen, told, kept)
        moved = self.warp(kept.ready, seen, code)
        for block in self.after:
            moved = block(moved, code)
        around = seen if self.widths.inpaint else torch.zeros_like(seen)
        return self.decoder(torch.cat([around, moved], 1), code)


class _Decoder(nn.Module):
    """Features of source and references (B, 2 C, h, w) to a picture."""

    def __init__(self, w: Widths, told: int) -> None:
        super().__init__()
        self.join = Same(2 * w.deep, w.code, 3, w.norm)
        self.grow = Up(w.code, w.code, w.norm)
        self.refine = Res(w.code, w.norm, code=told)
        self.whole = Up(w.code, w.last, w.norm)
        self.end = nn.Conv2d(w.last, 3, w.ends, padding=w.ends // 2)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        half = self.refine(self.grow(self.join(x)), code)
        return torch.sigmoid(self.end(self.whole(half)).float())


def _encoder(into: int, w: Widths) -> nn.Sequential:
    between = w.deep // 2
    return nn.Sequential(
        Same(into, w.first, w.ends, w.norm),
        Down(w.first, between, w.norm),
        Down(between, w.deep, w.norm),
    )


def _aligner(w: Widths) -> nn.Sequential:
    c, n = w.code, w.norm
    first, second = w.wide
    return nn.Sequential(
        Same(2 * w.deep, c, 3, n),
        *(Same(c, c, first, n), Same(c, c, first, n), Down(c, c, n)),
        *(Same(c, c, second, n), Same(c, c, second, n), Down(c, c, n)),
        *(Same(c, c, 3, n), Down(c, c, n)),
        *(Same(c, c, 3, n), Down(c, c, n)),
    )


def _listener(w: Widths) -> nn.Sequential:
    c, n = w.code, w.norm
    return nn.Sequential(
        Same(w.heard, c, 5, n, line=True),
        *(Res(c, n, line=True), Down(c, c, n, line=True)),
        *(Res(c, n, line=True), Down(c, c, n, line=True)),
        Same(c, c, 3, n, line=True),
    )


def _warp(w: Widths) -> nn.Module:
    both = 2 * w.code
    if not w.deform:
        return Unmoved()
    if w.warp == "adaat":
        return AdaAT(w.deep, both, w.compat)
    if w.warp == "attention":
        return Attention(w.deep, both)
    if w.warp == "flow":
        return Flow(w.deep, both, w.norm)
    raise ValueError(f"features are moved by adaat, attention or flow, not {w.warp!r}")
