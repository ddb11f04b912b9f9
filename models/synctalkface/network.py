"""SyncTalkFace's networks: what hears, what sees lips, what sees the face, what draws, and what judges.

One code for all sizes: with the configuration's defaults they are the paper's, layer by layer. Called by
`talker` and `training`.

Shape legend: N frames, B windows, T frames of a window, C width, S side.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.canvas.framing import FACE
from models.networks import PatchDiscriminator
from models.networks.blocks import Residual
from models.networks.norms import Still
from models.synctalkface.config import FRAMES, TalkerConfig
from models.synctalkface.layers import Conv, Grow, Same, pixels_apart

__all__ = ["Critic", "Decoder", "Ear", "FaceEncoder", "LipEncoder", "MelEncoder", "hearing", "judging"]

_SHAPE = 120  # numbers of a mouth's shape
_AROUND = 5  # mouth shapes of one frame
_SOFT = 0.125  # blocks that hear all of a code at full strength are torn about by the first steps
_LOUD = 3.0  # makes of their numbers some of unit deviation
_CROPPED_AT = 32  # the smallest size at which the mouth's canvas lies on whole cells


class MelEncoder(Still):
    """What is heard (N, C) in 0.2 s of log-mel (N, 16, 80)."""

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        n = config.norm
        stages = ((32, 1, 2), (64, (3, 1), 2), (128, 3, 2), (256, (3, 2), 1))
        layers: list[nn.Module] = []
        into = 1
        for width, stride, times in stages:
            layers += [Conv(into, width, 3, stride, 1, n), *(Same(width, n) for _ in range(times))]
            into = width
        layers += [Conv(into, config.width, 3, 1, 0, n), Conv(config.width, config.width, 1, 1, 0, n)]
        self.body = nn.Sequential(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        told: Tensor = self.body(mel.transpose(1, 2)[:, None])
        return told.flatten(1)


class Ear(Still):
    """What is heard (N, C) in mouth shapes around a frame (N, 5, 120)."""

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        wide = config.hidden
        sizes = (_AROUND * _SHAPE, wide, wide, config.width)
        layers = [(nn.Linear(a, b), nn.LeakyReLU(0.1)) for a, b in itertools.pairwise(sizes)]
        for linear, _ in layers:
            # Begun as usual, three layers leave next to nothing of what they are told.
            nn.init.kaiming_normal_(linear.weight, 0.1)
        self.body = nn.Sequential(*[part for pair in layers for part in pair][:-1])

    def forward(self, shapes: Tensor) -> Tensor:
        told: Tensor = self.body(_LOUD * shapes.flatten(1))
        return told


def hearing(config: TalkerConfig) -> Still:
    """The encoder of what this configuration hears."""
    return Ear(config) if config.hearing == "ear" else MelEncoder(config)


class LipEncoder(Still):
    """Lip features (B (T - 4), C) of the middle frames of windows (B, 3, T, h, w), row by row.

    The paper's first layer goes over all five frames at once, which is a plain convolution of fifteen
    channels; a longer window is as many overlapping ones.
    """

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        n, shrink = config.norm, config.shrink
        self.shrink, self.bounded, wide = shrink, n, config.lips[0][0]
        self.first = nn.Conv2d(3 * FRAMES, wide, 7, 2, 3)
        layers: list[nn.Module] = []
        for (into, _), (width, times) in itertools.pairwise(config.lips):
            layers += [Conv(into, width, 3, 2, 1, n), *(Same(width, n) for _ in range(times))]
        rest = _halved(_side_of(config) // shrink, len(config.lips))
        layers += [Conv(width, config.width, rest, 1, 0, n), Conv(config.width, config.width, 1, 1, 0, n)]
        self.body = nn.Sequential(*layers)

    def forward(self, windows: Tensor) -> Tensor:
        if self.shrink > 1:
            windows = functional.avg_pool3d(windows, (1, self.shrink, self.shrink))
        fives = windows.unfold(2, FRAMES, 1).permute(0, 2, 1, 5, 3, 4)
        told: Tensor = self.body(self.first(fives.flatten(2, 3).flatten(0, 1))).flatten(1)
        # Norms keep features in bounds; without them the memory would have to follow wherever they go.
        return told if self.bounded else functional.layer_norm(told.float(), told.shape[1:])


def _side_of(config: TalkerConfig) -> int:
    """Of the pictures that are drawn."""
    return round(config.side / FACE.side * config.framing.side)


def _halved(side: int, times: int) -> int:
    for _ in range(times):
        side = (side + 1) // 2
    return side


class FaceEncoder(Still):
    """Features of a face (N, 6 or 7, S, S) at every size, finest first, the last (N, C, 1, 1)."""

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        n, (first, times) = config.norm, config.face[0]
        self.shrink = config.shrink
        into = config.inputs * config.shrink**2
        stem = Conv(into, first, config.first, 1, config.first // 2, n)
        levels: list[nn.Module] = [nn.Sequential(stem, *(Same(first, n) for _ in range(times)))]
        for (above, _), (width, times) in itertools.pairwise(config.face):
            same = (Same(width, n) for _ in range(times))
            levels.append(nn.Sequential(Conv(above, width, 3, 2, 1, n), *same))
        wide, deepest = config.width, config.face[-1][0]
        levels.append(nn.Sequential(Conv(deepest, wide, 4, 1, 0, n), Conv(wide, wide, 1, 1, 0, n)))
        self.levels = nn.ModuleList(levels)

    def forward(self, faces: Tensor) -> list[Tensor]:
        x, found = pixels_apart(faces, self.shrink), []
        for level in self.levels:
            x = level(x)
            found.append(x)
        return found


class Decoder(Still):
    """Pictures (N, 3, s, s), -1 to 1, of what is told (N, C) and of the face's features."""

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        n, wide = config.norm, config.width
        self.cropped = config.draws == "mouth"
        self.told = Conv(wide, wide, 1, 1, 0, n)
        self.level = nn.LayerNorm(wide, elementwise_affine=False) if config.bends else nn.Identity()
        skips = [wide, *(width for width, _ in reversed(config.face))]
        before = [wide, *(width for width, _ in config.drawn)]
        self.grown, self.refined = nn.ModuleList(), nn.ModuleList()
        for k, (width, times) in enumerate(config.drawn):
            self.grown.append(Grow(before[k] + skips[k], width, k == 0, n))
            # [ours] From the bottleneck alone what is told reaches lips after some ten thousand steps.
            refined = (Residual(width, code=wide) if config.bends else Same(width, n) for _ in range(times))
            self.refined.append(nn.ModuleList(refined))
        self.last = Conv(config.drawn[-1][0] + skips[-1], config.last, 3, 1, 1, n)
        self.out = _ending(config)

    def forward(self, told: Tensor, face: list[Tensor]) -> Tensor:
        x = torch.cat([self.told(told[:, :, None, None]), face[-1]], 1)
        code = _SOFT * self.level(told)
        for grow, refined, skip in zip(self.grown, self.refined, reversed(face[:-1]), strict=True):
            if self.cropped and skip.shape[-1] >= _CROPPED_AT:
                x, skip = _on_canvas(grow, x, skip)
            else:
                x = grow(x)
            assert isinstance(refined, nn.ModuleList)
            for block in refined:
                x = block(x, code) if isinstance(block, Residual) else block(x)
            x = torch.cat([x, skip], 1)
        return torch.tanh(self.out(self.last(x)))


