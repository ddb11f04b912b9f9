"""Render-to-video: ten rendered faces with their eye attention maps, and what surrounds the head, to a frame.

Two generators of one face: a small U-Net, and pix2pixHD's local enhancer at the paper's size. Both also say
how far a pixel is drawn at all: where it is not, what lies behind the head is shown as it was filmed, so that
no wall can swim. The critic is pix2pixHD's, at several scales.

Shape suffixes: B frames, C channels, S side of a canvas.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.facial.config_picture import AFTER, BEFORE, PictureConfig
from models.networks.blocks import Conv, Down, Up

__all__ = ["SURROUNDINGS", "WINDOW", "Critic", "Enhancer", "Picture", "Scales", "inputs_of", "new_generator"]

WINDOW = BEFORE + 1 + AFTER
# Beside the renders: what is around the hole, the hole, and what lies behind.
SURROUNDINGS = 3 + 1 + 3
_SLOPE = 0.2


class Picture(NamedTuple):
    """What a generator makes: colours (B, 3, S, S), -1 to 1, and how far they are seen (B, 1, S, S)."""

    colours: Tensor
    seen: Tensor

    def over(self, plate: Tensor) -> Tensor:
        """Colours before what lies behind (B, 3, S, S)."""
        return plate + self.seen * (self.colours - plate)


def inputs_of(
    renders: Tensor, eyes: Tensor, shut: Tensor, around: Tensor, hole: Tensor, plate: Tensor
) -> Tensor:
    """All that a generator is shown: (B, 40 + 7, S, S).

    `renders` (B, 10, S, S, 3) and `eyes` (B, 10, S, S) are bytes, `shut` (B, 10) is AU45, 0 to 5, around and
    plate (B, 3, S, S) are -1 to 1, and of `around` nothing is seen in the hole (B, 1, S, S).
    """
    faces = renders.permute(0, 1, 4, 2, 3).flatten(1, 2).to(around.dtype) / 127.5 - 1
    lids = eyes.to(around.dtype) / 255 * (shut / 5)[..., None, None].to(around.dtype)
    return torch.cat([faces, lids, around * (1 - hole), hole, plate], 1)


class Unet(nn.Module):
    """Small enough for a laptop: half the canvas and below, and four pixels at a time at the end."""

    def __init__(self, config: PictureConfig) -> None:
        super().__init__()
        widths, blocks = config.widths, config.residuals
        self.first = Conv(_channels(config), widths[0], 3, 2)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList([Down(into, out, residuals=blocks) for into, out in pairs])
        self.up = nn.ModuleList([Up(into, out, residuals=blocks) for out, into in reversed(pairs)])
        self.last = nn.Conv2d(widths[0], 4 * 4, 3, 1, 1)
        nn.init.normal_(self.last.weight, 0, 0.02)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Picture:
        x, skips = self.first(x), []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip)
        return _told(functional.pixel_shuffle(self.last(x), 2))


def _told(made: Tensor) -> Picture:
    return Picture(torch.tanh(made[:, :3]), torch.sigmoid(made[:, 3:] + 2))


def _channels(config: PictureConfig) -> int:
    return WINDOW * 4 + SURROUNDINGS


# pix2pixHD ---------------------------------------------------------------------------------------------


class _Block(nn.Module):
    """x + two convolutions, mirrored at the edges."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_normed(width, width), *_normed(width, width)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _normed(into: int, out: int, kernel: int = 3) -> list[nn.Module]:
    mirror = nn.ReflectionPad2d(kernel // 2)
    return [mirror, nn.Conv2d(into, out, kernel), nn.InstanceNorm2d(out), nn.ReLU(inplace=True)]


def _down(into: int) -> list[nn.Module]:
    return [nn.Conv2d(into, 2 * into, 3, 2, 1), nn.InstanceNorm2d(2 * into), nn.ReLU(inplace=True)]


def _up(into: int) -> list[nn.Module]:
    made = nn.ConvTranspose2d(into, into // 2, 3, 2, 1, output_padding=1)
    return [made, nn.InstanceNorm2d(into // 2), nn.ReLU(inplace=True)]


class Enhancer(nn.Module):
    """The local enhancer: a global network at half the size, and one around it. [paper]"""

    def __init__(
        self, into: int, out: int, width: int = 32, downs: int = 4, blocks: int = 4, own: int = 3
    ) -> None:
        super().__init__()
        wide = 2 * width
        deep = [wide * 2**k for k in range(downs)]
        self.whole = nn.Sequential(
            *_normed(into, wide, 7),
            *(layer for one in deep for layer in _down(one)),
            *(_Block(2 * deep[-1]) for _ in range(blocks)),
            *(layer for one in reversed(deep) for layer in _up(2 * one)),
        )
        self.enter = nn.Sequential(*_normed(into, width, 7), *_down(width))
        self.leave = nn.Sequential(*(_Block(wide) for _ in range(own)), *_up(wide))
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, out, 7))

    def forward(self, x: Tensor) -> Tensor:
        half = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return self.last(self.leave(self.enter(x) + self.whole(half)))


class Enhanced(nn.Module):
    """The enhancer as a generator."""

    def __init__(self, config: PictureConfig) -> None:
        super().__init__()
        self.body = Enhancer(_channels(config), 4)

    def forward(self, x: Tensor) -> Picture:
        return _told(self.body(x))


def new_generator(config: PictureConfig) -> nn.Module:
    """The generator that a configuration asks for."""
    return Unet(config) if config.light else Enhanced(config)


# Who tells apart ---------------------------------------------------------------------------------------


class Critic(nn.Module):
    """Patches of one scale: scores, and what each layer before them saw."""

    def __init__(self, into: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Sequential(nn.Conv2d(into, width, 4, 2, 2), nn.LeakyReLU(_SLOPE))]
        for k in range(1, layers + 1):
            before, after = width * 2 ** (k - 1), width * 2**k
            conv = nn.Conv2d(before, after, 4, 2 if k < layers else 1, 2)
            parts.append(nn.Sequential(conv, nn.InstanceNorm2d(after), nn.LeakyReLU(_SLOPE)))
        parts.append(nn.Conv2d(width * 2**layers, 1, 4, 1, 2))
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> list[Tensor]:
        seen = []
        for part in self.parts:
            x = part(x)
            seen.append(x)
        return seen


class Scales(nn.Module):
    """Critics of a picture and of its halves."""

    def __init__(self, into: int, count: int, width: int = 64) -> None:
        super().__init__()
        self.critics = nn.ModuleList([Critic(into, width) for _ in range(count)])

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        found = []
        for critic in self.critics:
            found.append(critic(x))
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found
