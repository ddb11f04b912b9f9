"""FACIAL-GAN: who performs, and who watches whether it looks like a person.

The generator hears windows of sound and is told where the face was when the window began. A contextual branch
sees the whole window and gives every frame a code; a phonetic branch hears each frame's own half second,
and of both together all 71 columns of the frame are made. The critic sees rows and their changes.

Shape legend: B batch, T frames of a window, L rows of sound around a frame, F symbols, C columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.facial.columns import COLUMNS
from models.facial.config_performer import AROUND, SYMBOLS, PerformerConfig
from models.facial.manner import Manner

__all__ = ["Generator", "SequenceCritic", "parameters_of"]

_CODE, _HEARD = 32, 32  # of the contextual and of the phonetic branch


def parameters_of(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(one.numel() for one in network.parameters())


class _Ladder(nn.Module):
    """A U-Net over time: every step halves the length, and the way back is told what was seen there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = (width, width, width, 2 * width, 2 * width, 2 * width)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(nn.Conv1d(a, b, 4, 2, 1, bias=False) for a, b in pairs)
        inner = range(1, len(pairs) - 1)  # neither the outermost nor the innermost is normed
        self.down_norm = nn.ModuleList(nn.BatchNorm1d(pairs[k][1]) for k in inner)
        # But for the innermost, each hears what its partner on the way down found, too.
        into = [b if k == len(pairs) - 1 else 2 * b for k, (_, b) in enumerate(pairs)]
        self.up = nn.ModuleList(
            nn.ConvTranspose1d(wide, a, 4, 2, 1, bias=k == 0)
            for k, (wide, (a, _)) in enumerate(zip(into, pairs, strict=True))
        )
        self.up_norm = nn.ModuleList(nn.BatchNorm1d(a) for a, _ in pairs[1:])

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) to the same shape, -1 to 1; T is a multiple of 32."""
        seen: list[Tensor] = []
        last = len(self.down) - 1
        for k, conv in enumerate(self.down):
            x = conv(x if k == 0 else functional.leaky_relu(x, 0.2))
            if 0 < k < last:
                x = self.down_norm[k - 1](x)
            seen.append(x)
        for k in range(last, -1, -1):
            x = x if k == last else torch.cat([seen[k], x], 1)
            x = self.up[k](functional.relu(x))
            x = self.up_norm[k - 1](x) if k else torch.tanh(x)
        return x


class _Context(nn.Module):
    """What a whole window says about each of its frames: a code (B, 32, T)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = (1, width // 8, width // 2, width, width)
        shapes: list[tuple[int | tuple[int, int], int, tuple[int, int]]] = [
            (4, 2, (2, 0)),
            (4, 2, (2, 0)),
            (4, 1, (2, 0)),
            ((3, 1), 1, (1, 0)),
        ]
        layers: list[nn.Module] = []
        for a, b, (kernel, stride, padding) in zip(widths[:-1], widths[1:], shapes, strict=True):
            layers += [nn.Conv2d(a, b, kernel, stride, padding), nn.BatchNorm2d(b), nn.LeakyReLU(0.01)]
        self.look = nn.Sequential(*layers)
        self.ladder = _Ladder(width)
        self.join = nn.Sequential(
            nn.Conv1d(width + COLUMNS, width, 3, 1, 1),
            nn.BatchNorm1d(width),
            nn.LeakyReLU(0.01),
            nn.Conv1d(width, width, 3, 1, 1),
            nn.BatchNorm1d(width),
            nn.LeakyReLU(0.01),
            nn.Conv1d(width, _CODE, 3, 1, 1),
        )

    def forward(self, symbols: Tensor, state: Tensor) -> Tensor:
        """Of symbols (B, T, F) and the state (B, C) that the window begins with."""
        length = symbols.shape[1]
        seen = self.look(symbols[:, None]).flatten(2)
        seen = functional.interpolate(seen, length, mode="linear", align_corners=True)
        told = state[..., None].expand(-1, -1, length)
        code: Tensor = self.join(torch.cat([self.ladder(seen), told], 1))
        return code


class Generator(nn.Module):
    """Sound (B, T, L, F) and a state (B, C) to scored rows (B, T, C)."""

    def __init__(self, config: PerformerConfig) -> None:
        super().__init__()
        self.config = config
        self.context = _Context(config.width) if config.context else None
        layers: list[nn.Module] = []
        for a, b in ((SYMBOLS, 32), (32, 32), (32, 64), (64, 64)):
            layers += [nn.Conv1d(a, b, 3, 2, 1), nn.ReLU(), nn.BatchNorm1d(b)]
        self.phonetic = nn.Sequential(*layers)
        self.heard = nn.Sequential(nn.Linear(64, _HEARD), nn.Tanh(), nn.BatchNorm1d(_HEARD))
        self.out = nn.Linear(_HEARD + _CODE, COLUMNS)
        self.manner = Manner()  # nothing of it is learned by descent

    def forward(self, sound: Tensor, state: Tensor) -> Tensor:
        """Of plain symbols; `state` is the scored row that the window begins with."""
        b, t = sound.shape[:2]
        middle = sound[:, :, AROUND // 2]
        code = (
            sound.new_zeros(b, _CODE, t) if self.context is None else self.context(middle, state)
        ).transpose(1, 2)
        heard = code.new_zeros(b, t, _HEARD)
        if self.config.phonetic:
            own = self.phonetic(sound.flatten(0, 1).transpose(1, 2))[..., 0]
            heard = self.heard(own).unflatten(0, (b, t))
        rows: Tensor = self.out(torch.cat([heard, code], -1))
        return rows


class SequenceCritic(nn.Module):
    """Rows (B, T, C) to scores (B, 1, 32, 9) at 128 rows: which parts of a performance look made up?"""

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        strides = (2, 2, 2, 1)
        layers: list[nn.Module] = []
        for k, (into, out, stride) in enumerate(zip((1, *widths[:-1]), widths, strides, strict=True)):
            layers.append(nn.Conv2d(into, out, 3, stride, 1, bias=k == 0))
            layers += [nn.BatchNorm2d(out)] if k else []
            layers.append(nn.LeakyReLU(0.2))
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, 1, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows and, below them, their changes, as one picture of one channel."""
        changes = rows[:, 1:] - rows[:, :-1]
        scores: Tensor = self.body(torch.cat([rows, changes], 1)[:, None])
        return scores
