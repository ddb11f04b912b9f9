"""Two towers that end in the same room: what five frames of a mouth look like, and what is heard around them.

Frames are looked at one by one first and joined late: windows that overlap share most of the work. A frame is
seen without its mean colour and contrast, and its first features without theirs, since all that is new about
a stranger shows there; sound is heard without its level.

Shape legend: n windows, N frames of a run, D what towers end in, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks.blocks import Conv, Down
from models.sync.config import SyncConfig
from models.sync.sight import BEFORE, FRAMES, ROWS
from models.training.checkpoint import load_network

__all__ = ["FEATURES", "MEL", "NETWORK", "SYMBOLS", "SyncNet", "heard_plainly", "load_expert", "seen_plainly"]

NETWORK = "expert"
FEATURES = 111
SYMBOLS, LOUDNESS, VOICE, MEL = slice(0, 29), 29, 30, slice(31, 111)
_UNLIKELY = -8.0
_QUIETEST = 45.0  # LU below the loudest of a window: silence, whatever hums in it
_SLOPE = 0.1
_AT_ONCE = 256  # windows of a run that are heard together


def seen_plainly(mouths: Tensor) -> Tensor:
    """Frames (n, 3, 48, 48) without their mean colour, of unit contrast."""
    level = mouths - mouths.mean((2, 3), keepdim=True)
    return level / level.square().mean((1, 2, 3), keepdim=True).add(1e-3).sqrt()


def heard_plainly(sound: Tensor) -> Tensor:
    """(n, 13, 2, 111) to (n, 26, 111), all of it around -1 to 1: how loud a recording is does not show."""
    rows = sound.float().flatten(1, 2)
    symbols = rows[..., SYMBOLS].clamp(min=_UNLIKELY) / -_UNLIKELY * 2 + 1
    loud = rows[..., LOUDNESS : LOUDNESS + 1]
    loud = (loud - loud.amax(1, keepdim=True)).clamp(min=-_QUIETEST) / _QUIETEST * 2 + 1
    mel = rows[..., MEL] - rows[..., MEL].mean((1, 2), keepdim=True)
    return torch.cat([symbols, loud, rows[..., VOICE : VOICE + 1] * 2 - 1, mel.clamp(-4, 4) / 2], -1)


class SyncNet(nn.Module):
    """`score` is a cosine; `chance` says how likely that is in step."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.seen
        self.frame = nn.Sequential(
            Conv(3, first, 5, 2, norm=True),
            Down(first, second, norm=True),
            Down(second, third),
            nn.Conv2d(third, config.carried, 1),
            nn.Dropout2d(config.dropout),
        )
        self.joined = nn.Sequential(
            Conv(FRAMES * config.carried, config.motion),
            Conv(config.motion, config.motion, 3, 2),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(9 * config.motion, config.width),
        )
        self.sound = _Ear(config)
        self.sharpness = nn.Parameter(torch.tensor(math.log(10.0)))  # of the choice among shifts
        self.gain = nn.Parameter(torch.tensor(math.log(5.0)))
        self.offset = nn.Parameter(torch.tensor(-1.0))

    def see(self, mouths: Tensor) -> Tensor:
        """Five frames each (n, 5, 3, 48, 48), -1 to 1, to unit vectors (n, D)."""
        features = self.looked(mouths.flatten(0, 1))
        return self.together(features.reshape(*mouths.shape[:2], *features.shape[1:]))

    def looked(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, 48, 48) one by one, (N, C, 6, 6): what windows may share."""
        found: Tensor = self.frame(seen_plainly(frames))
        return found

    def together(self, features: Tensor) -> Tensor:
        """What was seen on five frames each (n, 5, C, 6, 6), to unit vectors (n, D)."""
        return functional.normalize(self.joined(features.flatten(1, 2)).float(), dim=-1)

    def see_run(self, frames: Tensor) -> Tensor:
        """Every window of consecutive frames (N, 3, 48, 48), (N - 4, D)."""
        return self.together(self.looked(frames).unfold(0, FRAMES, 1).movedim(-1, 1))

    def hear(self, sound: Tensor, kept: Tensor | None = None) -> Tensor:
        """Sound (n, 13, 2, 111) to unit vectors (n, D); features where `kept` (n, 111) is 0 are unheard."""
        rows = heard_plainly(sound)
        rows = rows if kept is None else rows * kept[:, None]
        return functional.normalize(self.sound(rows).float(), dim=-1)

    def hear_run(self, sound: Tensor) -> Tensor:
        """Every window of consecutive rows (N, 2, 111), (N - 4, D)."""
        ends = [sound[:1].expand(BEFORE, -1, -1), sound, sound[-1:].expand(BEFORE, -1, -1)]
        windows = torch.cat(ends).unfold(0, ROWS, 1).movedim(-1, 1)
        # Windows overlap: those of an hour at once, and what is made of them, would be gigabytes.
        return torch.cat([self.hear(part) for part in windows.split(_AT_ONCE)])

    def score(self, seen: Tensor, heard: Tensor) -> Tensor:
        """The cosine of what is seen and heard, (n,)."""
        return (seen * heard).sum(-1)

    def told(self, score: Tensor) -> Tensor:
        """The logit of being in step, of any scores."""
        return self.gain.exp() * score + self.offset

    def chance(self, score: Tensor) -> Tensor:
        """How likely it is that what scores so is in step, where half of all is."""
        return torch.sigmoid(self.told(score))


class _Ear(nn.Module):
    """(n, 26, 111) to (n, D)."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        first, second, third = config.heard
        self.rows = nn.Sequential(
            _Row(FEATURES, first, 3),
            _Row(first, first, 3),
            _Row(first, second, 3, 2),
            _Row(second, second, 3),
            _Row(second, third, 3, 2),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(7 * third, config.width),
        )

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.rows(rows.transpose(1, 2))
        return found


class _Row(nn.Sequential):
    """Convolution over time, begun as those of pictures are."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1) -> None:
        conv = nn.Conv1d(into, out, kernel, stride, kernel // 2)
        nn.init.normal_(conv.weight, 0, math.sqrt(2 / (1 + _SLOPE**2) / (into * kernel)))
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
        super().__init__(conv, nn.LeakyReLU(_SLOPE))


def load_expert(tensors: Mapping[str, Tensor]) -> SyncNet:
    """The expert of these weights, by NETWORK/PARAMETER, which no longer learns; its size is theirs."""
    own = {key.removeprefix(f"{NETWORK}/"): v for key, v in tensors.items() if key.startswith(f"{NETWORK}/")}
    try:
        net = SyncNet(_config_of(own))
    except KeyError as error:
        raise ValueError(
            f"weights do not fit the network {NETWORK!r}: {error.args[0]} is not there"
        ) from error
    load_network(net, NETWORK, {key: value.float() for key, value in tensors.items()})
    return net.eval().requires_grad_(False)


def _config_of(own: Mapping[str, Tensor]) -> SyncConfig:
    return SyncConfig(
        seen=tuple(own[f"frame.{i}.weight"].shape[0] for i in ("0.0", "1.0.0", "2.0.0")),
        motion=own["joined.0.0.weight"].shape[0],
        carried=own["frame.3.weight"].shape[0],
        heard=tuple(own[f"sound.rows.{i}.0.weight"].shape[0] for i in (0, 2, 4)),
        width=own["joined.4.weight"].shape[0],
    )
