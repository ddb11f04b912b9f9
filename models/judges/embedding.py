"""A face embedding that a user has: a TorchScript file that tells from a face who it is.

    net = load_embedding(path)            # (B, 3, 112, 112), RGB in -1 to 1, aligned -> (B, D)
    (net(made) * net(true)).sum(1)       # (B,), cosines

Aligned means: eyes, tip of the nose and corners of the mouth lie where ArcFace (Deng et al., 2019) has them
in its pictures of 112 pixels. Nothing of it is ours: whose faces it can tell apart, and how well, the user
knows. Called by `tasks.judging.judges`.

Shape legend: B faces, D of the embedding, n frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["SIDE", "Embedding", "alignments", "load_embedding"]

F64 = NDArray[np.float64]

SIDE = 112
# Of the eyes, the tip of the nose, and the corners of the mouth, the picture's left first; pixels.
_PLACES = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def alignments(marks: F64) -> F64:
    """Maps (n, 2, 3) from pictures to aligned faces, given the five points (n, 5, 2): turned, scaled, moved.

    The best in the least squares, without a mirror. In the plane a turn and a scale are one complex number.
    """
    points, places = (x[..., 0] + 1j * x[..., 1] for x in (marks, _PLACES))
    middle = points.mean(-1, keepdims=True)
    centred = points - middle
    turn = (centred.conj() * (places - places.mean())).sum(-1) / (np.abs(centred) ** 2).sum(-1)
    move = places.mean() - turn * middle[..., 0]
    rows = [[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]]
    return np.moveaxis(np.array(rows), 2, 0)


class Embedding:
    """The user's network, ready to be asked."""

    def __init__(self, net: torch.jit.ScriptModule) -> None:
        self._net = net.eval()

    @torch.inference_mode()
    def __call__(self, faces: NDArray[np.uint8]) -> Tensor:
        """Directions (B, D) of aligned faces (B, 112, 112, 3)."""
        pictures = torch.from_numpy(np.ascontiguousarray(faces)).movedim(-1, 1).float() / 127.5 - 1
        told: Tensor = self._net(pictures)
        return functional.normalize(told.double(), dim=1)


def load_embedding(path: Path | str) -> Embedding:
    """The network of this file; ValueError if it is none, or tells of two faces anything but two rows."""
    try:
        net = Embedding(torch.jit.load(str(path), map_location="cpu"))
        draw = np.random.default_rng(0)
        told = net(draw.integers(256, size=(2, SIDE, SIDE, 3), dtype=np.uint8))
    except Exception as error:  # whatever a foreign file provokes
        first = " ".join(str(error).split())[:150]
        raise ValueError(f"{path}: no TorchScript of a face embedding ({first})") from error
    if told.ndim != 2 or len(told) != 2 or told.shape[1] < 2 or not told.isfinite().all():
        raise ValueError(f"{path}: of two faces it tells {tuple(told.shape)}, not two rows of numbers")
    return net
