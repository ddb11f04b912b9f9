"""The networks at work: from what is heard and what of a face may be seen to a picture.

`Talker` holds those that dub; whoever trains adds a lip encoder. What is hidden, what is seen and which part
is drawn is decided here alone, for training and for dubbing. Called by `training`, `painter` and benches.

Shape legend: N frames, C width, S the canvas, s the part of it that is drawn, A slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor, nn

from models.canvas.framing import FACE, mouth_canvas
from models.canvas.mask import wider
from models.memory.lips import AudioLipMemory
from models.morphable.builtin import builtin, mesh_mirror
from models.morphable.mouth_shape import MouthShape
from models.synctalkface.config import TalkerConfig
from models.synctalkface.network import Decoder, FaceEncoder, hearing
from models.training import load_network

__all__ = ["Talker", "hidden_on", "part_drawn", "shown"]


class Talker:
    """What travels: an audio encoder, the memory, a face encoder and a decoder."""

    def __init__(self, config: TalkerConfig) -> None:
        self.config = config
        self.shape = MouthShape()  # a table of the face model, neither trained nor saved
        self.audio, self.face, self.decoder = hearing(config), FaceEncoder(config), Decoder(config)
        self.memory = AudioLipMemory(config.slots, config.width, config.scale, config.dropout)
        self.networks: dict[str, nn.Module] = {
            "audio": self.audio,
            "memory": self.memory,
            "face": self.face,
            "decoder": self.decoder,
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """From tensors by NETWORK/PARAMETER; ValueError if they do not fit."""
        for name, network in self.networks.items():
            load_network(network, name, tensors)

    def hear(self, rows: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Audio features (N, C) of expressions around frames (N, 5, 64), or of their log-mel (N, 16, 80)."""
        if self.config.hearing == "ear":
            rows = self.shape(rows)
            if mirrored is not None:
                rows = torch.where(mirrored[:, None, None], _other_side(rows), rows)
        heard: Tensor = self.audio(rows)
        return heard

    def addresses(self, heard: Tensor) -> Tensor:
        """How much of each slot (N, A) is recalled for what was heard (N, C)."""
        return self.memory.by_sound(heard)

    def told(self, heard: Tensor, address: Tensor | None = None) -> Tensor:
        """What the decoder is told (N, C): by the key path, or by addresses (N, A) of one's own choosing."""
        if not self.config.memory:
            return self.memory.joined(heard, torch.zeros_like(heard))
        address = self.addresses(heard) if address is None else address
        return self.memory.joined(heard, self.memory.recall(address))

    def draw(self, told: Tensor, inputs: Tensor) -> Tensor:
        """Pictures (k N, 3, s, s) of what `shown` gave for N frames, told k times over (k N, C)."""
        features = self.face(inputs)
        times = len(told) // len(inputs)
        if times > 1:
            # `repeat` would not keep channels last.
            features = [torch.cat([one] * times) for one in features]
        made: Tensor = self.decoder(told, features)
        return made


@cache
def _partners() -> list[int]:
    place = {int(vertex): k for k, vertex in enumerate(builtin().mouth)}
    return [place[int(mesh_mirror()[vertex])] for vertex in place]


def _other_side(shapes: Tensor) -> Tensor:
    """Mouth shapes (N, 5, 120) as a mirror shows them."""
    turned = shapes.reshape(*shapes.shape[:-1], -1, 3)[..., _partners(), :]
    return (turned * turned.new_tensor([-1.0, 1.0, 1.0])).flatten(-2)


def hidden_on(covered: Tensor, config: TalkerConfig, spread: int = 0) -> Tensor:
    """What no network may see (N, 1, S, S), 0 or 1: the mask and `spread` pixels around it, or a whole half.

    Rows of a turned head's mask that lie above the middle are hidden either way.
    """
    hidden = wider(covered, spread)
    if config.hides == "half":
        hidden = hidden.clone()
        hidden[..., hidden.shape[-2] // 2 :, :] = 1
    return hidden


def shown(pictures: Tensor, hidden: Tensor, reference: Tensor, config: TalkerConfig) -> Tensor:
    """The face encoder's inputs (N, 6 or 7, S, S) of pictures, what is hidden on them, and references."""
    told = [pictures * (1 - hidden), reference]
    if config.inputs > 6:
        told.append(hidden)
    return torch.cat(told, 1)


def part_drawn(pictures: Tensor, config: TalkerConfig) -> Tensor:
    """The part (..., s, s) of canvases (..., S, S) that the decoder draws."""
    return mouth_canvas(pictures, FACE) if config.draws == "mouth" else pictures