def _ending(config: TalkerConfig) -> nn.Module:
    """From features to colours; small networks are at half the size until then."""
    last, shrink = config.last, config.shrink
    if shrink == 1:
        return nn.Conv2d(last, 3, 1)
    half = last // 2
    return nn.Sequential(
        nn.Upsample(scale_factor=float(shrink)),
        Conv(last, half, 3, 1, 1, config.norm),
        nn.Conv2d(half, 3, 5, 1, 2),
    )


def _on_canvas(grow: nn.Module, x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
    """What is grown and what is beside it, on the mouth's canvas alone; half a cell more is grown at most."""
    rows, columns = FACE.box(skip.shape[-1])
    if 2 * x.shape[-1] == skip.shape[-1]:
        wide = [slice(one.start // 2, (one.stop + 1) // 2) for one in (rows, columns)]
        x = grow(_cut(x, *wide))
        top, left = (one.start - 2 * two.start for one, two in zip((rows, columns), wide, strict=True))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        x = _cut(x, slice(top, top + height), slice(left, left + width))
    else:
        x = grow(x)
    return x, _cut(skip, rows, columns)


def _cut(x: Tensor, rows: slice, columns: slice) -> Tensor:
    """A part of x. Unlike indexing, negative padding keeps channels last on the way back, too."""
    height, width = x.shape[-2:]
    return functional.pad(x, (-columns.start, columns.stop - width, -rows.start, rows.stop - height))


class Critic(nn.Sequential):
    """The paper's: one score for the lower half of a picture (N, 3, S / 2, S), without norms."""

    def __init__(self) -> None:
        stages = (
            (32, 7, 1),
            (64, 5, (1, 2)),
            (64, 5, 1),
            (128, 5, 2),
            (128, 5, 1),
            (256, 5, 2),
            (256, 5, 1),
            (512, 3, 2),
            (512, 3, 1),
            (512, 3, 2),
            (512, 3, 1),
        )
        layers: list[nn.Module] = []
        into = 3
        for width, kernel, stride in stages:
            layers += [nn.Conv2d(into, width, kernel, stride, kernel // 2), nn.LeakyReLU(0.01, inplace=True)]
            into = width
        for kernel in (4, 1):
            layers += [nn.Conv2d(into, into, kernel), nn.LeakyReLU(0.01, inplace=True)]
        super().__init__(*layers, nn.Conv2d(into, 1, 1))


def judging(config: TalkerConfig) -> nn.Module | None:
    """Who tells drawn pictures from true ones, if anybody does."""
    if config.critic == "half":
        return Critic()
    return PatchDiscriminator(3, (32, 64, 128)) if config.critic == "patches" else None
