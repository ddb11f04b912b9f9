"""LSE-C and LSE-D: measured by the public SyncNet (Chung and Zisserman, 2016), where a user has it.

    scorer = load_public(path)                      # `syncnet_v2.model`; MEMDUB_SYNCNET_WEIGHTS names it
    step = scorer(faces, sound)

The weights are not ours to bundle. Layers and their names are those that the weights are kept by; the
protocol is theirs too: 25 frames a second, faces of 224 pixels as OpenCV has them (blue first, 0 to 255),
MFCC 100 times a second, windows of five frames, shifts of 15, silence beyond the ends. Called by `tasks`.

Shape legend: T frames, n windows, M rows of MFCC.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.sync.public_sound import public_mfcc

__all__ = ["FACE_SIDE", "PublicScore", "PublicSyncNet", "Scorer", "load_public"]

FACE_SIDE = 224
_FRAMES, _ROWS, _REACH = 5, 20, 15
_SAMPLES = 640  # of sound in a frame
_AT_ONCE = 8


class PublicScore(NamedTuple):
    """`offset` > 0: the sound is late; whole frames, as the protocol tells them."""

    lse_c: float
    lse_d: float
    offset: float


class PublicSyncNet(nn.Module):
    """Named so that the public weights fit."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_flat(1, 64, 3, 1),
            nn.Identity(),
            *_flat(64, 192, 3, 1),
            nn.MaxPool2d(3, (1, 2)),
            *_flat(192, 384, 3, 1),
            *_flat(384, 256, 3, 1),
            *_flat(256, 256, 3, 1),
            nn.MaxPool2d(3, 2),
            *_flat(256, 512, (5, 4), 0),
        )
        self.netfcaud = _last()
        self.netcnnlip = nn.Sequential(
            *_deep(3, 96, (5, 7, 7), 2, 0),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_deep(96, 256, (1, 5, 5), 2, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_deep(256, 256, (1, 3, 3), 1, 1),
            *_deep(256, 256, (1, 3, 3), 1, 1),
            *_deep(256, 256, (1, 3, 3), 1, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_deep(256, 512, (1, 6, 6), 1, 0),
        )
        self.netfclip = _last()

    def see(self, faces: Tensor) -> Tensor:
        """(n, 3, 5, 224, 224) to (n, 1024)."""
        found: Tensor = self.netfclip(self.netcnnlip(faces).flatten(1))
        return found

    def hear(self, mfcc: Tensor) -> Tensor:
        """(n, 1, 13, 20) to (n, 1024)."""
        found: Tensor = self.netfcaud(self.netcnnaud(mfcc).flatten(1))
        return found


def _flat(into: int, out: int, kernel: int | tuple[int, int], padding: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(into, out, kernel, 1, padding), nn.BatchNorm2d(out), nn.ReLU()


def _deep(
    into: int, out: int, kernel: tuple[int, int, int], stride: int, padding: int
) -> tuple[nn.Module, ...]:
    conv = nn.Conv3d(into, out, kernel, (1, stride, stride), (0, padding, padding))
    return conv, nn.BatchNorm3d(out), nn.ReLU()


def _last() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


def load_public(path: Path | str) -> Scorer:
    """The public network with these weights; ValueError if they are none."""
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        net = PublicSyncNet()
        net.load_state_dict(tensors)
    except (OSError, RuntimeError, TypeError, AttributeError, pickle.UnpicklingError, EOFError) as error:
        first = " ".join(str(error).split())[:150]
        raise ValueError(f"{path}: no weights of the public SyncNet ({first})") from error
    return Scorer(net.eval().requires_grad_(False))


class Scorer:
    """A network, ready to be asked of whole clips."""

    def __init__(self, net: PublicSyncNet) -> None:
        self._net = net

    @torch.inference_mode()
    def __call__(self, faces: Iterable[NDArray[np.uint8]], sound: NDArray[Any]) -> PublicScore:
        """Faces (224, 224, 3) RGB at 25 a second, and all of their sound at 16 kHz, -1 to 1.

        NaN where there are no five frames and a bit with sound.
        """
        mfcc = torch.from_numpy(public_mfcc(sound)).float()
        most = min(len(sound) // _SAMPLES - _FRAMES, (len(mfcc) - _ROWS) // 4 + 1)
        seen = self._seen(faces, most)
        if not len(seen):
            return PublicScore(*(float("nan"),) * 3)
        windows = mfcc.unfold(0, _ROWS, 4)[: len(seen)]
        heard = torch.cat([self._net.hear(part[:, None]) for part in torch.split(windows, 64)])
        return _scored(seen, heard)

    def _seen(self, faces: Iterable[NDArray[np.uint8]], most: int) -> Tensor:
        """(n, 1024), few frames at a time: a minute of faces is a gigabyte. The last window is not asked."""
        parts: list[Tensor] = []
        held: list[Tensor] = []
        for face in faces:
            held.append(torch.from_numpy(face[..., ::-1].copy()).movedim(-1, 0).float())
            if len(held) == _AT_ONCE + _FRAMES:
                parts.append(self._looked(held[:-1]))
                held = held[_AT_ONCE:]
        if len(held) > _FRAMES:
            parts.append(self._looked(held[:-1]))
        return torch.cat([torch.zeros(0, 1024), *parts])[: max(most, 0)]

    def _looked(self, frames: list[Tensor]) -> Tensor:
        return self._net.see(torch.stack(frames, 1).unfold(1, _FRAMES, 1).movedim(1, 0).movedim(-1, 2))


def _scored(seen: Tensor, heard: Tensor) -> PublicScore:
    """Beyond the ends nothing is heard, and that counts as it does in the public protocol."""
    padded = functional.pad(heard, (0, 0, _REACH, _REACH))
    shifts = [padded[k : k + len(seen)] for k in range(2 * _REACH + 1)]
    curve = torch.stack([functional.pairwise_distance(seen, one).mean() for one in shifts])
    best = int(curve.argmin())
    return PublicScore(float(curve.median() - curve[best]), float(curve[best]), float(best - _REACH))
