"""The network at work on sound of any length, in bounded memory.

    net = load(tensors, metadata)
    for rows in net.stream(blocks): ...      # (n, 29) log-probabilities, 50 a second

Output frame k is centred on (k + .5) * 20 ms; N samples give ceil(N / 320) frames. Sound is worked on in
tiles of a grid that starts with the sound, each with all that its frames depend on, so the result does not
depend on how the sound was cut into blocks: not by a bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.acoustic.config import AcousticConfig
from models.acoustic.frontend import log_mel, normalise
from models.acoustic.network import Network

__all__ = ["AcousticNet", "load"]


class AcousticNet:
    """A trained network and its front end, for inference."""

    def __init__(self, network: Network) -> None:
        self.network = network.eval().float()
        self.config = network.config

    def stream(self, blocks: Iterable[Any]) -> Iterator[np.ndarray]:
        """Blocks of 16 kHz mono float32 to blocks of (n, 29) float32 log-probabilities."""
        return (symbols for _, symbols in self.stream_both(blocks))

    def stream_both(self, blocks: Iterable[Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The hidden layer too: (n, bottleneck) and (n, 29)."""
        mel = _Window(self.config.bands)
        done = 0
        for more in self._mel_blocks(blocks):
            mel.append(more)
            while mel.end >= 2 * (done + self.config.tile) + self._halo:
                yield self._tile(mel, done, done + self.config.tile)
                done += self.config.tile
                mel.forget(2 * done - self._halo)
        # The end of the sound is the end of the frames: there is nothing more to wait for.
        frames = mel.end // 2
        while done < frames:
            upto = min(frames, done + self.config.tile)
            yield self._tile(mel, done, upto)
            done = upto

    def __call__(self, sound: Any) -> np.ndarray:
        """(N,) samples to (ceil(N / 320), 29) at once."""
        parts = list(self.stream([sound]))
        return np.concatenate(parts) if parts else np.zeros((0, len(self.network.symbols.bias)), np.float32)

    @property
    def _halo(self) -> int:
        """Mel frames to each side of a tile: the trunk's reach and, around it, the sliding mean's."""
        return 2 * self.config.reach + self.config.mean_reach

    def _mel_blocks(self, blocks: Iterable[Any]) -> Iterator[Tensor]:
        """Sound in any pieces to mel frames in pieces of a fixed size, the last one shorter."""
        config = self.config
        margin, piece = (config.window - config.hop) // 2, config.tile * config.samples_a_frame
        held, count = np.zeros(margin, np.float32), 0
        for block in blocks:
            samples = np.asarray(block, np.float32).reshape(-1)
            count += len(samples)
            held = np.concatenate([held, np.where(np.isfinite(samples), samples, 0.0)])
            while len(held) >= piece + 2 * margin:
                yield _mel(held[: piece + 2 * margin], config)
                held = held[piece:]
        missing = -count % config.samples_a_frame
        held = np.pad(held, (0, missing + margin))
        if count and len(held) > 2 * margin:
            yield _mel(held, config)

    @torch.inference_mode()
    def _tile(self, mel: _Window, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Output frames [start, stop): computed at the tile's full size, so ends change nothing."""
        config, reach = self.config, self.config.reach
        first, last = 2 * (start - reach), 2 * (start + config.tile + reach)
        # Past the tile's own frames and their reach, later sound must not count: it might not be there yet.
        values, inside = mel.read(first - config.mean_reach, last + config.mean_reach)
        scaled = normalise(values, config, inside)[config.mean_reach : -config.mean_reach]
        hidden, symbols = self.network(scaled[None])
        wanted = slice(reach, reach + stop - start)
        return hidden[0, wanted].numpy().copy(), symbols[0, wanted].numpy().copy()


class _Window:
    """The mel frames that are still needed, by their number in the whole sound."""

    def __init__(self, bands: int) -> None:
        self._kept = torch.zeros(0, bands)
        self._first = 0

    @property
    def end(self) -> int:
        return self._first + len(self._kept)

    def append(self, more: Tensor) -> None:
        self._kept = torch.cat([self._kept, more])

    def forget(self, before: int) -> None:
        drop = max(0, before - self._first)
        self._kept = self._kept[drop:].clone()
        self._first += drop

    def read(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Frames [start, stop), zero where there is no sound, and which of them are inside it."""
        values = torch.zeros(stop - start, self._kept.shape[1])
        inside = torch.zeros(stop - start)
        low, high = max(start, self._first), min(stop, self.end)
        if low < high:
            values[low - start : high - start] = self._kept[low - self._first : high - self._first]
            inside[low - start : high - start] = 1.0
        return values, inside


@torch.inference_mode()
def _mel(samples: np.ndarray, config: AcousticConfig) -> Tensor:
    return log_mel(torch.from_numpy(np.ascontiguousarray(samples, np.float32)), config)


def load(tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> AcousticNet:
    """Arrays by name and the text beside them, as a safetensors file has them, to a network."""
    network = Network(AcousticConfig.from_metadata(metadata))
    state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    lacking, unknown = network.load_state_dict(state, strict=False)
    # How many batches a norm saw matters to nobody but the optimiser, and is not kept.
    if unknown or any(not name.endswith("num_batches_tracked") for name in lacking):
        raise ValueError(f"not this network's weights: lacking {lacking[:3]}, unknown {unknown[:3]}")
    return AcousticNet(network)
