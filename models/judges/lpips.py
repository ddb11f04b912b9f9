"""LPIPS (Zhang et al., 2018) with AlexNet: how far apart two pictures look, where a user has its weights.

    torch.save(lpips.LPIPS(net="alex").state_dict(), path)       # once, by the public package
    net = load_lpips(path)
    net(made, true)                                              # (B,), 0 if identical

Five convolutions; after each, features of every place are brought to length 1, and what is between those of
two pictures is squared, weighed by channel, and averaged over places; the five are added. The weights are not
ours to bundle; layers are named as the file has them. Called by `tasks.judging.judges`.

Shape legend: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LEAST_SIDE", "Lpips", "load_lpips"]

LEAST_SIDE = 64  # of smaller pictures the last features are of a place or two
# Number in the file, channels in and out, kernel, stride, padding; pooled before the second and third.
_LAYERS = (
    (0, 3, 64, 11, 4, 2),
    (3, 64, 192, 5, 1, 2),
    (6, 192, 384, 3, 1, 1),
    (8, 384, 256, 3, 1, 1),
    (10, 256, 256, 3, 1, 1),
)
_POOLED = {3, 6}
_TINY = 1e-10


class Lpips(nn.Module):
    """Distance of pictures (B, 3, H, W), RGB in -1 to 1."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(into, out, kernel, stride, padding) for _, into, out, kernel, stride, padding in _LAYERS
        )
        self.heads = nn.ParameterList(nn.Parameter(torch.ones(1, out, 1, 1)) for _, _, out, *_ in _LAYERS)
        for name in ("shift", "scale"):
            self.register_buffer(name, torch.ones(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(B,), 0 and more."""
        pairs = zip(self._features(a), self._features(b), self.heads, strict=True)
        return torch.stack([((x - y) ** 2 * head).sum(1).mean((1, 2)) for x, y, head in pairs]).sum(0)

    def _features(self, x: Tensor) -> Iterator[Tensor]:
        """(B, C, H, W) after each layer, of length 1 along C."""
        x = (x - self.shift) / self.scale
        for (number, *_), layer in zip(_LAYERS, self.layers, strict=True):
            if number in _POOLED:
                x = functional.max_pool2d(x, 3, 2)
            x = torch.relu(layer(x))
            yield x / (x.square().sum(1, keepdim=True).sqrt() + _TINY)

    def places(self) -> dict[str, Tensor]:
        """The tensors that a file has to fill, by their names there."""
        told = {"scaling_layer.shift": self.shift, "scaling_layer.scale": self.scale}
        for at, ((number, *_), layer) in enumerate(zip(_LAYERS, self.layers, strict=True)):
            told |= {f"net.slice{at + 1}.{number}.{name}": own for name, own in layer.named_parameters()}
            told[f"lin{at}.model.1.weight"] = self.heads[at]
        return told


def load_lpips(path: Path | str) -> Lpips:
    """The network with these weights; ValueError if they are not its."""
    try:
        given = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file provokes
        first = " ".join(str(error).split())[:150]
        raise ValueError(f"{path}: no weights of LPIPS ({first})") from error
    net = Lpips()
    wrong = _wrong(given, net.places())
    if wrong is not None:
        raise ValueError(f"{path}: no weights of LPIPS with AlexNet ({wrong})")
    for name, own in net.places().items():
        own.copy_(given[name])
    return net.eval()


def _wrong(given: object, places: Mapping[str, Tensor]) -> str | None:
    """What does not fit. Newer packages have each head a second time, in a list: those must be the same."""
    if not isinstance(given, Mapping):
        return "not a dictionary of tensors"
    for name, own in places.items():
        tensor = given.get(name)
        if not isinstance(tensor, Tensor) or tensor.shape != own.shape:
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else "missing"
            return f"{name} is {shape} and not {tuple(own.shape)}"
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            return f"{name} has what is no number"
    for name in given.keys() - places.keys():
        head = str(name).replace("lins.", "lin", 1)
        if head not in places or not torch.equal(given[name], given[head]):
            return f"{name} is not known"
    return None
