"""The user's own VGG-16 as perceptual distance, where they have one: MEMDUB_VGG_WEIGHTS names the file.

Any state dictionary with torchvision's names will do, as .safetensors or .pth; only the seven convolutions up
to relu3_3 are read. Nothing is downloaded. A recipe that was planned with it holds the file's SHA-256, and
wherever that recipe is trained, here or from a bundle elsewhere, the same file must be at hand:

    parameters["perception"] = {"vgg16": digest}      # when planning, if `vgg_digest()` says one
    helpers = {"perception": perception_of(bundle.about.recipe)}

Called by trainees, and by `tasks.training` for methods whose `perceives` names the stage.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from models.losses.perceptual import Perception

__all__ = ["VARIABLE", "VggPerception", "perception_of", "vgg_digest"]

VARIABLE = "MEMDUB_VGG_WEIGHTS"
# torchvision's numbers of the convolutions, and their widths; "pool" stands before the next.
_CONVOLUTIONS = ((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256))
_LAST = (14, 256, 256)
_POOLED = {5, 10}
# Compared after these: relu1_2, relu2_2, relu3_3.
_COMPARED = {2, 7, 14}
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VggPerception(Perception):
    """Distance of pictures (B, 3, H, W), -1 to 1: relative difference of VGG's features at three depths."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        nn.Module.__init__(self)
        self.layers = nn.ModuleList()
        for number, into, width in (*_CONVOLUTIONS, _LAST):
            layer = nn.Conv2d(into, width, 3, padding=1)
            for name, own in layer.named_parameters():
                given = tensors.get(f"features.{number}.{name}")
                if given is None or given.shape != own.shape:
                    shape = None if given is None else tuple(given.shape)
                    what = f"features.{number}.{name} is {shape} and not {tuple(own.shape)}"
                    raise ValueError(f"no VGG-16 of torchvision's: {what}")
                with torch.no_grad():
                    own.copy_(given)
            self.layers.append(layer)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).reshape(3, 1, 1))
        self.requires_grad_(False)

    def forward(self, made: Tensor, true: Tensor, weight: Tensor | None = None) -> Tensor:
        """`weight` (B, 1, H, W) says where it matters."""
        a, b = ((x / 2 + 0.5 - self.mean) / self.deviation for x in (made, true.detach()))
        total = made.new_zeros(())
        for (number, *_), layer in zip((*_CONVOLUTIONS, _LAST), self.layers, strict=True):
            if number in _POOLED:
                a, b = functional.max_pool2d(a, 2), functional.max_pool2d(b, 2)
            a, b = torch.relu(layer(a)), torch.relu(layer(b))
            if number in _COMPARED:
                away = (a - b).abs().mean(1, keepdim=True)
                total = total + _weighted(away, weight) / b.mean().clamp(min=1e-6)
        return total


def _weighted(away: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return away.mean()
    w = functional.adaptive_avg_pool2d(weight, away.shape[-2:])
    return (away * w).sum() / w.sum().clamp(min=1e-6)


def vgg_digest() -> str | None:
    """SHA-256 of the user's file; None where there is none; ValueError if it is named and cannot be used."""
    path = _file()
    if path is None:
        return None
    _read(path)
    return _digest(path)


def perception_of(recipe: Mapping[str, Any]) -> Perception:
    """The distance that a recipe was planned with; ValueError where its file is not here."""
    wanted = recipe.get("parameters", {}).get("perception", {}).get("vgg16")
    if wanted is None:
        return Perception()
    path = _file()
    if path is None:
        raise ValueError(f"planned with a VGG-16 ({wanted[:12]}...): set {VARIABLE} to that file")
    if _digest(path) != wanted:
        raise ValueError(f"{path}: not the VGG-16 that was planned with ({wanted[:12]}...): set {VARIABLE}")
    return VggPerception(_read(path))


def _file() -> Path | None:
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    if not Path(named).is_file():
        raise ValueError(f"{VARIABLE} names no file ({named}); correct or unset it")
    return Path(named)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors; of a .pth file tensors alone, never code."""
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        VggPerception(tensors)
    except (SafetensorError, OSError, RuntimeError, EOFError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: cannot be used ({' '.join(str(error).split())[:160]})") from error
    except Exception as error:  # pickle.UnpicklingError and whatever else a foreign file provokes
        raise ValueError(f"{path}: holds more than tensors; save its state dictionary") from error
    return dict(tensors)
